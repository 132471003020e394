from __future__ import annotations

import csv
import json
import multiprocessing
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_fit import RECIPE, blobs, make
from sklearn.svm import LinearSVC

import featx.commands
import featx.result
from featx._types import Silent
from featx.artifact import read_artifact
from featx.cautions import cautions
from featx.errors import FeatxError, HeadTaskError, TargetError, UnknownNameError, UsageError
from featx.features import Features
from featx.fitting import cross_validate, fit, fit_targets
from featx.heads import parse_grid, parse_params

X, KIND = blobs(60)
NAMES = np.array(["cat", "dog", "<script>|**x**\n,\"'=1+1"])
LABEL = NAMES[KIND]
AGE = (X[:, 0] * 3 + 40).round(1)
QUICK: dict[str, Any] = {"search": False, "set": {"C": 0.1}, "cv": "3", "n_jobs": 1}


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return make(tmp_path / "cache", X, {"label": LABEL, "age": AGE})


def read(path: Path | None, name: str) -> Any:
    assert path is not None
    return json.loads((path / name).read_text(encoding="utf-8"))


def test_a_run_holds_everything(features: Features, tmp_path: Path) -> None:
    result = fit(features, "svm", out=tmp_path / "runs", cv="3", n_jobs=1)
    folder = tmp_path / "runs" / "svm-blobs-squeezenet1_1-1"
    assert result.path == folder
    names = {"result.json", "predictions.csv", "head.skops", "model.json", "card.md", "images.npy"}
    assert {p.name for p in folder.iterdir()} == names
    record = read(folder, "result.json")
    assert record == result.record
    assert (record["head"], record["task"], record["target"]) == ("svm", "classification", "label")
    assert (record["n"], record["d"]) == X.shape
    assert record["metrics"]["accuracy"]["mean"] > 0.8
    assert record["metrics"]["accuracy"]["low"] <= record["metrics"]["accuracy"]["mean"]
    assert record["baseline"]["accuracy"]["mean"] < 0.5
    assert [c["rows"] for c in record["classes"]] == [20, 20, 20]
    assert {c["class"] for c in record["classes"]} == set(NAMES)
    assert record["data"]["manifest"] == features.manifest.hash
    assert record["features"]["fingerprint"] == features.fingerprint
    assert record["features"]["hash"] == RECIPE.hash
    assert len(record["folds"]) == 3
    assert len(record["candidates"]) > 1
    assert record["best_params"]
    assert {"python", "featx", "numpy", "scikit-learn"} == set(record["versions"])
    assert {"products"} < set(record["seconds"])
    assert record["head_bytes"] == (folder / "head.skops").stat().st_size


def test_a_large_head_says_its_size(
    features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.result._LARGE_BYTES", 1000)
    result = fit(features, "svm", out=tmp_path, **QUICK)
    assert any(note.startswith("the saved head takes 0 MB") for note in result.notes)


def test_a_searched_grid_is_estimated_nested(features: Features, tmp_path: Path) -> None:
    result = fit(features, "svm", out=tmp_path, grid="C=0.01,1", cv="3", n_jobs=1)
    assert result.record["nested"]
    assert "ested" in result.record["how"]
    assert result.record["how"] in repr(result)
    assert "ested" in (tmp_path / result.name / "card.md").read_text(encoding="utf-8")
    plain = fit(features, "svm", out=tmp_path, **QUICK)
    assert not plain.record["nested"]
    assert plain.record["best_params"]["C"] == 0.1


def test_the_saved_head_is_scikit_learns(features: Features, tmp_path: Path) -> None:
    result = fit(features, "svm", out=tmp_path, **QUICK)
    head, info = read_artifact(tmp_path / result.name, print)
    assert np.array_equal(head.predict(X), result.estimator.predict(X))
    ours = head.decision_function(X)
    theirs = LinearSVC(C=0.1, tol=1e-6, max_iter=100_000).fit(X, LABEL).decision_function(X)
    assert np.abs(ours - theirs).max() < 0.05
    assert info.classes == tuple(sorted(NAMES))
    assert info.recipe == RECIPE
    assert info.source == {"name": "squeezenet1_1", "weights": "random"}
    assert info.dim == X.shape[1]


def test_predictions_keep_the_rows_in_order(features: Features, tmp_path: Path) -> None:
    result = fit(features, "svm", out=tmp_path, **QUICK)
    with (tmp_path / result.name / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert [row["path"] for row in rows] == features.manifest.path.tolist()
    assert [row["target"] for row in rows] == LABEL.tolist()
    assert {row["prediction"] for row in rows} == set(NAMES)
    assert {row["fold"] for row in rows} == {"0", "1", "2"}
    scores = [name for name in rows[0] if name.startswith(("score_", "probability_"))]
    assert scores == [f"score_{name}" for name in sorted(NAMES)]
    best = [max(scores, key=lambda s: float(row[s])).removeprefix("score_") for row in rows]
    assert best == [row["prediction"] for row in rows]
    hits = np.mean([row["target"] == row["prediction"] for row in rows])
    assert hits == pytest.approx(result.metrics["accuracy"])


def test_probabilities_are_called_so(features: Features) -> None:
    table = cross_validate(features, "logreg", **QUICK).predictions
    columns = [name for name in table if str(name).startswith("probability_")]
    assert np.allclose(table[columns].sum(axis=1), 1)


def test_regression(features: Features, tmp_path: Path) -> None:
    result = fit(features, "ridge", target="age", out=tmp_path, cv="3", n_jobs=1)
    assert result.record["task"] == "regression"
    assert result.record["classes"] == []
    assert result.record["baseline_kind"] == "mean"
    assert result.metrics["plcc"] > 0.9
    assert list(result.predictions) == ["path", "target", "prediction", "fold"]
    assert not read_artifact(tmp_path / result.name, print)[1].classes


def test_a_view_brings_its_own_target(features: Features) -> None:
    of_ages = replace(features, target="age")
    assert cross_validate(of_ages, "ridge", cv="3", n_jobs=1).record["target"] == "age"
    assert cross_validate(of_ages, target="label", **QUICK).record["target"] == "label"


def test_rows_without_a_target_are_left_out(tmp_path: Path) -> None:
    age = AGE.astype(object)
    age[:6] = ["NA", -1, None, "", np.nan, "-1.0"]
    features = make(tmp_path / "cache", X, {"age": age}, failed=(20,))
    with pytest.raises(TargetError, match=r"'NA'.*--missing NA"):
        fit(features, "ridge", target="age", out=None)
    result = fit(features, "ridge", target="age", missing="NA,-1", cv="3", out=None, n_jobs=1)
    assert result.record["n"] == 53
    assert result.record["data"]["left_out"] == [
        {"rows": 6, "why": "no value in column 'age' ('NA' or '-1' counts as none)"},
        {"rows": 1, "why": "the image could not be read"},
    ]
    assert result.predictions["path"].iloc[0] == "006.png"
    assert np.array_equal(result.predictions["target"], np.delete(AGE[6:], 14))
    listed = fit(features, "ridge", target="age", missing=["NA", -1], cv="3", out=None, n_jobs=1)
    assert listed.metrics == result.metrics
    assert not [note for note in listed.record["notes"] if "--missing" in note]
    typo = fit(features, "ridge", target="age", missing="NA,-1,NB", cv="3", out=None, n_jobs=1)
    assert "no row has 'NB' in column 'age': --missing names it" in typo.record["notes"]


def test_no_target_at_all(tmp_path: Path) -> None:
    features = make(tmp_path, X, {"age": [None] * 60})
    with pytest.raises(TargetError, match="--target COL; columns: path, age"):
        fit(features, out=None)
    with pytest.raises(TargetError, match="no row has a value in column 'age'"):
        fit(features, target="age", out=None)


def test_unknown_columns_name_the_nearest(features: Features) -> None:
    for option in ("target", "group", "split"):
        with pytest.raises(UnknownNameError, match="unknown column 'lable'; did you mean 'label'"):
            fit(features, out=None, **{option: "lable"})


def test_a_head_that_does_not_fit(features: Features) -> None:
    with pytest.raises(HeadTaskError, match=r"svr|ridge"):
        fit(features, "svm", target="age", out=None)
    with pytest.raises(HeadTaskError, match=r"svm, ridge, logreg, rbf, mlp, nn, knn"):
        fit(features, "svr", out=None)
    with pytest.raises(TargetError, match="no number"):
        fit(features, "ridge", target="label", task="regression", out=None)
    with pytest.raises(UnknownNameError, match="did you mean 'ridge'"):
        fit(features, "rigde", out=None)


def test_copies_and_groups_stay_in_one_fold(tmp_path: Path) -> None:
    contents: list[object] = list(range(60))
    for i in range(0, 30, 3):
        contents[i + 30] = contents[i]
    person = np.arange(60) % 20
    features = make(tmp_path, X, {"label": KIND, "person": person}, contents=contents)
    table = cross_validate(features, group="person", **QUICK).predictions
    fold = table["fold"].to_numpy()
    for i in range(0, 30, 3):
        assert fold[i] == fold[i + 30]
    for who in range(20):
        assert len(set(fold[person == who])) == 1
    result = cross_validate(features, **QUICK)
    fold = result.predictions["fold"].to_numpy()
    assert all(fold[i] == fold[i + 30] for i in range(0, 30, 3))
    assert any("10 rows are copies of others" in note for note in result.notes)


def test_copies_with_two_labels_are_pointed_out(tmp_path: Path) -> None:
    contents: list[object] = [*range(59), 0]
    result = cross_validate(make(tmp_path, X, {"label": LABEL}, contents=contents), **QUICK)
    assert result.record["warnings"] == [
        "1 image occurs with more than one target value: 000.png = 059.png"
    ]
    several = make(tmp_path / "several", X, {"label": LABEL}, contents=[i % 50 for i in range(60)])
    (told,) = cross_validate(several, **QUICK).record["warnings"]
    assert told.startswith("10 images occur with more than one target value: 000.png = 050.png, ")
    assert told.endswith(" and 7 more")


def test_an_identity_is_pointed_out(tmp_path: Path) -> None:
    columns = {"label": LABEL, "patient_id": np.arange(60) % 15}
    features = make(tmp_path, X, columns)
    hint = "column 'patient_id' looks like an identity (15 values over 60 rows)"
    found = cross_validate(features, **QUICK)
    (told,) = cautions(found.record)
    assert told.startswith(hint)
    assert hint in repr(found)
    grouped = cross_validate(features, group="patient_id", **QUICK)
    assert not cautions(grouped.record)


def test_rows_without_a_group_are_said(tmp_path: Path) -> None:
    who = [None if i < 4 else f"p{i // 3}" for i in range(60)]
    features = make(tmp_path, X, {"label": LABEL, "who": who})
    notes = cross_validate(features, group="who", **QUICK).notes
    assert "4 rows have no 'who': each is a group of its own" in notes


def test_split_scores_the_test_rows_once(tmp_path: Path) -> None:
    side = np.array(["train", "train", "test"])[np.arange(60) // 3 % 3]
    features = make(tmp_path / "cache", X, {"label": LABEL, "split": side})
    result = fit(features, split="split", out=tmp_path, grid="C=0.01,1", n_jobs=1)
    tested = features.manifest.path[side == "test"]
    assert result.predictions["path"].tolist() == tested.tolist()
    assert (
        f"the saved head was fitted on {int((side == 'train').sum())} of the 60 rows"
        in result.notes
    )
    (note,) = [n for n in cross_validate(features, **QUICK).notes if "--split" in n]
    assert "column 'split' says which rows train and test, and is not used" in note
    assert result.record["split"] == "split"


def test_a_row_that_is_tested_twice_has_two_predictions(features: Features) -> None:
    result = cross_validate(features, repeats=2, **QUICK)
    n, folds = len(features), result.predictions["fold"]
    assert len(result.predictions) == 2 * n
    assert folds.nunique() == len(result.record["folds"])
    accuracy = (
        (result.predictions["prediction"] == result.predictions["target"]).groupby(folds).mean()
    )
    expected = [fold["metrics"]["accuracy"] for fold in result.record["folds"]]
    np.testing.assert_allclose(accuracy.to_numpy(), expected)


def test_several_targets_are_checked_before_the_first_is_fitted(tmp_path: Path) -> None:
    score = np.linspace(0.1, 9.7, len(LABEL))
    features = make(tmp_path / "cache", X, {"label": LABEL, "score": score})
    with pytest.raises(HeadTaskError, match="target 'score'"):
        fit_targets(["label", "score"], features, "logreg", name="both", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_array_is_no_view(features: Features) -> None:
    with pytest.raises(UsageError, match=r"type ndarray; expected what featx\.load gives"):
        fit(features.X, "svm")  # type: ignore[arg-type]


def test_a_guessed_task_is_named_where_it_fails(tmp_path: Path) -> None:
    ages = np.repeat(np.arange(20, 40), 3)
    features = make(tmp_path / "cache", X, {"age": ages})
    with pytest.raises(TargetError, match=r"taken as classification.*--task regression"):
        cross_validate(features, "ridge", target="age", n_jobs=1)


def test_decimal_commas_are_no_classes(tmp_path: Path) -> None:
    commas = np.array([f"{i % 7},5" for i in range(len(LABEL))], dtype=object)
    features = make(tmp_path / "cache", X, {"rating": commas})
    options: dict[str, Any] = {"target": "rating", "search": False, "cv": "3", "n_jobs": 1}
    with pytest.raises(TargetError, match="decimal commas"):
        cross_validate(features, "ridge", **options)
    assert cross_validate(features, "ridge", task="classification", **options)


def test_several_targets(features: Features, tmp_path: Path) -> None:
    results = fit_targets(["label", "age"], features, "knn", out=tmp_path, name="both", cv="3")
    assert [r.name for r in results] == ["both-label", "both-age"]
    assert [r.record["task"] for r in results] == ["classification", "regression"]


def test_the_last_extraction_is_taken_and_said(features: Features, tmp_path: Path) -> None:
    report = Said()
    result = fit(cache=tmp_path / "cache", out=None, progress=report, **QUICK)
    assert result.record["data"]["name"] == "blobs"
    assert sum("the last extraction" in line for line in report.lines) == 2
    named = fit(RECIPE.label, data="blobs", cache=tmp_path / "cache", out=None, **QUICK)
    assert named.metrics == result.metrics


def test_the_command_repeats_the_fit(features: Features, tmp_path: Path) -> None:
    result = fit(
        features, "svm", out=tmp_path, grid={"C": [0.01, 1.0]}, cv="3", missing=["NA"], seed=3
    )
    words = result.record["command"].split()
    assert words[:2] == ["featx", "fit"]
    text = result.record["command"]
    for option in (
        "--data blobs",
        f"--features {shlex.quote(f'{RECIPE.label}#{RECIPE.hash[:8]}')}",
        "--head svm",
        "--target label",
        "--grid C=0.01,1.0",
        "--cv 3",
        "--seed 3",
        "--missing NA",
    ):
        assert option in text
    assert "None" not in text
    plain = fit(features, "svm", out=None, **QUICK).record["command"]
    assert "--no-search" in plain
    assert "--set C=0.1" in plain


def test_what_quality_needs_is_kept_and_repeated(tmp_path: Path) -> None:
    view = make(tmp_path / "cache", X, {"dmos": AGE, "ref": np.arange(60) // 4})
    options: dict[str, Any] = {"target": "dmos", "group": "ref", "cv": "random:20:0.2"}
    asked: dict[str, Any] = {"quality": True, "lower_is_better": True, "aggregate": "group"}
    result = fit(view, "ridge", out=tmp_path, search=False, n_jobs=1, **options, **asked)
    record = read(result.path, "result.json")
    assert {name: record["arguments"][name] for name in asked} == asked
    assert "--quality --lower-is-better --aggregate group" in record["command"]
    assert set(record["group_metrics"]) == set(record["metrics"]) == set(record["baseline"])
    assert record["metrics"]["plcc_logistic4"]["median"] > 0.9
    assert record["metrics"]["srocc"]["corrected_low"] < record["metrics"]["srocc"]["mean"]
    assert read_artifact(tmp_path / result.name, print)[1].lower_is_better
    card = (tmp_path / result.name / "card.md").read_text(encoding="utf-8")
    assert "| median | new images | trained anew |" in card
    assert "Scores of the mean of each group (ref):" in card
    plain = fit(view, "ridge", out=None, target="dmos", search=False).record
    assert not {"--quality", "--lower-is-better", "False"} & set(plain["command"].split())


def test_the_command_writes_sizes_as_they_are_read() -> None:
    arguments = {"set": {"hidden_layer_sizes": (100, 50)}, "grid": {"h": [(8, 4), 20, None]}}
    text = featx.commands.command(arguments)
    assert text == "featx fit --set hidden_layer_sizes=100x50 --grid h=8x4,20,None"
    assert parse_params("hidden_layer_sizes=100x50") == arguments["set"]
    assert parse_grid("h=8x4,20,None") == {"h": ((8, 4), 20, None)}


def test_names(features: Features, tmp_path: Path) -> None:
    assert fit(features, out=tmp_path, **QUICK).name == "svm-blobs-squeezenet1_1-1"
    assert fit(features, out=tmp_path, **QUICK).name == "svm-blobs-squeezenet1_1-2"
    assert fit(features, out=tmp_path, name="mine", **QUICK).name == "mine"
    with pytest.raises(UsageError, match="'mine' exists already"):
        fit(features, out=tmp_path, name="mine", **QUICK)


def test_nothing_is_written_when_saving_fails(
    features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise FeatxError("the disk is full")

    monkeypatch.setattr(featx.result, "write_json", full)
    with pytest.raises(FeatxError, match="the disk is full"):
        fit(features, out=tmp_path / "runs", **QUICK)
    assert [p.name for p in (tmp_path / "runs").iterdir() if p.name != ".lock"] == []


def _fit_again(cache: Path, out: Path) -> str:
    return fit(data="blobs", cache=cache, out=out, **QUICK).name


@pytest.mark.slow
def test_two_fits_at_once(features: Features, tmp_path: Path) -> None:
    jobs = [(tmp_path / "cache", tmp_path / "runs")] * 2
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        names = pool.starmap(_fit_again, jobs)
    assert sorted(names) == [f"svm-blobs-squeezenet1_1-{i}" for i in (1, 2)]
    for name in names:
        assert read(tmp_path / "runs" / name, "result.json")["name"] == name


def test_items_of_one_image_are_told_apart(tmp_path: Path) -> None:
    features = make(tmp_path, X, {"label": LABEL})
    features.manifest.item[5] = 1
    assert "item" in cross_validate(features, **QUICK).predictions


def test_html_escapes_names(features: Features) -> None:
    html = cross_validate(features, **QUICK)._repr_html_()
    assert "<table" in html
    assert "<script>" not in html


def test_cross_validate_writes_nothing(
    features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cross_validate(features, out="runs", **QUICK)
    assert result.path is None
    assert not (tmp_path / "runs").exists()


def test_fit_loads_no_torch(features: Features, tmp_path: Path) -> None:
    code = (
        "import sys; from featx.fitting import fit; "
        f"fit(cache={str(tmp_path / 'cache')!r}, out={str(tmp_path / 'runs')!r}, "
        "search=False, n_jobs=1); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_frame_is_not_changed(features: Features) -> None:
    before = features.frame.copy()
    cross_validate(features, **QUICK)
    pd.testing.assert_frame_equal(features.frame, before)


def test_groups_are_called_as_the_users_column_does(tmp_path: Path) -> None:
    """A whole number stays one where a cell is empty; groups that share an image are joined."""
    X, kind = blobs(24)
    person = np.repeat([3.0, 1.0, 12.0, 7.0, 5.0, 4.0], 4)
    person[0] = np.nan
    contents = [*range(23), 4]
    view = make(tmp_path, X, {"label": kind, "person": person}, contents=contents)
    run = fit(view, "svm", out=None, group="person", search=False, cv="2", n_jobs=1)
    names = run.predictions.groupby("path")["group"].first()
    assert names["000.png"] == "0"
    assert names["001.png"] == "3"
    assert names["008.png"] == "12"
    assert names["004.png"] == names["023.png"] == "1 + 4"
