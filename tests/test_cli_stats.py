"""``featx stats`` in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers_cli import featx
from helpers_photos import folder, photo
from test_stats import odd, split_folder


def test_words_fit_80_columns(tmp_path: Path) -> None:
    result = featx("stats", str(split_folder(tmp_path / "photos")))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for words in (
        "photos: 19 images, ",
        "  formats: JPEG RGB 19",
        "  all 48 x 40 (19)",
        "std=[",
        "from the training rows alone",
        "  split by column 'split': train 9, test 10 rows",
        "label: 3 classes in 19 rows, 0 without",
        "  most frequent cat with 7 (36.8 %); rarest dog with 6 (31.6 %)",
        "files with the same bytes: 6 groups of 13 files in all",
        "the same pixels in other bytes: none",
        "images on several sides of the split: 6",
        "  and 3 more (--json has all)",
        "`featx fit` reports them",
    ):
        assert words in result.stdout


def test_json_is_one_object(tmp_path: Path) -> None:
    result = featx("stats", str(odd(tmp_path / "odd")), "--json")
    value = json.loads(result.stdout)
    assert (value["images"], len(value["failed"])) == (10, 5)
    assert {one["path"] for one in value["failed"] if one["needs_option"]} == {
        "deep.tif",
        "moving.gif",
    }
    assert len(value["pixels"]["mean"]) == 3
    assert (value["split"], value["targets"]) == (None, [])


def test_what_failed_is_named_and_what_needs_an_option_apart(tmp_path: Path) -> None:
    text = featx("stats", str(odd(tmp_path / "odd"))).stdout
    assert "3 of 10 images failed:\n  cut.jpg: truncated" in text
    assert "2 of 10 images need an option to be read:\n  deep.tif: uint16 values" in text
    assert "5 of 10" not in featx("stats", str(tmp_path), "--page", "0").stdout


def test_numbers_are_described(tmp_path: Path) -> None:
    photos = folder(tmp_path / "p", per_class=8)
    names = [f"{c}/{i}.jpg" for c in ("bird", "cat", "dog") for i in range(8)]
    rows = [f"{name},{i / 2},{'?' if i else ''}" for i, name in enumerate(names)]
    (photos / "t.csv").write_text("\n".join(["path,mos,who", *rows]) + "\n")
    text = featx("stats", str(photos / "t.csv"), "--target", "mos,who").stdout
    assert "mos: 24 numbers, 0 rows without" in text
    assert "  5.75  3.53553    0  2.875    5.75  8.625  11.5" in text
    assert "who: 1 class in 23 rows, 1 without" in text
    assert "mos     numbers        24        0" in text
    assert "no column 'label'" in featx("stats", str(photos / "t.csv")).stdout


@pytest.mark.parametrize("name", ["[red]", "a\nb", "\x1b[31m", "\u202etxt"])
def test_hostile_names_come_out_safely(tmp_path: Path, name: str) -> None:
    root = tmp_path / "d"
    try:
        photo(root / name / "ok.jpg", (1, 2, 3), 1)
        (root / name / f"{name}.jpg").write_bytes(b"bad")
        (root / name / "copy.jpg").write_bytes(b"bad")
    except OSError:
        pytest.skip("no file of this system is called so")
    result = featx("stats", str(root))
    assert result.exit_code == 0, result.output
    shown = name.replace("\n", "\\n").replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert f"most frequent {shown} with 3" in result.stdout
    assert f"  {shown}/{shown}.jpg: not an image" in result.stdout
    assert not set(result.stdout) & {"\x1b", "\u202e"}
    json.loads(featx("stats", str(root), "--json").stdout)


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    nothing = featx("stats", str(tmp_path))
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert nothing.stderr.startswith("featx: no image in ")
    folder(tmp_path / "p", per_class=1)
    unknown = featx("stats", str(tmp_path / "p"), "--target", "labl")
    assert unknown.exit_code == 2
    assert "did you mean 'label'" in unknown.stderr
    assert featx("stats").exit_code == 2
