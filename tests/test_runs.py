from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
from helpers_photos import photo

from featx.errors import CacheWriteError, NotFoundError, UnknownNameError, UsageError
from featx.runs import check_name, find_run, list_runs, new_run


def make(out: Path, name: str | None = None, stem: str = "svm-cats") -> str:
    with new_run(out, name, stem) as (chosen, folder):
        (folder / "result.json").write_text(json.dumps({"head": "svm", "created": chosen}))
    return chosen


def _make_many(out: Path) -> list[str]:
    return [make(out) for _ in range(5)]


def test_automatic_names_count_up(tmp_path: Path) -> None:
    assert [make(tmp_path), make(tmp_path)] == ["svm-cats-1", "svm-cats-2"]
    assert make(tmp_path, stem="svm-a/b:c\n../x") == "svm-a-b-c-..-x-1"
    assert make(tmp_path, stem="..") == "run-1"


def test_a_taken_name_is_refused_before_the_work(tmp_path: Path) -> None:
    make(tmp_path, "mine")
    with pytest.raises(UsageError, match="'mine' exists already"):
        check_name(tmp_path, "mine")


def test_a_name_taken_meanwhile_costs_no_work(tmp_path: Path) -> None:
    first = make(tmp_path, "mine")
    second = make(tmp_path, "mine")
    assert (tmp_path / "mine").is_dir()
    assert (tmp_path / "mine-1").is_dir()
    assert first != second


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\\b", "x" * 200, "a.", "c:d", "-a"])
def test_names_that_are_no_folder_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a run"):
        check_name(tmp_path, name)


def test_nothing_remains_of_a_failed_run(tmp_path: Path) -> None:
    def fail() -> None:
        with new_run(tmp_path, None, "x") as (_, folder):
            (folder / "result.json").write_text("{}")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [p.name for p in tmp_path.iterdir() if p.name != ".lock"] == []


def test_an_out_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CacheWriteError, match="cannot write to"),
        new_run(tmp_path / "file", None, "x"),
    ):
        raise AssertionError("not reached")


def test_two_processes_choose_different_names(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        names = [name for many in pool.map(_make_many, [tmp_path, tmp_path]) for name in many]
    assert sorted(names) == sorted(f"svm-cats-{i}" for i in range(1, 11))


def test_list_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "nowhere") == []
    make(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").write_text("{")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "result.json").write_text("[]")
    (tmp_path / ".half").mkdir()
    (tmp_path / ".half" / "result.json").write_text("{}")
    rows = list_runs(tmp_path)
    assert [row["name"] for row in rows] == ["broken", "odd", "svm-cats-1"]
    assert rows[2]["head"] == "svm"
    assert rows[2]["path"] == str(tmp_path / "svm-cats-1")
    assert "error" in rows[0]
    assert "error" in rows[1]


def test_find_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError, match="no run 'x'"):
        find_run("x", tmp_path)
    make(tmp_path)
    folder = tmp_path / "svm-cats-1"
    assert find_run(folder) == folder
    assert find_run(folder / "result.json") == folder
    assert find_run("svm-cats-1", tmp_path) == folder
    with pytest.raises(UnknownNameError, match="did you mean 'svm-cats-1'"):
        find_run("svm-cat-1", tmp_path)


def test_data_in_place_of_a_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photo(Path("photos/cat/0.jpg"), (9, 9, 9), 0)
    Path("ages.csv").write_text("path,age\n")
    Path("empty").mkdir()
    with pytest.raises(NotFoundError, match="photos is a folder of images, not a run; there a"):
        find_run("photos")
    make(Path("runs"))
    for name, said in {
        "photos": r"not a run; runs in .*runs: svm-cats-1; .*featx fit --head svm --data photos",
        "ages.csv": r"a file that belongs to no run; runs in .*: svm-cats-1",
        "empty": r"empty is no run: no result\.json is in it; runs in .*: svm-cats-1",
    }.items():
        with pytest.raises(NotFoundError, match=said):
            find_run(name)


def test_a_run_may_be_called_as_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photo(Path("svm-cats-1/cat/0.jpg"), (9, 9, 9), 0)
    make(Path("runs"))
    assert find_run("svm-cats-1") == Path("runs/svm-cats-1")
