"""Extraction from photographs to a view: what is computed, what is not, and what is said."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_photos import CLASSES, folder, photo, tiny

from featx import extraction
from featx._types import Silent
from featx.errors import (
    CacheWriteError,
    CorruptStoreError,
    DeviceError,
    ImageError,
    LayerError,
    NotFoundError,
    TooManyFailedError,
    UsageError,
)
from featx.extraction import extract, parse_max_failed
from featx.features import load

BACKBONE = "helpers_photos:tiny"
OPTIONS = {"backbone": BACKBONE, "image_size": 32, "precision": "fp32"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def run(data: object, cache: Path, **more: object) -> list[extraction.Extraction]:
    return extract(data, cache=cache, **(OPTIONS | more))  # type: ignore[arg-type]


def test_vectors_are_the_networks_own(photos: Path, cache: Path) -> None:
    import torch
    from PIL import Image
    from torchvision.transforms import v2

    (done,) = run(photos, cache, dtype="float32")
    found = load(cache=cache)
    assert (done.rows, done.dim, done.computed, done.failed) == (18, 16, 18, ())
    transform = v2.Compose(
        [
            v2.Resize(round(256 * 32 / 224)),
            v2.CenterCrop(32),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    paths = [photos / p for p in found.frame["path"]]
    batch = torch.stack([transform(Image.open(p).convert("RGB")) for p in paths])
    with torch.inference_mode():
        expected = torch.flatten(tiny()(batch), 1).numpy()  # type: ignore[operator]
    error = np.linalg.norm(found.X - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert error.max() < 1e-4
    assert found.frame["label"].tolist() == [name for name in CLASSES for _ in range(6)]


@pytest.fixture
def make_read_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Refuse to write into the cache, as a read-only file system does."""

    def refusing(real: Callable[..., Any], writes: Callable[..., bool]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **options: Any) -> Any:
            if str(path).startswith(str(cache)) and writes(*args):
                raise OSError(errno.EROFS, "Read-only file system")
            return real(path, *args, **options)

        return call

    connect = sqlite3.connect

    def refuse() -> None:
        flags = os.O_WRONLY | os.O_RDWR
        monkeypatch.setattr(os, "open", refusing(os.open, lambda how, *_: bool(how & flags)))
        monkeypatch.setattr(Path, "open", refusing(Path.open, lambda mode="r", *_: "w" in mode))
        monkeypatch.setattr(Path, "write_text", refusing(Path.write_text, lambda *_: True))
        monkeypatch.setattr(
            sqlite3, "connect", lambda p, **more: connect(f"file:{p}?mode=ro", uri=True, **more)
        )

    return refuse


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def test_a_read_only_cache_serves_what_it_has(
    photos: Path, cache: Path, make_read_only: Callable[[], None]
) -> None:
    run(photos, cache)
    run(photos / "cat", cache, limit=3)  # the last extraction, with other words
    make_read_only()
    said = Said()
    assert numbers(run(photos, cache, progress=said)) == [(0, 0, 18)]
    assert len(said.lines) == len(set(said.lines))
    last = [line for line in said.lines if "last.json" in line]
    assert len(last) == 1
    assert last[0].endswith("nothing was missing, so it goes on: name the data with --data")
    copied = shutil.copytree(photos, photos.parent / "copied" / "photos")  # known by bytes alone
    again = Said()
    assert numbers(run(copied, cache, progress=again)) == [(0, 0, 18)]
    assert any("its rows are those that the cache has" in line for line in again.lines)
    assert any("tokens.sqlite: it is read-only" in line for line in again.lines)


def test_a_read_only_cache_takes_nothing_new(
    photos: Path, cache: Path, make_read_only: Callable[[], None]
) -> None:
    run(photos, cache, limit=3)
    make_read_only()
    with pytest.raises(CacheWriteError, match="read-only"):
        run(photos, cache)
    with pytest.raises(CacheWriteError, match="read-only"):
        run(photos, cache, limit=2)  # nothing to compute, but other rows of the data set


def numbers(done: list[extraction.Extraction]) -> list[tuple[int, int, int]]:
    return [(e.computed, e.derived, e.reused) for e in done]


def test_a_second_run_computes_and_writes_nothing(photos: Path, cache: Path) -> None:
    run(photos, cache)
    before = {p: p.stat().st_mtime_ns for p in cache.rglob("*") if p.is_file()}
    assert numbers(run(photos, cache)) == [(0, 0, 18)]
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*") if p.is_file()} == before


def test_what_is_the_same_image_is_never_computed_again(photos: Path, cache: Path) -> None:
    run(photos, cache)
    (photos / "cat" / "0.jpg").rename(photos / "cat" / "renamed.jpg")
    assert numbers(run(photos, cache)) == [(0, 0, 18)]
    (photos / "cat" / "renamed.jpg").rename(photos / "dog" / "relabelled.jpg")
    assert numbers(run(photos, cache)) == [(0, 0, 18)]
    assert load(cache=cache).frame["label"].tolist().count("dog") == 7
    moved = photos.rename(photos.with_name("moved"))
    assert numbers(run(moved, cache)) == [(0, 0, 18)]
    shutil.copy(moved / "cat" / "1.jpg", moved / "cat" / "copy.jpg")
    assert numbers(run(moved, cache)) == [(0, 0, 19)]
    for i in range(10):
        photo(moved / "bird" / f"new{i}.jpg", (9, 9, 9), 900 + i)
    assert numbers(run(moved, cache)) == [(10, 0, 19)]
    assert numbers(run(moved, cache, limit_per_class=4, name="few")) == [(0, 0, 12)]
    assert len(load("few", cache=cache)) == 12


def test_a_touched_file_is_read_but_not_computed(photos: Path, cache: Path) -> None:
    run(photos, cache)
    os.utime(photos / "cat" / "0.jpg", (1_700_000_000, 1_700_000_000))
    assert numbers(run(photos, cache)) == [(0, 0, 18)]


def test_rehash_sees_a_change_that_the_token_hides(photos: Path, cache: Path) -> None:
    run(photos, cache)
    victim = photos / "cat" / "0.jpg"
    status, data = victim.stat(), bytearray(victim.read_bytes())
    data[-3] ^= 1
    victim.write_bytes(data)
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert numbers(run(photos, cache)) == [(0, 0, 18)]
    assert numbers(run(photos, cache, rehash=True)) == [(1, 0, 17)]


def test_pooled_vectors_come_from_the_flattened_store(photos: Path, cache: Path) -> None:
    run(photos, cache, image_size=64)
    derived = run(photos, cache, image_size=64, pools=["avg", "max"])
    assert numbers(derived) == [(0, 18, 0)] * 2
    fresh = cache.with_name("fresh")
    direct = run(photos, fresh, image_size=64, pools=["avg", "max"])
    assert numbers(direct) == [(18, 0, 0)] * 2
    for e, f in zip(derived, direct, strict=True):
        a, b = (load(features=e.label, cache=c).X for c in (cache, fresh))
        assert e.label == f.label
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-5)


def test_one_pass_fills_every_store(photos: Path, cache: Path) -> None:
    done = run(photos, cache, image_size=64, layers=["0", "3"], pools=["flatten", "avg"])
    assert [e.computed for e in done] == [18] * 4
    assert len({e.label for e in done}) == 4
    first = load(features=done[0].label, cache=cache).X
    assert first.min() < 0, "the ReLU that works in place must not change the layer before it"


def test_failures_are_kept_with_their_reasons(photos: Path, cache: Path) -> None:
    (photos / "cat" / "empty.jpg").write_bytes(b"")
    whole = (photos / "cat" / "1.jpg").read_bytes()
    (photos / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "cat" / "notes.txt").write_text("hello")
    (done,) = run(photos, cache, max_failed=2)
    assert (done.rows, len(done.failed)) == (18, 2)
    assert [path for path, _ in done.failed] == ["cat/cut.jpg", "cat/empty.jpg"]
    (again,) = run(photos, cache, max_failed=2)
    assert (again.computed, again.failed) == (0, done.failed)
    assert load(cache=cache).failed["path"].tolist() == ["cat/cut.jpg", "cat/empty.jpg"]
    with pytest.raises(TooManyFailedError, match="2 of 20 images have no vector") as error:
        run(photos, cache, max_failed=1)
    assert [e.rows for e in error.value.results] == [18]  # type: ignore[attr-defined]
    for folder_ in (cache.with_name("other"), cache):  # met for the first time, and known before
        with pytest.raises(ImageError, match=r"cut\.jpg"):
            run(photos, folder_, on_error="raise")


def test_a_bad_image_is_tried_again_only_when_asked(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = photos / "cat" / "0.jpg"
    from featx import images

    real = images.load
    bad = victim.read_bytes()

    def fails(payload: object, pre: object, **options: bool) -> object:
        if payload == bad:
            raise ImageError("not today")
        return real(payload, pre, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "load", fails)
    assert run(photos, cache)[0].failed == (("cat/0.jpg", "not today"),)
    monkeypatch.setattr(images, "load", real)
    assert run(photos, cache)[0].failed == (("cat/0.jpg", "not today"),)
    (retried,) = run(photos, cache, retry_failed=True)
    assert (retried.computed, retried.failed) == (1, ())


def test_another_data_set_keeps_its_failures_while_one_is_tried_again(
    photos: Path, cache: Path
) -> None:
    for name in ("cat", "dog"):
        (photos / name / "0.jpg").write_bytes(b"no image of " + name.encode())
        run(photos / name, cache, name=name, max_failed="50%")
    (retried,) = run(photos / "cat", cache, name="cat", max_failed="50%", retry_failed=True)
    assert (retried.rows, retried.computed) == (5, 0)
    assert [path for path, _ in retried.failed] == ["0.jpg"]
    other = load("dog", cache=cache)
    assert (len(other), other.failed["path"].tolist()) == (5, ["0.jpg"])
    assert other.store.counts()["undecodable"] == 2


def test_an_engine_is_chosen_although_most_images_are_bad(photos: Path, cache: Path) -> None:
    from featx.embedding import pipeline

    entries = [f"{i:03}.jpg" for i in range(5 * pipeline.ROWS)]
    for name in entries:
        (photos / name).write_bytes(name.encode())
    table = photos / "t.csv"
    table.write_text("\n".join(["path", *entries, "cat/0.jpg"]), encoding="utf-8")
    sampled: list[int] = []
    real = pipeline._sample

    def sample(*args: Any) -> Any:
        found = real(*args)
        sampled.append(len(found.images))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_sample", sample)
        patch.setattr("featx.forward.devices.fast_precision", lambda _: "bf16")
        (done,) = run(table, cache, precision="auto", max_failed="100%")
    assert (done.rows, sampled) == (1, [1])


def test_a_damaged_flattened_store_is_not_pooled_from_twice(photos: Path, cache: Path) -> None:
    (flat,) = run(photos, cache)
    for chunk in (flat.store / "features" / "c").rglob("0"):
        if chunk.is_file():
            chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(CorruptStoreError, match="featx extract"):
        run(photos, cache, pools=["avg"])
    (pooled,) = run(photos, cache, pools=["avg"])
    assert (pooled.computed, pooled.derived) == (18, 0)


def test_a_copy_is_computed_once_and_read_once(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx.embedding.reading import Reader

    shutil.copy(photos / "cat" / "0.jpg", photos / "cat" / "copy.jpg")
    for path in photos.rglob("*.jpg"):
        os.utime(path, ns=(1, 1))  # long ago, so that their tokens are kept
    assert run(photos, cache)[0].computed == 18
    monkeypatch.setattr(Reader, "take", None)
    assert run(photos, cache)[0].rows == 19


@pytest.mark.parametrize(
    "option", [{"resize": "stretch"}, {"intensity": "loud"}, {"channels": "x"}, {"page": "-1"}]
)
def test_an_option_that_no_image_can_be_read_with_is_no_images_fault(
    photos: Path, cache: Path, option: dict[str, str]
) -> None:
    with pytest.raises(UsageError):
        run(photos, cache, **option)
    assert not list(cache.glob("*.zarr"))


def test_a_missing_path_of_a_table_is_a_failure(photos: Path, cache: Path) -> None:
    table = photos / "t.csv"
    table.write_text("path,id,score\ncat/0.jpg,007,1.5\ngone.jpg,008,2\n", encoding="utf-8")
    (done,) = run(table, cache, max_failed="50%")
    assert done.rows == 1
    assert done.failed[0][0] == "gone.jpg"
    assert done.columns == ("id", "score")
    found = load(target="score", cache=cache)
    assert found.frame["id"].tolist() == ["007"]
    assert found.y.tolist() == [1.5]


def test_append_adds_next_weeks_table(photos: Path, cache: Path) -> None:
    for week, name in ((1, "cat"), (2, "dog")):
        rows = "".join(f"{name}/{i}.jpg,{week}\n" for i in range(3))
        (photos / f"week{week}.csv").write_text("path,week\n" + rows, encoding="utf-8")
    with pytest.raises(NotFoundError, match="study"):
        run(photos / "week1.csv", cache, name="study", append=True)
    assert not list(cache.glob("*.zarr")), "nothing is computed for a name that is not there"
    run(photos / "week1.csv", cache, name="study")
    (second,) = run(photos / "week2.csv", cache, name="study", append=True)
    assert second.computed == 3
    assert load("study", cache=cache).frame["week"].tolist() == ["1"] * 3 + ["2"] * 3


def test_pages_and_channels_are_items_of_one_image(tmp_path: Path, cache: Path) -> None:
    import tifffile

    stack = np.random.default_rng(0).integers(0, 255, (3, 40, 40), dtype=np.uint8)
    (tmp_path / "data").mkdir()
    tifffile.imwrite(tmp_path / "data" / "s.tif", stack, photometric="minisblack")
    os.utime(tmp_path / "data" / "s.tif", (1, 1))
    with pytest.raises(TooManyFailedError, match="--page"):
        run(tmp_path / "data", cache)
    (done,) = run(tmp_path / "data", cache, page="all")
    assert (done.rows, done.computed) == (3, 1)
    assert numbers(run(tmp_path / "data", cache, page="all")) == [(0, 0, 3)]
    assert load(cache=cache).manifest.item.tolist() == [0, 1, 2]


def test_in_memory_images(cache: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (5, 40, 40, 3), dtype=np.uint8)
    assert numbers(run(images, cache)) == [(5, 0, 0)]
    assert numbers(run(images[::-1].copy(), cache)) == [(0, 0, 5)]


def test_random_weights_are_marked(photos: Path, cache: Path) -> None:
    (done,) = extract(
        photos, backbone="squeezenet1_1", weights="random", image_size=64, cache=cache,
        precision="fp32", limit=2, pools=["avg"],
    )  # fmt: skip
    assert "random" in done.label
    assert "random" in load(cache=cache).label


@pytest.mark.parametrize("value", [{"on_error": "ignore"}, {"decoder": "turbo"}])
def test_wrong_choices(photos: Path, cache: Path, value: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="expected"):
        run(photos, cache, **value)


def test_max_failed() -> None:
    assert parse_max_failed("10%", 55) == 5
    assert parse_max_failed(7, 55) == 7
    assert parse_max_failed("7", 55) == 7
    with pytest.raises(UsageError, match="or 10%"):
        parse_max_failed("few", 55)


def test_stores_of_one_label_are_told_apart(photos: Path, cache: Path) -> None:
    run(photos, cache, limit=3)
    (second,) = run(photos, cache, limit=3, precision="fp32", decoder="pil")
    assert "#" in second.label
    assert load(features=second.label, cache=cache).recipe.numerics == "reference"


def test_a_slip_in_the_second_name_shows_before_the_first_is_computed(
    photos: Path, cache: Path
) -> None:
    with pytest.raises(UsageError, match="nope"):
        run(photos, cache, backbone=[BACKBONE, "nope"])
    assert not list(cache.glob("*.zarr"))


def test_an_empty_name_is_not_this_folder(cache: Path) -> None:
    with pytest.raises(UsageError, match="empty"):
        run("", cache)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"device": "gpu"}, UsageError, "device 'gpu'; give auto, cpu"),
        ({"device": "cuda:99"}, DeviceError, "no device 'cuda:99'"),
        ({"device": "cpu", "precision": "fp16"}, DeviceError, "fp16 needs a GPU"),
        ({"device": "cpu", "decoder": "nvjpeg"}, DeviceError, "nvjpeg decodes on CUDA"),
        ({"backbone": ""}, UsageError, "a backbone without a name"),
        ({"backbone": []}, UsageError, "a backbone without a name"),
    ],
)
def test_what_needs_no_network_is_checked_before_one_is_looked_for(
    photos: Path, cache: Path, wrong: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        extract(photos, cache=cache, **{"backbone": "vgg16", "weights": "nowhere.pth", **wrong})
    assert not cache.exists()


def test_a_cache_that_is_a_file_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file is a file; --cache takes a folder"):
        extract(photos, cache=tmp_path / "file", **OPTIONS)


def test_images_that_no_network_has_room_for_are_refused_first(photos: Path, cache: Path) -> None:
    with pytest.raises(LayerError, match=r"takes at least \d+ GiB in a network, and .* are free"):
        extract(photos, cache=cache, **{**OPTIONS, "image_size": 10**6})


def test_vectors_that_may_not_fit_on_the_disk_are_announced(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    progress = Silent()
    monkeypatch.setattr(progress, "say", said.append)
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=100))
    extract(photos, cache=cache, progress=progress, **OPTIONS)
    assert any("0 MiB are free in" in line and line.endswith("may not fit") for line in said)
    said.clear()
    extract(photos, cache=cache, progress=progress, **OPTIONS)
    assert not any("may not fit" in line for line in said)


def test_the_rate_does_not_count_the_time_before_the_network_is_ready(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    progress = Silent()
    monkeypatch.setattr(progress, "say", events.append)
    monkeypatch.setattr(progress, "start", lambda task, total: events.append(f"{task} {total}"))
    extract(photos, cache=cache, progress=progress, **OPTIONS)
    told = [event.split()[0] for event in events if event.startswith(("running ", "embedding "))]
    assert told == ["running", "embedding"]
    del events[:]
    extract(photos, cache=cache, progress=progress, **OPTIONS)
    assert not [event for event in events if event.startswith("embedding")]
