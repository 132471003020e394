"""A plan says what an extraction then does, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_cli import featx as command
from helpers_photos import folder, photo

import featx
from featx import _memory
from featx.cli.plan_cmd import extraction, lines
from featx.errors import HeadTaskError, SourceNotFoundError, UnknownNameError, UsageError
from featx.evaluate import Spec, foresee
from featx.planning import Plan, PlannedBackbone, disk, memory, probe
from featx.planning import plan as planned
from featx.recipe import Recipe
from featx.store import FeatureStore

BACKBONE = "helpers_photos:tiny"
OPTIONS: dict[str, Any] = {"backbone": BACKBONE, "image_size": 32, "precision": "fp32"}
WORDS = f"--backbone {BACKBONE} --image-size 32 --precision fp32".split()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos", per_class=20)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with its size and time."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in found}


def only(made: Plan) -> PlannedBackbone:
    (one,) = made.backbones
    return one


def added(store: Path, before: int = 0) -> int:
    return FeatureStore.open(store).size_bytes() - before


def test_what_is_planned_is_what_is_then_computed_and_stored(photos: Path, cache: Path) -> None:
    made = planned(photos, cache=cache, pools=["flatten", "avg"], **{**OPTIONS, "image_size": 64})
    done = featx.extract(
        photos, cache=cache, pools=["flatten", "avg"], **{**OPTIONS, "image_size": 64}
    )
    one = only(made)
    assert (made.images, made.missing, one.compute, one.cached) == (60, 0, 60, 0)
    assert [store.label for store in one.stores] == [e.label for e in done]
    assert [store.dim for store in one.stores] == [e.dim for e in done]
    for store, extracted in zip(one.stores, done, strict=True):
        assert (store.rows, extracted.computed) == (60, 60)
        assert store.size_bytes == pytest.approx(added(extracted.store), rel=0.1)
    assert one.size_bytes == made.size_bytes == sum(s.size_bytes for s in one.stores)
    assert one.seconds == pytest.approx(one.start_s + 60 / one.images_per_second)
    assert made.seconds == one.seconds
    assert one.bound_by in one.busy
    assert all(0 <= share <= 1 for share in one.busy.values())
    assert one.memory_bytes is not None
    assert 2**26 < one.memory_bytes < made.memory_free_bytes
    assert any(note.startswith("running ") for note in one.notes)


def test_several_workers_share_the_images(photos: Path, cache: Path) -> None:
    made = planned(photos, cache=cache, workers=4, **OPTIONS)
    one = only(made)
    of_each = 15 / one.images_per_second
    assert one.seconds == pytest.approx(2 * one.start_s + of_each)
    assert one.read_bytes == sum(p.stat().st_size for p in photos.rglob("*.jpg"))
    assert [store.blocks for store in one.stores] == [1]
    assert (made.workers, made.to_json()["workers"]) == (4, 4)
    with pytest.raises(UsageError, match="workers is 0"):
        planned(photos, cache=cache, workers=0, **OPTIONS)


def test_on_a_full_disk_it_says_that_nothing_fits(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=1000))
    made = planned(photos, cache=cache, **OPTIONS)
    assert not made.fits_on_disk
    assert made.size_bytes > 1000


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_bytes_are_those_of_the_compression(photos: Path, cache: Path, compression: Any) -> None:
    options = {**OPTIONS, "image_size": 96, "dtype": "float32", "compression": compression}
    (store,) = only(planned(photos, cache=cache, **options)).stores
    (done,) = featx.extract(photos, cache=cache, **options)
    assert store.size_bytes == pytest.approx(added(done.store), rel=0.1)
    assert (store.share == 1) == (compression == "none")


@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_left(photos: Path, tmp_path: Path, there: bool) -> None:
    cache = tmp_path / "some" / "cache"
    if there:
        featx.extract(photos, cache=cache, limit=30, **OPTIONS)
    before, folders = listing(tmp_path), sorted(tmp_path.rglob("*"))
    made = planned(photos, cache=cache, **OPTIONS)
    assert only(made).compute == (30 if there else 60)
    assert listing(tmp_path) == before
    assert sorted(tmp_path.rglob("*")) == folders


def test_an_interrupt_leaves_nothing(
    photos: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    folders = sorted(tmp_path.rglob("*"))

    def stop(*_: Any) -> None:
        assert sorted(tmp_path.rglob("*")) != folders
        raise KeyboardInterrupt

    monkeypatch.setattr(disk.os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        planned(photos, cache=cache, **OPTIONS)
    assert sorted(tmp_path.rglob("*")) == folders


def test_cached_bad_and_missing_images_are_counted(photos: Path, cache: Path) -> None:
    (photos / "cat" / "cut.jpg").write_bytes(b"no image")
    os.utime(photos / "cat" / "cut.jpg", (1, 1))
    names = [f"{name}/{i}.jpg" for name in ("cat", "dog") for i in range(5)]
    table = photos / "t.csv"
    table.write_text("\n".join(["path,age", *(f"{n},{i}" for i, n in enumerate(names))]) + "\n")
    featx.extract(photos / "cat", cache=cache, **OPTIONS)
    with table.open("a") as file:
        file.write("cat/cut.jpg,3\ngone.jpg,4\n")
    made = planned(table, cache=cache, label_column="age", **OPTIONS)
    one = only(made)
    assert (made.images, made.missing) == (12, 1)
    assert (one.compute, one.cached, one.undecodable, one.derived) == (5, 5, 1, 0)
    assert made.target.endswith("classes of column 'age'")


def test_all_cached_needs_no_network(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    featx.extract(photos, cache=cache, **OPTIONS)
    monkeypatch.setattr("featx.planning.probe.run_pass", None)
    one = only(planned(photos, cache=cache, **OPTIONS))
    assert (one.compute, one.cached, one.size_bytes, one.bound_by) == (0, 60, 0, "")
    assert one.images_per_second is None
    assert one.memory_bytes is None
    assert [head.head for head in one.stores[0].heads] == ["svm", "ridge", "logreg", "mlp"]


def test_pooled_images_are_counted_apart(photos: Path, cache: Path) -> None:
    options = {**OPTIONS, "image_size": 64}
    featx.extract(photos, cache=cache, limit=50, **options)
    one = only(planned(photos, cache=cache, pools=["avg"], **options))
    assert (one.compute, one.derived, one.cached) == (10, 50, 0)
    assert one.stores[0].rows == 60


def test_images_under_another_name_are_known_by_their_bytes(photos: Path, cache: Path) -> None:
    featx.extract(photos, cache=cache, limit=50, **OPTIONS)
    copied = shutil.copytree(photos, photos.with_name("copied"))
    shutil.copy(copied / "dog" / "19.jpg", copied / "dog" / "again.jpg")
    before = listing(cache)
    one = only(planned(copied, cache=cache, **OPTIONS))
    assert listing(cache) == before
    assert (one.compute, one.cached, one.copies, one.stores[0].rows) == (10, 50, 1, 10)
    (done,) = featx.extract(copied, cache=cache, **OPTIONS)
    assert (done.computed, done.reused) == (10, 51)


def test_a_plan_reads_no_more_files_than_it_has_time_for(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    featx.extract(photos, cache=cache, **OPTIONS)
    copied = shutil.copytree(photos, photos.with_name("copied"))
    monkeypatch.setattr("featx.planning.known.READ_AT_MOST", 1000)
    one = only(planned(copied, cache=cache, **OPTIONS))
    assert one.compute == 60
    assert any("60 files" in note and "were not read" in note for note in one.notes)


def test_an_image_that_is_there_twice_is_computed_once(photos: Path, cache: Path) -> None:
    shutil.copy(photos / "dog" / "0.jpg", photos / "cat" / "dog.jpg")
    result = command("plan", str(photos), *WORDS, "--cache", str(cache))
    assert "60 images to compute, 0 cached, 1 the same as another" in result.stdout
    assert featx.extract(photos, cache=cache, **OPTIONS)[0].computed == 60


def test_images_elsewhere_are_not_fetched_to_be_known(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    featx.extract(photos, cache=cache, **OPTIONS)
    moved = photos.rename(photos.with_name("moved"))
    monkeypatch.setattr("featx.sources.Entry.elsewhere", True)
    one = only(planned(moved, cache=cache, **OPTIONS))
    assert (one.compute, one.cached) == (60, 0)
    assert any("60 of 60 images tried are cached already" in note for note in one.notes)


def test_pages_are_rows(tmp_path: Path, cache: Path) -> None:
    import tifffile

    stack = np.random.default_rng(0).integers(0, 255, (2, 3, 40, 40), dtype=np.uint8)
    (tmp_path / "data").mkdir()
    for i, pages in enumerate(stack):
        tifffile.imwrite(tmp_path / "data" / f"{i}.tif", pages, photometric="minisblack")
    (store,) = only(planned(tmp_path / "data", cache=cache, page="all", **OPTIONS)).stores
    assert store.rows == 6


VIEWS: dict[str, Any] = {**OPTIONS, "augment": "light"}


def test_views_are_planned_as_they_are_then_computed_and_stored(photos: Path, cache: Path) -> None:
    made = planned(photos, cache=cache, views=4, **VIEWS)
    one = only(made)
    assert (made.views, one.compute, one.compute_views, one.stores[0].rows) == (4, 60, 240, 240)
    assert one.seconds == pytest.approx(one.start_s + 60 / one.images_per_second)
    (whole,) = featx.extract(photos, cache=cache.with_name("other"), views=4, **VIEWS)
    assert one.size_bytes == pytest.approx(added(whole.store), rel=0.1)
    (few,) = featx.extract(photos, cache=cache, views=2, **VIEWS)
    before, rest = added(few.store), only(planned(photos, cache=cache, views=4, **VIEWS))
    assert (rest.compute, rest.compute_views, rest.stores[0].rows) == (60, 120, 120)
    assert rest.seconds == pytest.approx(rest.start_s + 30 / rest.images_per_second)
    (done,) = featx.extract(photos, cache=cache, views=4, **VIEWS)
    assert (done.rows, done.store) == (240, few.store)
    expected = added(done.store, before) + disk._METADATA_BYTES  # counted, though there
    assert rest.size_bytes == pytest.approx(expected, rel=0.1)
    for views in (2, 4):
        none = only(planned(photos, cache=cache, views=views, **VIEWS))
        assert (none.compute, none.compute_views, none.cached) == (0, 0, 60)


def test_views_that_are_pooled_are_counted(photos: Path, cache: Path) -> None:
    options = {**VIEWS, "image_size": 64, "views": 3}
    featx.extract(photos, cache=cache, limit=50, **options)
    one = only(planned(photos, cache=cache, pools=["avg"], **options))
    assert (one.compute, one.compute_views, one.derived) == (10, 30, 50)
    assert one.stores[0].rows == 180


def test_heads_are_planned_for_all_views_of_an_image(photos: Path, cache: Path) -> None:
    made = planned(photos, cache=cache, heads=["knn"], views=5, **VIEWS)
    (head,) = only(made).stores[0].heads
    y = np.repeat(["bird", "cat", "dog"], 20)
    dim = only(made).stores[0].dim
    expected = foresee((300, dim), "float16", y, Spec("knn"), free=made.memory_free_bytes)
    assert head.size_bytes == expected.size_bytes
    featx.extract(photos, cache=cache, views=5, **VIEWS)
    cached = only(planned(photos, cache=cache, heads=["knn"], views=5, **VIEWS))
    assert cached.stores[0].heads[0].size_bytes == head.size_bytes


def test_few_images_are_tried_where_each_has_many_views() -> None:
    assert probe._more(1) == probe.MORE
    assert probe._more(8) == (16, 64)
    assert probe._more(1000) == (2, 2)


def test_the_command_passes_views_on(photos: Path, cache: Path) -> None:
    words = [str(photos), *WORDS, "--views", "3", "--augment", "light", "--cache", str(cache)]
    text = command("plan", *words).stdout
    assert "60 images to compute (180 views), 0 cached" in text
    joined = " ".join(text.split())
    assert "images/s of 3 views, bound by" in joined
    assert "values a view" in joined
    after = text.splitlines()[-1].removeprefix("next: featx ").split()
    assert after == ["extract", *words]
    refused = command("plan", str(photos), *WORDS, "--views", "3")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "--augment" in refused.stderr


def test_images_that_all_fail_give_no_time(tmp_path: Path, cache: Path) -> None:
    for i in range(3):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / f"{i}.jpg").write_bytes(bytes([i]))
    made = planned(tmp_path / "data", cache=cache, **OPTIONS)
    assert (only(made).compute, made.seconds) == (3, None)
    assert any("3 of 3 images tried have no vector" in note for note in only(made).notes)
    assert any("no time can be told" in line for line in lines(made.to_json() | {"next": ""}))


def test_a_damaged_store_is_told_and_not_marked(photos: Path, cache: Path) -> None:
    (done,) = featx.extract(photos, cache=cache, **OPTIONS)
    (done.store / "digest" / "c" / "0" / "0").write_bytes(b"x")
    before = listing(cache)
    one = only(planned(photos, cache=cache, **OPTIONS))
    assert one.compute == 60
    assert any("is damaged" in note for note in one.notes)
    assert listing(cache) == before


def test_a_head_that_does_not_fit_says_so(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = only(planned(photos, cache=cache, heads=["knn", "svm"], **OPTIONS))
    assert [head.fits for head in roomy.stores[0].heads] == [True, True]
    monkeypatch.setenv("FEATX_MEMORY_GIB", "0.1")
    made = planned(photos, cache=cache, heads=["knn"], **OPTIONS)
    (head,) = only(made).stores[0].heads
    assert not head.fits
    assert "0.1 GiB are free: use fewer rows, or pooled features, or --head svm" in head.why
    assert head.size_bytes == pytest.approx(roomy.stores[0].heads[0].size_bytes, rel=0.01)
    assert not made.fits_in_memory
    text = " ".join(" ".join(lines(made.to_json() | {"next": ""})).split())
    assert f"no knn: {head.why}" in text
    assert "warning: of memory only 102 MiB are free" in text


def test_memory_of_a_fit_is_that_of_the_fit_itself() -> None:
    """The numbers of `test_evaluate_room.py`."""
    y = np.arange(50_000) % 3
    tight = foresee((50_000, 768), "float16", y, Spec("knn", search=False), free=2**30)
    assert tight.jobs == 0
    assert "knn on 50,000 x 768" in tight.why
    free = 8 * 2**30
    assert foresee((12_500, 25_088), "float16", y[:12_500], Spec("svm"), free=free).jobs > 0


@pytest.mark.parametrize(
    ("label", "heads", "target"),
    [
        ("label", ["svm", "ridge", "logreg", "mlp"], "2 classes of column 'label'"),
        ("score", ["svr", "ridge", "mlp"], "numbers of column 'score'"),
        ("nothing", ["svm", "ridge", "logreg", "mlp"], "no labels in a column 'nothing'"),
    ],
)
def test_heads_suit_the_target(
    photos: Path, cache: Path, label: str, heads: list[str], target: str
) -> None:
    rows = [f"{n}/{i}.jpg,{n},{i + 0.5}" for n in ("cat", "dog") for i in range(10)]
    (photos / "t.csv").write_text("\n".join(["path,label,score", *rows]), encoding="utf-8")
    made = planned(photos / "t.csv", cache=cache, label_column=label, **OPTIONS)
    assert target in made.target
    assert [head.head for head in only(made).stores[0].heads] == heads
    assert all(head.fits for head in only(made).stores[0].heads)


@pytest.mark.parametrize("n", [3, 40])
def test_a_folder_without_labels_has_no_classes(photos: Path, cache: Path, n: int) -> None:
    flat = photos / "cat"
    for i in range(20, 40):
        photo(flat / f"{i}.jpg", (200, 60, 60), seed=i)
    result = command("plan", str(flat), *WORDS, "--cache", str(cache), "--limit", str(n))
    k = {3: 2, 40: 4}[n]
    assert f"(no labels known: as for {k} classes, 5 folds)" in " ".join(result.stdout.split())
    assert "'0'" not in result.stdout


def test_a_class_too_small_for_five_folds_is_told(photos: Path, cache: Path) -> None:
    for i in range(2, 20):
        (photos / "cat" / f"{i}.jpg").unlink()
    made = planned(photos, cache=cache, heads=["svm", "ridge"], **OPTIONS)
    head, _ = only(made).stores[0].heads
    assert (head.fits, head.size_bytes) == (False, None)
    assert "cat" in head.why
    told = [line for line in lines(made.to_json() | {"next": ""}) if line.startswith("  no ")]
    assert [line.startswith("  no svm, ridge: class 'cat'") for line in told] == [True]


def test_a_full_disk_is_a_warning(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.planning.make.free_bytes", lambda _: 1000)
    made = planned(photos, cache=cache, **OPTIONS)
    assert not made.fits_on_disk
    text = "\n".join(lines(made.to_json() | {"next": ""}))
    assert "do not fit on the disk, where 1000 B are free" in text


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"decoder": "turbo"}, UsageError),
        ({"resize": "stretch"}, UsageError),
        ({"compression": "zip"}, UnknownNameError),
        ({"backbone": [BACKBONE, "nope"]}, UsageError),
        ({"heads": ["svn"]}, UnknownNameError),
        ({"heads": ["svr"]}, HeadTaskError),
        ({"layer": "0"}, UnknownNameError),
        ({"retry_failed": True}, UnknownNameError),
    ],
)
def test_a_slip_is_told_before_anything_is_tried(
    photos: Path, cache: Path, options: Any, error: type[Exception], monkeypatch: Any
) -> None:
    monkeypatch.setattr("featx.planning.probe.run_pass", None)
    with pytest.raises(error):
        planned(photos, cache=cache, **(OPTIONS | options))
    assert not cache.exists()


def test_several_backbones_are_added_up(photos: Path, cache: Path) -> None:
    made = planned(photos, cache=cache, **(OPTIONS | {"backbone": [BACKBONE, BACKBONE]}))
    first, second = made.backbones
    assert made.seconds == pytest.approx(first.seconds + second.seconds)
    assert made.size_bytes == first.size_bytes + second.size_bytes
    text = list(lines(made.to_json() | {"next": ""}))
    assert sum(line.startswith("all: about ") for line in text) == 1


def test_data_that_is_not_there(cache: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        planned("nowhere", cache=cache, **OPTIONS)


def test_the_demos_table_is_not_left_in_the_cache(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def table(into: Path) -> Path:
        (into / "demo").mkdir(parents=True)
        path = into / "demo" / "elpv.csv"
        path.write_text(f"path\n{photos / 'cat' / '0.jpg'}\n", encoding="utf-8")
        return path

    monkeypatch.setattr("featx.demo.demo_table", table)
    assert planned(cache=cache, **OPTIONS).images == 1
    assert not cache.exists()


def test_the_command(photos: Path, cache: Path) -> None:
    words = ["plan", str(photos), *WORDS, "--cache", str(cache), "--head", "svm", "--head=knn"]
    result = command(*words)
    assert result.exit_code == 0, result.stderr
    text = result.stdout
    assert "60 images to compute, 0 cached" in text
    for part in ("about ", "images/s, bound by ", "% busy", "on disk (compressed to ", " free"):
        assert part in text
    assert "peak memory about" in text
    assert "heads: svm" in text
    assert "knn" in text
    after = text.splitlines()[-1].removeprefix("next: featx ").split()
    assert after == ["extract", str(photos), *WORDS, "--cache", str(cache)]
    assert not cache.exists()
    assert command(*after).exit_code == 0
    again = command(*words).stdout
    assert "0 images to compute, 60 cached" in again
    assert "about" not in again


def test_the_command_as_json(photos: Path, cache: Path) -> None:
    words = ["plan", str(photos), *WORDS, "--cache", str(cache), "--json"]
    value = json.loads(command(*words).stdout)
    (one,) = value["backbones"]
    assert (value["images"], one["compute"], value["bytes"]) == (60, 60, one["bytes"])
    assert isinstance(value["seconds"], float)
    assert isinstance(one["stores"][0]["bytes"], int)
    assert one["stores"][0]["heads"][0]["fits"] is True
    assert value["next"].startswith("featx extract ")
    assert "--json" not in value["next"]


@pytest.mark.parametrize(
    "wrong", [["--image-size", "big"], ["--mean", "a,b"], ["--engine", "warp"], ["--limit", "0"]]
)
def test_a_wrong_flag_is_told_as_the_extraction_does(photos: Path, wrong: list[str]) -> None:
    words = [str(photos), "--backbone", BACKBONE, *wrong]
    plan, extract = command("plan", *words), command("extract", *words)
    assert plan.exit_code == extract.exit_code == 2
    assert plan.stderr.replace("featx plan", "featx extract") == extract.stderr


def test_words_of_the_extraction() -> None:
    argv = ["--debug", "plan", "a b", "--head", "svm,knn", "--quiet", "--pool", "avg"]
    argv += ["--workers", "3", "--workers=4"]
    assert extraction(argv) == ["extract", "a b", "--pool", "avg"]


def test_every_option_of_a_plan_is_one_of_an_extraction() -> None:
    import typer

    from featx.cli.app import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = {
        name: {flag for p in commands[name].params for flag in p.opts}
        for name in ("plan", "extract")
    }
    assert options["plan"] - options["extract"] == {"--head", "--workers"}
    of_the_moment = {"--name", "--append", "--on-error", "--retry-failed", "--rehash"}
    assert options["extract"] - options["plan"] == of_the_moment | {"--max-failed", "--dask"}


def test_the_rate_is_that_of_the_later_images(photos: Path) -> None:
    class Done:
        recipes = (Recipe("tiny", "00", "output", "avg"),)

        class located:  # noqa: N801
            computed = 128

            class timing:  # noqa: N801
                run_s = 10.0
                busy = {"forward": 0.5}  # noqa: RUF012

    slow = list(np.linspace(1, 9, 64))
    fast = list(9 + np.linspace(1 / 64, 1, 64))
    assert probe._image_s(Done(), slow + fast) == pytest.approx(5 / 128)  # type: ignore[arg-type]
    Done.located.timing.busy = {"forward": 0.1}
    assert probe._image_s(Done(), slow + fast) == pytest.approx(1 / 64)  # type: ignore[arg-type]


def test_blocks_of_a_slow_network_are_written_before_they_are_full() -> None:
    assert disk.blocks(1000, 100, None) == 10
    assert disk.blocks(1000, 100, 1000.0) == 10
    assert disk.blocks(1000, 100, 1.0) == 50
    assert disk.blocks(3, 100, 1e-3) == 3
    assert disk.blocks(0, 100, 1.0) == 0


def test_memory_of_writing_is_bounded_by_the_threads() -> None:
    few, many = memory.writing_bytes(100, 1, 0.5), memory.writing_bytes(100, 10**6, 0.5)
    assert few == 150
    assert many == 100 * (1 + memory.writers()) + 50 * memory.writers()


def said_by(code: str, *words: str) -> list[int]:
    """Run Python beside the helpers, and give the numbers that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [int(word) for word in done.stdout.split()]


GROWTH = """
import numpy as np
from featx._memory import peak_bytes
before = peak_bytes()
held = np.ones(2**25)
after = peak_bytes()
del held
print(before, after, peak_bytes())
"""


def test_the_peak_of_a_process_grows_and_stays() -> None:
    before, after, later = said_by(GROWTH)
    assert 2**20 < before < 2**30
    assert 0.9 * 2**28 < after - before < 1.2 * 2**28
    assert later >= 0.99 * after  # the system counts in steps
    if sys.platform != "win32":
        assert _memory._posix() >= 0.5 * _memory.peak_bytes()


PLANNED = """
import sys, featx
from featx._memory import peak_bytes
options = dict(backbone="helpers_photos:tiny", image_size=96, precision="fp32", cache=sys.argv[2])
if sys.argv[3] == "plan":
    print(featx.plan(sys.argv[1], **options).backbones[0].memory_bytes)
else:
    featx.extract(sys.argv[1], **options)
    print(peak_bytes())
"""


@pytest.mark.slow
def test_memory_is_what_the_extraction_then_takes(photos: Path, cache: Path) -> None:
    words = [str(photos), str(cache)]
    [expected], [taken] = (said_by(PLANNED, *words, what) for what in ("plan", "extract"))
    assert 0.9 * taken < expected < 1.5 * taken


def test_a_photo_can_be_added(photos: Path, cache: Path) -> None:
    featx.extract(photos, cache=cache, **OPTIONS)
    photo(photos / "cat" / "new.jpg", (9, 9, 9), 999)
    made = featx.plan(photos, cache=cache, **OPTIONS)
    assert (only(made).compute, only(made).cached) == (1, 60)
