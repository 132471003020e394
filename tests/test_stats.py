"""One pass over the files tells what numpy tells of all pixels at once."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_images import encode, pixels, tiff
from helpers_photos import folder, photo
from PIL import Image

import featx
from featx import images
from featx.cli.jsonable import jsonable
from featx.errors import SourceError, SourceReadError, TargetError, UnknownNameError, UsageError
from featx.recipe import Preprocess
from featx.surveying import reading
from featx.tallies import Amounts, Classes


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def flat(paths: list[Path]) -> np.ndarray:
    """All pixels of images that are RGB on disk, one after the other, 0 to 1."""
    every = [np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3) for path in paths]
    return np.concatenate(every) / 255


def agree(found: Any, x: np.ndarray) -> None:
    assert found.n == len(x)
    assert found.mean == pytest.approx(x.mean(axis=0), rel=1e-10)  # which numpy rounds, not featx
    assert found.std == pytest.approx(x.std(axis=0), rel=1e-10)


def test_a_folder_of_classes(tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", per_class=11)
    photo(photos / "dog" / "large.jpg", (9, 9, 9), 1, size=90)
    put(photos / "notes.txt", b"none")
    found = featx.stats(photos)
    agree(found.pixels, flat(sorted(photos.glob("*/*.jpg"))))
    assert found.normalize == found.pixels
    assert (found.images, found.files, found.ignored, found.failed) == (34, 34, 1, ())
    assert found.size_bytes == sum(p.stat().st_size for p in photos.glob("*/*.jpg"))
    assert found.kinds == {"JPEG RGB": 34}
    assert found.sizes is not None
    assert (found.sizes.width.median, found.sizes.height.greatest) == (48, 90)
    assert found.sizes.frequent == ((48, 40, 33), (98, 90, 1))
    (label,) = found.targets
    assert isinstance(label, Classes)
    assert label.counts == {"dog": 12, "bird": 11, "cat": 11}
    assert found.sides is None
    assert "34" in repr(found)
    assert ">mean</th>" in found._repr_html_()


def test_each_file_is_read_and_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = folder(tmp_path / "photos", per_class=2)
    rows = ["path,label", *(f"{c}/{i}.jpg,{c}" for c in ("cat", "dog") for i in (0, 1, 0))]
    table = put(photos / "t.csv", "\n".join(rows).encode())
    seen, lock, look = Counter[bytes](), threading.Lock(), images.look

    def counted(payload: bytes, pre: Preprocess) -> images.Look:
        with lock:
            seen[payload] += 1
        return look(payload, pre)

    monkeypatch.setattr(images, "look", counted)
    found = featx.stats(table)
    assert set(seen.values()) == {1}
    assert (found.images, found.files, len(seen)) == (6, 4, 4)
    assert not found.copies.same_bytes
    agree(found.pixels, flat([photos / f"{c}/{i}.jpg" for c in ("cat", "dog") for i in (0, 1, 0)]))


ODD: dict[str, bytes] = {
    "cut.jpg": encode(pixels(40, 30), "JPEG")[:-200],
    "empty.jpg": b"",
    "text.jpg": b"this is no image",
    "dot.png": encode(np.array([[[255, 0, 51]]], dtype=np.uint8)),
    "gray.png": encode(pixels(20, 30, None)),
    "clear.png": encode(Image.fromarray(pixels(9, 8, 4), "RGBA").quantize(16)),
    "print.jpg": encode(Image.fromarray(pixels(16, 16)).convert("CMYK"), "JPEG"),
    "turned.jpg": encode(Image.fromarray(pixels(20, 40)), "JPEG", exif=b""),
    "moving.gif": encode(
        Image.fromarray(pixels(10, 10)), "GIF", save_all=True,
        append_images=[Image.fromarray(pixels(10, 10, seed=1))],
    ),
    "deep.tif": tiff(np.arange(100, dtype=np.uint16).reshape(10, 10) * 40),
}  # fmt: skip


def odd(root: Path) -> Path:
    for name, data in ODD.items():
        put(root / name, data)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels(20, 40)).save(root / "turned.jpg", exif=exif)
    return root


def test_odd_files_are_counted_each_with_its_reason(tmp_path: Path) -> None:
    found = featx.stats(odd(tmp_path / "odd"))
    why = {failed.path: failed for failed in found.failed}
    assert set(why) == {"cut.jpg", "empty.jpg", "text.jpg", "moving.gif", "deep.tif"}
    assert {name for name, one in why.items() if one.option} == {"moving.gif", "deep.tif"}
    assert why["cut.jpg"].reason.startswith("truncated")
    assert "--page 0" in why["moving.gif"].reason
    assert "uint16 values 0 to 3960" in why["deep.tif"].reason
    assert found.kinds == {
        "PNG RGB": 1,
        "PNG gray": 1,
        "PNG palette with alpha": 1,
        "JPEG CMYK": 1,
        "JPEG RGB": 1,
    }
    assert found.sizes is not None
    assert (20, 40, 1) in found.sizes.frequent  # upright
    assert found.sizes.width.least == 1


def test_pixels_are_those_that_featx_sees(tmp_path: Path) -> None:
    root = odd(tmp_path / "odd")
    found = featx.stats(root, page="0", intensity="dtype")
    every = []
    for name in sorted(ODD):
        path = root / name
        if name not in ("cut.jpg", "empty.jpg", "text.jpg"):
            if name == "deep.tif":
                values = np.arange(100).reshape(10, 10) * 40 / 65535
                every.append(np.stack([values] * 3, axis=2).reshape(-1, 3))
                continue
            with Image.open(path) as image:
                size = image.size if name == "turned.jpg" else image.size[::-1]
            pre = Preprocess(image_size=size, resize="none", page="0")
            (one,) = images.load(path.read_bytes(), pre)
            every.append(one.reshape(-1, 3) / 255)
    x = np.concatenate(every)
    assert found.pixels is not None
    assert found.pixels.n == len(x)
    assert found.pixels.mean == pytest.approx(x.mean(axis=0), rel=1e-7)
    assert found.pixels.std == pytest.approx(x.std(axis=0), rel=1e-7)
    assert found.kinds["TIFF gray uint16"] == 1


def test_every_page_counts(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 255, (3, 20, 30), dtype=np.uint8)
    put(tmp_path / "d" / "a.tif", tiff(stack, photometric="minisblack"))
    found = featx.stats(tmp_path / "d", page="all")
    assert found.pixels is not None
    assert found.pixels.mean == pytest.approx([stack.mean() / 255] * 3)
    assert found.sizes is not None
    assert found.sizes.frequent == ((30, 20, 3),)
    assert found.kinds == {"TIFF gray": 1}


def test_copies_by_bytes_and_by_pixels(tmp_path: Path) -> None:
    root, image = tmp_path / "d", pixels(20, 20)
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        put(root / name, encode(image))
    put(root / "b" / "4.bmp", encode(image, "BMP"))
    put(root / "b" / "5.png", encode(pixels(20, 20, seed=7)))
    put(root / "b" / "6.png", encode(np.ascontiguousarray(image[::-1])))  # as many of each value
    put(root / "b" / "7.jpg", b"bad")
    put(root / "b" / "8.jpg", b"bad")
    copies = featx.stats(root).copies
    assert copies.same_bytes == (("a/1.png", "a/2.png", "b/3.png"), ("b/7.jpg", "b/8.jpg"))
    assert copies.same_pixels == (("a/1.png", "a/2.png", "b/3.png", "b/4.bmp"),)
    (clash,) = copies.contradicting["label"]
    assert (clash.rows, clash.values) == ((0, 1, 2, 3), ("a", "b"))
    assert copies.across == ()


def split_folder(root: Path) -> Path:
    for side in ("train", "test"):
        folder(root / side, per_class=3)
    put(root / "test" / "cat" / "again.jpg", (root / "train" / "cat" / "1.jpg").read_bytes())
    for i in range(3):  # else these are the same as those of train
        photo(root / "test" / "dog" / f"{i}.jpg", (1, 2, 3), 900 + i)
    return root


def test_a_split_folder_is_normalized_by_what_trains(tmp_path: Path) -> None:
    root = split_folder(tmp_path / "d")
    found = featx.stats(root)
    assert found.sides is not None
    assert found.sides.column == "split"
    assert found.sides.counts == {"train": 9, "test": 10}
    agree(found.normalize, flat(sorted((root / "train").rglob("*.jpg"))))
    agree(found.pixels, flat(sorted(root.rglob("*.jpg"))))
    across = [set(clash.values) for clash in found.copies.across]
    assert across == [{"train", "test"}] * 6


def test_a_column_says_what_trains(tmp_path: Path) -> None:
    photos = folder(tmp_path / "p", per_class=2)
    frame = pd.DataFrame(
        {
            "path": [f"{c}/{i}.jpg" for c in ("cat", "dog") for i in (0, 1)],
            "part": ["Training", "test", "Training", None],
            "other": ["dev", "fit", "dev", "fit"],
            "age": [31, 4, 5, 6],
        }
    )
    both = featx.stats(frame, root=photos)
    assert both.sides is None
    assert both.notes == ("columns 'part', 'other' say which rows train: choose one with --split",)
    one = featx.stats(frame, root=photos, split="part")
    assert one.sides is not None
    assert one.sides.counts == {"train": 2, "test": 1}
    agree(one.normalize, flat([photos / "cat" / "0.jpg", photos / "dog" / "0.jpg"]))
    for split, error in (("age", TargetError), ("prt", UnknownNameError)):
        with pytest.raises(error):
            featx.stats(frame, root=photos, split=split)


def test_numbers_classes_and_missing_values(tmp_path: Path) -> None:
    photos = folder(tmp_path / "p", per_class=10)
    paths = [f"{c}/{i}.jpg" for c in ("cat", "dog", "bird") for i in range(10)]
    frame = pd.DataFrame({"path": paths, "age": [str(i) for i in range(28)] + ["NA", "old"]})
    frame["kind"] = ["x", "y", None] * 10
    found = featx.stats(frame, root=photos, target=["age", "kind"], missing=["NA"])
    age, kind = found.targets
    assert isinstance(age, Amounts)
    assert isinstance(kind, Classes)
    assert (age.n, age.missing, age.strange) == (28, 1, {"old": 1})
    assert age.mean == np.mean(range(28))
    assert (kind.counts, kind.missing) == ({"x": 10, "y": 10}, 10)
    assert [(c.name, c.kind, c.missing) for c in found.columns] == [
        ("path", "text", 0), ("age", "text", 1), ("kind", "text", 10),
    ]  # fmt: skip
    with pytest.raises(UnknownNameError, match="age"):
        featx.stats(frame, root=photos, target="agee")


def test_a_column_without_a_value_is_told(tmp_path: Path) -> None:
    photos = folder(tmp_path / "p", per_class=1)
    frame = pd.DataFrame({"path": ["cat/0.jpg"], "label": [None]})
    (label,) = featx.stats(frame, root=photos).targets
    assert (label.n, label.missing) == (0, 1)


def test_a_missing_path_is_a_failure_of_its_row(tmp_path: Path) -> None:
    photos = folder(tmp_path / "p", per_class=1)
    table = put(photos / "t.csv", b"path,label\ncat/0.jpg,cat\ngone.jpg,cat\n,dog\ndog/0.jpg,dog\n")
    found = featx.stats(table)
    assert [one.path for one in found.failed] == ["gone.jpg", ""]
    assert "no such file" in found.failed[0].reason
    assert found.images == 4
    assert found.targets[0].n == 4


def test_images_in_memory() -> None:
    array = np.stack([pixels(12, 10), pixels(12, 10, seed=3)])
    found = featx.stats(array)
    agree(found.pixels, array.reshape(-1, 3) / 255)
    assert (found.size_bytes, found.kinds) == (None, {"array RGB": 2})


def test_an_empty_folder_and_bad_options_are_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no image in"):
        featx.stats(tmp_path)
    with pytest.raises(UsageError, match="--intensity"):
        featx.stats(folder(tmp_path / "p", per_class=1), intensity="bright")


def test_where_nothing_can_be_read_there_are_no_pixels(tmp_path: Path) -> None:
    put(tmp_path / "d" / "a.jpg", b"x")
    found = featx.stats(tmp_path / "d")
    assert (found.pixels, found.sizes, found.kinds) == (None, None, {})
    assert json.dumps(jsonable(found), allow_nan=False)


def test_a_failing_disk_is_no_bad_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = folder(tmp_path / "p", per_class=1)

    def fail(*_: object) -> None:
        raise SourceReadError("the disk")

    monkeypatch.setattr("featx.sources.Entry.read", fail)
    with pytest.raises(SourceReadError):
        featx.stats(photos)


def test_few_images_are_held_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = folder(tmp_path / "p", per_class=40)
    monkeypatch.setattr(reading, "workers", lambda *_: 2)
    seen: list[int] = []
    see = reading._see
    monkeypatch.setattr(reading, "_see", lambda *a: (seen.append(1), see(*a))[1])
    files = reading.files_of(featx.sources.open_source(photos).entries)
    ahead = []
    for n, _ in enumerate(reading.see_all(files, Preprocess(), featx._types.Silent())):
        ahead.append(len(seen) - n)
    assert max(ahead) <= 6 * reading.AT_ONCE


@pytest.mark.shared
def test_real_photographs(shared: Path) -> None:
    cartoons = shared / "data" / "pacs_cartoon"
    found = featx.stats(cartoons)
    assert (found.images, found.failed) == (2344, ())
    (label,) = found.targets
    assert isinstance(label, Classes)
    assert sum(label.counts.values()) == 2344
    assert len(label.counts) == 7
    agree(featx.stats(cartoons / "guitar").pixels, flat(sorted((cartoons / "guitar").iterdir())))
