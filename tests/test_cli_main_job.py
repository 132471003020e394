"""The command line on real photographs, a real network and a real cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_cli import featx
from helpers_photos import folder

LABEL = "helpers_photos:tiny:3:flatten@32"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEATX_CACHE", raising=False)
    folder(tmp_path / "photos")


def extract(*more: str) -> dict[str, Any]:
    words = "extract photos --backbone helpers_photos:tiny --image-size 32 --precision fp32 --json"
    result = featx(*words.split(), *more)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def ok(*args: str) -> str:
    result = featx(*args)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_extract_and_what_a_cache_needs() -> None:
    first = extract()
    assert (first["rows"], first["computed"], first["reused"]) == (18, 18, 0)
    again = extract()
    assert (again["rows"], again["computed"], again["reused"]) == (18, 0, 18)
    assert again["store"] == first["store"]

    listing = json.loads(ok("ls", "--json"))
    assert [one["data"] for one in listing["data"]] == ["photos"]
    assert [one["features"] for one in listing["stores"]] == [first["features"]]
    text = ok("ls")
    assert "photos      18" in text
    assert first["features"] in text
    assert "preprocessing" in ok("info")
    assert "column" in ok("info", "photos")
    assert "nothing is damaged" in ok("verify")
    assert "freed" in ok("gc")

    ok("export", "photos", "--to", "npz", "-o", "out.npz")
    with np.load("out.npz") as file:
        assert file["X"].shape == (18, first["dim"])

    refused = featx("rm", first["features"])
    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    ok("rm", first["features"], "--yes")
    assert json.loads(ok("ls", "--json"))["stores"] == []
    missing = featx("info", first["features"])
    assert missing.exit_code == 2
    assert str(Path("cache").absolute()) in missing.stderr


def test_a_damaged_chunk_is_named_and_repaired() -> None:
    first = extract()
    chunk = next(f for f in Path(first["store"]).glob("features/c/**/*") if f.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1])
    result = featx("verify")
    assert result.exit_code == 1
    assert "features block 0" in result.stdout
    assert extract()["computed"] == 18
    assert "nothing is damaged" in ok("verify")


def test_bad_images_are_listed_and_too_many_are_exit_code_3() -> None:
    Path("photos/cat/bad\n.jpg").write_bytes(b"")
    value = extract()
    assert [one["path"] for one in value["failed"]] == [str(Path("cat/bad\n.jpg"))]
    result = featx("extract", "photos", "--backbone", "helpers_photos:tiny", "--max-failed", "0")
    assert (result.exit_code, result.stderr.splitlines()[-1][:7]) == (3, "featx: ")
    assert "bad\\n.jpg" in result.stderr


def test_fit_and_predict() -> None:
    extract()
    record = json.loads(ok("fit", "--head", "ridge", "--cv", "3", "--n-jobs", "1", "--json"))
    assert (record["head"], record["n"], record["task"]) == ("ridge", 18, "classification")
    assert record["metrics"]["accuracy"]["mean"] > 0.8
    assert len(record["candidates"]) > 1
    assert set(record["best_params"]) == {"alpha"}

    text = ok("fit", "--head", "svm", "--cv", "3", "--no-search", "--set", "C=1", "--name", "mine")
    assert "parameters: C=1" in text
    assert "results: " + str(Path("runs/mine")) in text
    assert "mine" in ok("runs")

    model = record["path"]
    shown = ok("predict", model, "photos", "--evaluate", "--json")
    value = json.loads(shown)
    assert (value["rows"], value["predicted"], value["failed"]) == (18, 18, 0)
    assert value["metrics"]["accuracy"]["mean"] > 0.8
    assert {"prediction", "status", "reason"} <= set(value["predictions"][0])
    ok("predict", model, str(Path("photos/cat/0.jpg")), "-o", "out.csv")
    assert Path("out.csv").read_text(encoding="utf-8").count("\n") == 2
    assert "18 rows: 18 predicted" in ok("predict", model, "photos")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("extract nowhere --backbone vgg16", 2, "nowhere"),
        ("extract photos --backbone vgg61", 2, "vgg16"),
        ("fit --head svm", 2, "nothing has been extracted"),
        ("fit --head svn", 2, "'svm'"),
        ("predict runs/none photos", 2, "featx fit"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(words: str, code: int, said: str) -> None:
    result = featx(*words.split())
    assert result.exit_code == code, result.stderr
    assert said in result.stderr.splitlines()[-1]
    assert "unexpected" not in result.stderr
