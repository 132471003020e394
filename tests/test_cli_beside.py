"""Reports beside a command's result: their paths stand in the JSON object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers_cli import featx
from helpers_fit import blobs, make

from featx.cli import beside
from featx.cli.console import Console
from featx.errors import CacheWriteError


class Written:
    """Stands in for a report; the ``fails``th cannot be written."""

    def __init__(self, fails: int = 0) -> None:
        self.fails, self.asked = fails, list[dict[str, Any]]()

    def __call__(self, _: Console, **options: Any) -> Any:
        self.asked.append(options)
        if len(self.asked) == self.fails:
            raise CacheWriteError("disk full")
        self.path, self.plots = Path(f"page-{len(self.asked)}.html"), None
        return self


@pytest.fixture
def place(tmp_path: Path) -> Path:
    X, y = blobs(30)
    columns = {"label": [f"class {k}" for k in y], "age": y + X[:, 0]}
    make(tmp_path / "cache", X, columns)
    return tmp_path


def run(place: Path, *words: str) -> Any:
    where = ("--out", str(place / "runs"), "--cache", str(place / "cache"), "--json")
    return featx(*words, *where)


FIT = ("fit", "--head", "ridge", "--cv", "3", "--no-search", "--n-jobs", "1", "--report")


def test_the_json_of_every_command_has_the_path(place: Path) -> None:
    one = json.loads(run(place, *FIT, "--name", "one").stdout)
    assert Path(one["report"]) == place / "runs" / "one" / "report.html"
    assert one["head"] == "ridge"
    assert Path(one["report"]).is_file()

    run(place, *FIT[:-1], "--scale", "l2", "--name", "two")
    both = json.loads(run(place, "compare", "one", "two", "--report").stdout)
    assert Path(both["report"]).parent == place / "runs"
    assert len(both["runs"]) == 2

    curve = json.loads(run(place, "curve", "--head", "ridge", "--cv", "3", "--report").stdout)
    assert Path(curve["report"]).is_file()


def test_each_of_several_fits_has_its_own(place: Path) -> None:
    value = json.loads(run(place, *FIT, "--target", "label,age", "--name", "x").stdout)
    files = [Path(one["report"]) for one in value["fits"]]
    assert files == [place / "runs" / f"x-{end}" / "report.html" for end in ("label", "age")]


def test_without_a_report_nothing_is_added(place: Path) -> None:
    assert "report" not in json.loads(run(place, *FIT[:-1]).stdout)


def test_figures_alone_are_a_wish_for_the_report() -> None:
    assert beside.wanted(False, "a", out="runs") == []
    asked = {"runs": "a", "save_plots": "there", "out": "runs"}
    assert beside.wanted(False, "a", save_plots="there", out="runs") == [asked]


def test_the_result_is_printed_where_a_report_fails(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.setattr(beside, "make", Written(fails=2))
    result = run(place, *FIT, "--target", "label,age", "--name", "x")
    assert result.exit_code == 1
    assert "disk full" in result.stderr
    first, second = json.loads(result.stdout)["fits"]
    assert first["report"] == "page-1.html"
    assert "report" not in second
    assert second["target"] == "age"


def test_people_see_the_result_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(beside, "make", Written(fails=2))
    with Console() as console, pytest.raises(CacheWriteError):
        beside.show(console, {}, ["found"], [{}, {}])
    assert capsys.readouterr().out == "found\nreport: page-1.html\n"
