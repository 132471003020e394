"""What notebooks show of results: every text is escaped, every table is whole."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_fit import blobs, make
from helpers_photos import folder

from featx import _html, compare
from featx.curves import curve
from featx.extraction import extract
from featx.features import Features, load
from featx.fitting import fit
from featx.model import load_model

BAD = "<img src=x onerror=alert(1)>&'\""
TAGS = {"table", "thead", "tbody", "tr", "th", "td", "p", "div", "style"}
OPTIONS: dict[str, Any] = {"backbone": "helpers_photos:tiny", "image_size": 32, "precision": "fp32"}


class Page(HTMLParser):
    """A piece of HTML as rows of cells, and its paragraphs."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.lines: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, f"a text became the tag {tag}"
        assert {name for name, _ in attrs} <= {"style", "class", "border"}
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag == "p":
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("th", "td"):
            self.rows[-1][-1] += data
        elif self._open and self._open[-1] == "p":
            self.lines[-1] += data

    @property
    def facts(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.rows if len(row) == 2}


@pytest.fixture
def view(tmp_path: Path) -> Features:
    x, kind = blobs(60)
    names = np.array(["cat", "dog", BAD])
    return make(tmp_path / "cache", x, {BAD: names[kind], "size": x[:, 0] * 3 + 200})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Class folders with one image that cannot be read."""
    photos = folder(tmp_path / "photos")
    (photos / "cat" / "empty.jpg").write_bytes(b"")
    return photos


def test_facts_tables_and_lines_show_texts_as_they_are() -> None:
    page = Page(
        _html.facts({BAD: BAD, "n": 3})
        + _html.table([BAD, "n"], [[BAD, 1], ["b", 2.5]], right=[1])
        + _html.lines([BAD, 7], bold=True)
    )
    assert page.rows == [[BAD, BAD], ["n", "3"], [BAD, "n"], [BAD, "1"], ["b", "2.5"]]
    assert page.lines == [BAD, "7"]


def test_columns_of_numbers_are_right_aligned() -> None:
    html = _html.table(["name", "n"], [["a", 1]], right=[1])
    assert html.count("text-align:left") == html.count("text-align:right") == 2
    assert "tabular-nums" in html


def test_a_row_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        _html.table(["a", "b"], [["c"]], right=[])


def test_a_view(view: Features) -> None:
    page = Page(view._repr_html_())
    assert page.facts["X"].startswith("60 x ")
    assert BAD in page.facts["columns"]


def test_a_fit_shows_what_the_terminal_shows(view: Features) -> None:
    result = fit(view, "ridge", target="size", cv="3", out=None, n_jobs=1)
    page = Page(result._repr_html_())
    header, *rows = page.rows
    assert header == ["metric", "mean ± std", "new images", "trained anew", "baseline"]
    assert [row[0] for row in rows] == list(result.metrics)
    shown = {row[0]: row for row in rows}
    mae = result.record["metrics"]["mae"]
    assert shown["mae"][1] == f"{mae['mean']:.3f} ± {mae['std']:.3f}"
    assert shown["mae"][2] == f"{mae['low']:.3f} to {mae['high']:.3f}"
    assert shown["plcc"][-1] == "-"
    assert page.lines[0].startswith("ridge for size (regression): 60 x ")
    assert "baseline: mean" in page.lines[1]
    assert result.record["how"] in page.lines


def test_a_fit_of_hostile_names(view: Features) -> None:
    result = fit(view, "svm", target=BAD, cv="3", out=None, n_jobs=1, set="C=0.1", search=False)
    assert Page(result._repr_html_()).lines[0].startswith(f"svm for {BAD} (classification)")


def test_the_means_of_groups_have_a_table_of_their_own(view: Features) -> None:
    view.manifest.frame["who"] = [f"p{i // 2}" for i in range(60)]
    asked: dict[str, Any] = {"target": "size", "group": "who", "aggregate": "group"}
    result = fit(view, "ridge", **asked, cv="3", out=None, n_jobs=1)
    page = Page(result._repr_html_())
    assert len(page.rows) == 2 * (1 + len(result.metrics))
    assert "the mean of each group (who):" in page.lines


def test_a_comparison_and_a_curve(view: Features) -> None:
    options: dict[str, Any] = {"target": BAD, "cv": "3", "n_jobs": 1}
    runs = [fit(view, head, **options, out=None) for head in ("svm", "ridge")]
    compared = compare(*runs)
    page = Page(compared._repr_html_())
    assert page.rows == [list(row) for row in (compared.cells().header, *compared.cells().rows)]
    assert page.lines == [compared.verdict, *compared.notes]
    found = curve(view, "ridge", sizes="5,all", draws=1, **options)
    page = Page(found._repr_html_())
    assert page.rows == found.cells()
    assert page.lines == [found.verdict, found.how, *found.notes]


def test_an_extraction(photos: Path, tmp_path: Path) -> None:
    options = OPTIONS | {"cache": tmp_path / "cache"}
    [done] = extract(photos, **options)
    said = "18 computed, 1 failed"
    assert repr(done) == f"<Extraction photos: 18 x 16 {done.label}; {said}>"
    facts = Page(done._repr_html_()).facts
    assert (facts["rows"], facts["images"]) == ("18 x 16", said)
    assert facts["first failure"] == ": ".join(done.failed[0])
    assert facts["store"] == str(done.store)
    assert "images/s" in facts["time"]
    [again] = extract(photos, **options)
    facts = Page(again._repr_html_()).facts
    assert facts["images"] == "18 reused, 1 failed"
    assert "images/s" not in facts["time"]


def test_an_extraction_of_nothing(photos: Path, tmp_path: Path) -> None:
    for name in ("bird", "dog"):
        shutil.rmtree(photos / name)
    for image in (photos / "cat").glob("*.jpg"):
        image.write_bytes(b"")
    [done] = extract(photos, **OPTIONS, cache=tmp_path / "cache", max_failed="100%")
    assert Page(done._repr_html_()).facts["images"] == f"no vector, {len(done.failed)} failed"


def test_a_model(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    [done] = extract(photos, **OPTIONS, cache=cache)
    view = load(done.data, cache=cache)
    result = fit(view, "svm", cv="3", out=tmp_path / "runs", n_jobs=1, name="cats-1")
    facts = Page(load_model(result.path, cache=cache)._repr_html_()).facts
    assert facts["head"] == "svm for label (classification)"
    assert facts["classes"] == "bird, cat, dog"
    assert facts["features"] == f"16 values: {done.label}"
    assert facts["folder"] == str(result.path)
    assert "views" not in facts
