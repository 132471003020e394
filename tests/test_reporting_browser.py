"""Reports of real and of large runs as a reader meets them: in a browser, in both themes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_fit import blobs, make
from helpers_report import serious
from playwright.sync_api import Page as Tab

from featx.extraction import extract
from featx.fitting import fit
from featx.reporting import report
from featx.result import FitResult
from featx.tables import write_table

# One process runs them all where --dist loadgroup is given: two would each embed the demo's images.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("reports in a browser")]
Open = Callable[..., Tab]
ROWS = 100_000
K = 10


def load_s(open_file: Open, path: Path) -> float:
    """Give the median seconds until a page has loaded, of three times."""
    found = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"
    return float(np.median([open_file(path).evaluate(found) for _ in range(3)])) / 1000


def large(run: FitResult, columns: dict[str, Any]) -> Path:
    """Write predictions of many rows into the folder of a small run."""
    assert run.path is not None
    path = np.array([f"folder {i % 97}/photo {i:06}.jpg" for i in range(ROWS)])
    write_table(run.path / "predictions.csv", pd.DataFrame({"path": path} | columns))
    record = run.record | {"n": ROWS, "folds": [run.record["folds"][0] | {"n_test": ROWS}]}
    (run.path / "result.json").write_text(json.dumps(record), encoding="utf-8")
    return run.path


def of_classes(place: Path) -> Path:
    X, kind = blobs(60, K)
    view = make(place / "cache", X, {"label": np.array([f"class {k}" for k in range(K)])[kind]})
    run = fit(view, "svm", out=place, cache=place / "cache", search=False, cv="3", n_jobs=1)
    rng = np.random.default_rng(0)
    true = rng.integers(K, size=ROWS)
    scores = rng.normal(size=(ROWS, K)) + 2.5 * np.eye(K)[true]
    names = np.array([row["class"] for row in run.record["classes"]])
    columns: dict[str, Any] = {
        "target": names[true],
        "prediction": names[scores.argmax(axis=1)],
        "fold": np.arange(ROWS) % 3,
    }
    return large(run, columns | {f"score_{name}": scores[:, i] for i, name in enumerate(names)})


def of_numbers(place: Path) -> Path:
    X, _ = blobs(60, K)
    view = make(place / "cache", X, {"label": X[:, 0] * 3 + 40})
    run = fit(view, "ridge", out=place, cache=place / "cache", search=False, cv="3", n_jobs=1)
    rng = np.random.default_rng(0)
    true = rng.normal(40, 10, ROWS)
    said = 40 + 0.7 * (true - 40) + rng.normal(0, 5, ROWS)
    return large(run, {"target": true, "prediction": said, "fold": np.arange(ROWS) % 3})


@pytest.mark.parametrize("make_run", [of_classes, of_numbers])
def test_a_hundred_thousand_rows(
    make_run: Callable[[Path], Path],
    open_file: Open,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = make_run(tmp_path)
    started = time.perf_counter()
    found = report(run, cache=tmp_path / "cache", curve=False)
    written_s = time.perf_counter() - started
    size_mb, loaded_s = found.path.stat().st_size / 1e6, load_s(open_file, found.path)
    with capsys.disabled():
        print(  # noqa: T201  # the numbers are the point
            f"\n{make_run.__name__}: written in {written_s:.1f} s, {size_mb:.2f} MB, loaded in "
            f"{loaded_s:.3f} s"
        )
    assert size_mb < 15
    assert loaded_s < 2
    assert written_s < 60


@pytest.fixture(scope="module")
def cartoons(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a head on real photographs with real weights."""
    place = tmp_path_factory.mktemp("cartoons")
    extract(
        shared / "data" / "pacs_cartoon",
        backbone="vgg16",
        weights=shared / "weights" / "vgg16_features.pth",
        limit_per_class=30,
        pools=["avg"],
        name="cartoons",
        cache=place / "cache",
    )
    run = fit("vgg16", "svm", out=place / "runs", cache=place / "cache", n_jobs=1)
    return report(run, out=place / "runs", cache=place / "cache").path


@pytest.fixture(scope="module")
def solar_cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``featx demo --report`` writes."""
    from helpers_cli import featx

    place = tmp_path_factory.mktemp("demo")
    words = ("demo", "--report", "--json", "--cache", str(place / "cache"))
    result = featx(*words, "--out", str(place / "runs"))
    assert result.exit_code == 0, result.stderr
    return Path(json.loads(result.stdout)["report"])


@pytest.fixture(params=[pytest.param("cartoons", marks=pytest.mark.shared), "solar_cells"])
def real(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


def paths(tab: Tab) -> list[str]:
    return tab.locator("#mistakes .shot .path").all_text_contents()


def test_a_real_report_shows_its_figures_and_images(real: Path, open_file: Open) -> None:
    tab = open_file(real)
    drawings = tab.locator("figure svg").all()
    assert len(drawings) >= 4
    for drawing in drawings:
        box = drawing.bounding_box()
        assert box
        assert min(box["width"], box["height"]) > 60
    shown = tab.locator("#mistakes .shot img")
    assert shown.count() >= 12
    sizes = "all => all.map(one => one.naturalWidth)"
    assert min(shown.evaluate_all(sizes)) > 60


def test_the_gallery_is_sorted_and_filtered(real: Path, open_file: Open) -> None:
    tab = open_file(real)
    before = paths(tab)
    gallery = tab.locator("#mistakes")
    gallery.get_by_label("Sort by").select_option("path")
    assert paths(tab) == sorted(paths(tab)) != before
    name = tab.locator("#mistakes .shot .target").first.text_content()
    choice = gallery.get_by_label("Only label").locator("option", has_text=str(name)).first
    gallery.get_by_label("Only label").select_option(choice.get_attribute("value"))
    assert set(tab.locator("#mistakes .shot .target").all_text_contents()) == {name}
    gallery.get_by_label("Search").fill("no such file")
    assert paths(tab) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(real: Path, open_file: Open, scheme: str) -> None:
    tab = open_file(real, color_scheme=scheme, reduced_motion="reduce")
    assert serious(tab) == []


def test_a_real_report_is_small_and_quick(real: Path, open_file: Open) -> None:
    assert real.stat().st_size < 3e6
    assert load_s(open_file, real) < 2
