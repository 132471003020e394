"""Every kind of run gives a report: tasks, labels, splits, heads, names, images."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_cli import featx
from helpers_fit import DIM, RECIPE, blobs, make
from helpers_photos import CLASSES, folder, photo
from helpers_report import HOSTILE
from test_report_page import Reader, data_of
from test_reporting import texts

from featx._visible import one_line
from featx.commands import extract_commands
from featx.extraction import extract
from featx.features import Features, load
from featx.fitting import fit
from featx.probing import probe_layers
from featx.reporting import Report, report
from featx.reporting.text import interval
from featx.result import FitResult

N = 60
X, KIND = blobs(N)
TEXT = KIND.astype(str)
MIXED = np.random.default_rng(0).permutation(TEXT)
NUMBER = X[:, 0] * 3 + 40
QUICK: dict[str, Any] = {"search": False, "cv": "3", "n_jobs": 1}
SIDES = np.where((np.arange(N) % 4 == 0) & (KIND != 2), "test", "train")
THIRTY = np.array([f"class {i:02}" for i in range(30)])


def rows(report: Report, gallery: str = "mistakes") -> list[dict[str, Any]]:
    galleries = data_of(report.path.read_text(encoding="utf-8"))["galleries"]
    return galleries[gallery]["shots"] if gallery in galleries else []


@pytest.mark.parametrize(
    ("columns", "head", "options"),
    [
        ({"label": np.where(KIND == 0, "yes", "no")}, "svm", {}),
        ({"label": THIRTY[np.arange(N) % 30]}, "svm", {"cv": "2"}),
        ({"label": KIND}, "svm", {}),
        ({"label": KIND.astype(float)}, "svm", {"task": "classification"}),
        ({"label": MIXED == "1"}, "svm", {}),
        ({"label": np.array(["1", "1.0", "2"])[KIND]}, "svm", {}),
        ({"label": MIXED}, "svm", {"test_size": 0.1}),
        ({"label": TEXT, "split": SIDES}, "svm", {"split": "split", "cv": "5"}),
        ({"label": MIXED}, "svm", {"repeats": 3}),
        ({"label": TEXT, "g": KIND + 3 * (np.arange(N) // 12)}, "svm",
         {"group": "g", "aggregate": "group"}),
        ({"label": NUMBER, "g": np.arange(N) // 5}, "ridge",
         {"group": "g", "aggregate": "group", "quality": True}),
        ({"label": MIXED}, "svm", {"calibrate": "sigmoid"}),
        ({"label": MIXED}, "logreg", {"search": True, "scoring": "neg_log_loss"}),
        ({"label": MIXED}, "knn", {"search": True}),
        ({"label": TEXT}, "rbf", {"search": True, "grid": "C=1,10"}),
        ({"label": TEXT}, "mlp", {"search": True, "grid": "hidden_layer_sizes=8,4x4"}),
        ({"label": TEXT}, "svm", {"missing": ["1"], "scale": "standard"}),
        ({"label": NUMBER}, "svr", {"cv": "random:5:0.2"}),
        ({"label": NUMBER}, "ridge", {"scoring": "plcc", "lower_is_better": True}),
    ],
)  # fmt: skip
def test_every_run_has_a_report(
    columns: dict[str, Any], head: str, options: dict[str, Any], tmp_path: Path
) -> None:
    view = make(tmp_path, X, columns)
    run = fit(view, head, out=tmp_path / "runs", cache=tmp_path, **QUICK | options)
    found = report(run.path, cache=tmp_path)
    assert "map" in found.figures
    assert all("nan" not in sentence.lower().split() for sentence in found.summary)
    assert not {"None", "nan"} & set(texts(found.path.read_text(encoding="utf-8")).split())


def test_a_class_that_was_never_tested_has_no_recall(tmp_path: Path) -> None:
    view = make(tmp_path, X, {"label": TEXT, "split": SIDES})
    run = fit(view, "svm", out=tmp_path / "runs", cache=tmp_path, split="split", **QUICK)
    found = report(run, cache=tmp_path, curve=False)
    page = Reader(found.path.read_text(encoding="utf-8"))
    cells = [text for tag, text in page.texts if tag in ("th", "td", "bdi")]
    at = max(i for i, text in enumerate(cells) if text == "2" and cells[i + 1] != "2")
    assert cells[at : at + 12].count("-") >= 3 or "-" in cells[at : at + 12]


def changed(run: FitResult, column: str, value: Any) -> FitResult:
    return replace(run, predictions=run.predictions.assign(**{column: value}))


def test_a_constant_prediction_has_no_correlation(tmp_path: Path) -> None:
    view = make(tmp_path, X, {"label": NUMBER})
    run = fit(view, "ridge", out=None, cache=tmp_path, scoring="plcc", **QUICK)
    record = run.record | {
        "metrics": run.record["metrics"] | {"plcc": dict.fromkeys(
            run.record["metrics"]["plcc"]) | {"n": N, "splits": 3, "how": "95 % none"}},
    }  # fmt: skip
    constant = changed(replace(run, record=record), "prediction", 40.0)
    found = report(constant, cache=tmp_path, out=tmp_path / "o", curve=False)
    assert found.summary[0].startswith(f"PLCC of {N} images that the head had not seen is undef")
    assert "no interval can be given" in texts(found.path.read_text(encoding="utf-8"))


def test_scores_that_are_no_numbers(tmp_path: Path) -> None:
    view = make(tmp_path, X, {"label": MIXED})
    run = fit(view, "svm", out=tmp_path / "runs", cache=tmp_path, **QUICK)
    assert run.path is not None
    wrong = int((run.predictions["target"] != run.predictions["prediction"]).sum())
    some = changed(run, "score_0", np.nan)
    every = changed(changed(some, "score_1", np.nan), "score_2", np.nan)
    for one in (some, every):
        one.predictions.to_csv(run.path / "predictions.csv", index=False)
        for given in (one, run.path):
            found = report(given, cache=tmp_path, curve=False)
            assert len(rows(found)) == wrong
            words = texts(found.path.read_text(encoding="utf-8"))
            assert f"{wrong} of {N} images called something else" in words


def test_predictions_that_are_no_numbers(tmp_path: Path) -> None:
    view = make(tmp_path, X, {"label": NUMBER})
    run = fit(view, "ridge", out=tmp_path / "runs", cache=tmp_path, **QUICK)
    some = np.where(np.arange(N) % 2, np.nan, run.predictions["prediction"])
    off = np.abs(some - run.predictions["target"])
    found = report(changed(run, "prediction", some), cache=tmp_path, curve=False)
    assert f"less than {np.nanmedian(off):.3f}," in found.summary[-1]
    none = report(changed(run, "prediction", np.nan), cache=tmp_path, curve=False)
    assert none.summary[-1] == "No prediction is a number."


def test_kinds_fused_from_two_stores(tmp_path: Path) -> None:
    columns = {"label": MIXED}
    make(tmp_path, X, columns)
    other = replace(RECIPE, layer="classifier")
    make(tmp_path, X[:, ::-1] * 9, columns, recipe=other)
    names = [recipe.store_name for recipe in (RECIPE, other)]
    view = load("blobs", names, cache=tmp_path)
    run = fit(view, "svm", out=tmp_path / "runs", cache=tmp_path, mix="search", **QUICK)
    found = report(run, cache=tmp_path)
    words = texts(found.path.read_text(encoding="utf-8"))
    assert "cut at 'features'" in words
    assert "Beside them, they were embedded with" in words
    assert "cut at 'classifier'" in words
    assert {"map", "learning-curve"} <= set(found.figures)
    assert run.record["d"] == 2 * DIM


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``photos``, their ``cache`` and a run of labels that cannot be learned."""
    place = tmp_path_factory.mktemp("photos")
    folder(place / "photos")
    table = [
        {"path": str(place / "photos" / name / f"{i}.jpg"), "label": "abc"[(i + k) % 3]}
        for k, name in enumerate(CLASSES)
        for i in range(6)
    ]
    pd.DataFrame(table).to_csv(place / "photos.csv", index=False)
    return place


def embedded(
    place: Path, data: Any = "photos.csv", name: str = "photos", **options: Any
) -> Features:
    given = place / data if isinstance(data, str) else data
    tiny = {"backbone": "helpers_photos:tiny", "image_size": 32, "precision": "fp32"}
    extract(given, name=name, cache=place / "cache", **tiny, **options)
    return load(name, cache=place / "cache")


def reported(place: Path, view: Features, **options: Any) -> Report:
    run = fit(view, "svm", out=place / "runs", cache=place / "cache", **QUICK, **options)
    return report(run, out=place / "runs", cache=place / "cache", curve=False)


def test_thumbnails_are_of_the_files(photos: Path) -> None:
    found = rows(reported(photos, embedded(photos)))
    assert found
    assert {one["missing"] for one in found} == {""}
    assert all(one["image"] is not None for one in found)


def test_the_commands_begin_with_the_extraction(photos: Path) -> None:
    view = embedded(photos)
    run = fit(view, "svm", out=photos / "runs", cache=photos / "cache", **QUICK)
    (extracting,) = run.record["extract_commands"]
    assert extracting == (
        f"featx extract {photos / 'photos.csv'} --name photos --backbone helpers_photos:tiny "
        "--image-size 32"
    )
    page = report(run, cache=photos / "cache", curve=False).path.read_text(encoding="utf-8")
    assert f"{extracting} {run.record['command']}" in texts(page)
    assert run.path is not None
    assert extracting in (run.path / "card.md").read_text(encoding="utf-8")
    result = featx(*shlex.split(extracting)[1:], "--cache", str(photos / "cache"))
    assert "reused 18" in result.stdout, result.output
    assert load("photos", cache=photos / "cache").manifest.asked == view.manifest.asked


def test_what_was_given_in_memory_has_no_command(photos: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 255, (6, 40, 40, 3)).astype(np.uint8)
    assert extract_commands(embedded(photos, pixels, "unnamed")) == []


def test_files_that_are_gone_or_changed_are_not_shown(photos: Path, tmp_path: Path) -> None:
    for name in ("cache", "photos"):
        if (photos / name).exists():
            shutil.copytree(photos / name, tmp_path / name)
    table = pd.read_csv(photos / "photos.csv")
    table["path"] = [str(tmp_path / Path(p).relative_to(photos)) for p in table["path"]]
    table.to_csv(tmp_path / "photos.csv", index=False)
    view = embedded(tmp_path, name="copies")
    run = fit(view, "svm", out=tmp_path / "runs", cache=tmp_path / "cache", **QUICK)
    for file in table["path"][::2]:
        Path(file).unlink()
    for file in table["path"][1::2]:
        photo(Path(file), (1, 2, 3), 7)
    found = rows(report(run, cache=tmp_path / "cache", curve=False))
    reasons = {one["missing"] for one in found}
    assert all(one["image"] is None for one in found)
    assert reasons == {
        "its file cannot be read: No such file or directory",
        "its file has changed since",
    }


def test_images_given_as_an_array(photos: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (18, 40, 40, 3)).astype(np.uint8)
    np.savez(photos / "array.npz", images=pixels, label=np.array(["a", "b", "c"] * 6))
    os.utime(photos / "array.npz", (1_600_000_000, 1_600_000_000))
    found = rows(reported(photos, embedded(photos, "array.npz", "array")))
    assert {one["missing"] for one in found} == {
        "it is one of an array, of which no thumbnails are made"
    }


def test_images_given_in_memory(photos: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (18, 40, 40, 3)).astype(np.uint8)
    view = embedded(photos, pixels, "memory")
    frame = view.manifest.frame.assign(label=["a", "b", "c"] * 6)
    view = replace(view, manifest=replace(view.manifest, frame=frame))
    found = rows(reported(photos, view))
    assert {one["missing"].partition(",")[0] for one in found} == {
        "its file is not known: it was given in memory"
    }


def test_views_are_shown_as_the_image_that_they_are_of(photos: Path) -> None:
    view = embedded(photos, name="views", views=3, augment="light")
    found = reported(photos, view)
    assert {one["missing"] for one in rows(found)} == {""}
    assert "other dimensions. 18 images." in texts(found.path.read_text(encoding="utf-8"))


def test_layers_side_by_side(photos: Path) -> None:
    probe = probe_layers(
        photos / "photos.csv",
        "helpers_photos:tiny",
        extract={"image_size": 32, "precision": "fp32"},
        out=None,
        cache=photos / "cache",
        **{k: v for k, v in QUICK.items() if k != "search"},
    )
    found = report(layers=probe, out=photos / "layers", cache=photos / "cache", curve=True)
    assert list(found.figures) == ["layers"]
    words = texts(found.path.read_text(encoding="utf-8"))
    assert probe.verdict[1:] in words
    assert "photos: label svm on layers of helpers_photos:tiny, side by side" in words
    assert f"featx layers {photos / 'photos.csv'} --backbone helpers_photos:tiny" in words
    low, high = probe.table[["accuracy_low", "accuracy_high"]].iloc[0]
    assert interval(low, high) in words
    assert (
        "corrected for all 2 differences (Holm), each interval is of one difference alone" in words
    )
    for fact in (probe.origin["data"]["manifest"], "python", probe.how[1:]):
        assert fact in words
    for kind in probe.origin["features"]["parts"]:
        assert kind["hash"] in words
    assert "there is no run to make one of" in words


NASTY = ["$\\frac{", "x" * 400, *(text for text in HOSTILE if text and "\x00" not in text)]
"""No CSV file holds the byte 0."""


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_no_name_acts_from_a_fit_to_a_report(text: str, tmp_path: Path) -> None:
    safe = text.encode("utf-8", "replace").decode("utf-8").strip() or "x"
    label = np.array([safe, "other", f"{safe}2"])[np.random.default_rng(0).permutation(KIND)]
    view = make(tmp_path, X, {safe: label})
    path = np.array([f"{text}{i}" for i in range(N)], dtype=object)
    view = replace(view, manifest=replace(view.manifest, path=path))
    run = fit(view, "svm", out=tmp_path / "runs", cache=tmp_path, target=safe, name="n", **QUICK)
    for given in (run, run.path):
        found = report(given, cache=tmp_path, curve=False)
        page = found.path.read_text(encoding="utf-8")
        reader = Reader(page)
        assert [tag for tag, _ in reader.tags].count("script") == 2
        assert not any(name.startswith("on") for _, a in reader.tags for name in a)
        assert {one["target"] for one in rows(found)} <= {one_line(str(one)) for one in label}


def test_hostile_names_on_the_command_line(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("file names of Windows are text")
    names = ["<script>alert(1)</script>", "$\\frac{", "b\udcff\n", "gpj.\u202etxt"]
    root = tmp_path / "photos\n<b>"
    for k, name in enumerate(names):
        for i in range(4):
            photo(root / name.replace("/", "\u2215") / f"{i}\u202e\udcff.jpg", (90, 60 * k, 90), i)
    words = ["--backbone", "helpers_photos:tiny", "--image-size", "32", "--precision", "fp32"]
    place = ["--cache", str(tmp_path / "cache")]
    assert featx("extract", str(root), *words, *place).exit_code == 0
    fitting = ["fit", "--head", "svm", "--no-search", "--cv", "2", "--n-jobs", "1", "--report"]
    result = featx(*fitting, "--out", str(tmp_path / "runs"), *place)
    assert result.exit_code == 0, result.stderr
    (file,) = (tmp_path / "runs").glob("*/report.html")
    page = file.read_text(encoding="utf-8")
    assert [tag for tag, _ in Reader(page).tags].count("script") == 2
    shots = data_of(page)["galleries"].get("mistakes", {"shots": []})["shots"]
    assert {one["missing"] for one in shots} <= {""}


RECIPE_FILE = """
[data]
path = "photos"

[[extract]]
backbone = "helpers_photos:tiny"
image-size = 32

[[fit]]
each = {{ head = [{heads}], cv = [{cv}] }}
"""


@pytest.mark.parametrize(
    ("heads", "cv", "pages"),
    [
        ('"svm"', '"2"', {"runs/svm-photos-helpers_photos-tiny-1/report.html"}),
        ('"svm", "ridge"', '"2"', {"runs/comparison-1.html"}),
        ('"svm", "ridge"', '"2", "3"', {"runs/comparison-1.html", "runs/comparison-2.html"}),
    ],
)
def test_a_recipe_has_a_report_of_each_comparison(
    heads: str, cv: str, pages: set[str], photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos / "photos", tmp_path / "photos")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE_FILE.format(heads=heads, cv=cv), encoding="utf-8")
    where = ["--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    result = featx("run", str(recipe), "--report", "--n-jobs", "1", "--device", "cpu", *where)
    assert result.exit_code == 0, result.output
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.html")}
    assert found == pages
    assert result.output.count("report: ") == len(pages)


def test_a_trained_network_has_a_report(photos: Path) -> None:
    words = ["--backbone", "helpers_photos:tiny", "--image-size", "32", "--epochs", "2"]
    where = ["--out", str(photos / "trained"), "--cache", str(photos / "cache")]
    splits = ["--test-size", "0.4", "--device", "cpu", "--name", "t"]
    result = featx("finetune", str(photos / "photos"), *words, *splits, *where, "--report")
    assert result.exit_code == 0, result.output
    page = (photos / "trained" / "t" / "report.html").read_text(encoding="utf-8")
    assert "fine-tuned" in texts(page)
    again = featx("report", "t", "--curve", *where)
    assert again.exit_code == 0, again.output
    assert "training" in json.loads(featx("report", "t", "--json", *where).stdout)["figures"]
