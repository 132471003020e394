"""What may fool a fit: found, scored without, written, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_fit import blobs, make
from sklearn.metrics import accuracy_score, mean_absolute_error

from featx import doubts
from featx.cautions import cautions
from featx.doubts import cosines_of, read_twins
from featx.errors import UsageError
from featx.fitting import fit
from featx.gram import ArrayVectors
from featx.result import FitResult
from featx.twins import find_twins

QUICK: dict[str, Any] = {"search": False, "set": {"C": 0.1}, "cv": "3", "n_jobs": 1}
LABELS = np.array(["cat", "dog", "fox"])


def with_twins(twins: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Give (80, 12) vectors whose last rows nearly repeat the first, and their labels."""
    X, kind = blobs(80)
    noise = np.random.default_rng(1).normal(size=(twins, X.shape[1]))
    X[80 - twins :] = X[:twins] + 0.003 * noise
    kind[80 - twins :] = kind[:twins]
    return X, LABELS[kind]


def fitted(tmp_path: Path, X: np.ndarray, columns: dict[str, Any], **options: Any) -> FitResult:
    contents = options.pop("contents", None)
    view = make(tmp_path / "cache", X, columns, contents)
    return fit(view, options.pop("head", "svm"), out=tmp_path, name="run", **(QUICK | options))


def paths(table: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(table["path_1"], table["path_2"], strict=True))


def test_twins_across_folds_are_written_and_scored_without(tmp_path: Path) -> None:
    X, label = with_twins()
    result = fitted(tmp_path, X, {"label": label})
    table = pd.read_csv(tmp_path / "run" / "twins.csv")
    assert (table["fold_1"] != table["fold_2"]).all()
    assert 0 < len(table) <= 8
    assert paths(table) <= {(f"{i:03d}.png", f"{72 + i:03d}.png") for i in range(8)}
    assert not table["same_bytes"].any()
    assert (table["cosine"] > 0.999).all()
    assert paths(result.twins) == paths(table)

    twins = result.record["twins"]
    assert twins["rows"] == 2 * len(table)
    assert (twins["pairs"], twins["tested"], twins["why"]) == (len(table), 80, None)
    left_out = set(table["path_1"]) | set(table["path_2"])
    rest = result.predictions[~result.predictions["path"].isin(left_out)]
    each = [accuracy_score(f["target"], f["prediction"]) for _, f in rest.groupby("fold")]
    assert twins["metrics"]["accuracy"] == pytest.approx(np.mean(each))
    assert set(twins["metrics"]) == set(result.record["metrics"])
    assert json.loads((tmp_path / "run" / "result.json").read_text())["twins"] == twins
    said = cautions(result.record)[0]
    assert said.startswith(f"{twins['rows']} of 80 test images have a near-identical one")
    assert said.endswith(f": {tmp_path / 'run' / 'twins.csv'}")
    card = (tmp_path / "run" / "card.md").read_text(encoding="utf-8")
    assert f"{twins['rows']} of 80 test images" in card
    assert "Without the test images that have a near-identical one" in card
    assert said in repr(result)
    assert "near-identical" in result._repr_html_()


def test_twins_in_one_fold_are_harmless(tmp_path: Path) -> None:
    X, label = with_twins()
    person = np.arange(80)
    person[72:] = person[:8]
    result = fitted(tmp_path, X, {"label": label, "person": person}, group="person")
    assert result.record["twins"]["rows"] == 0
    assert result.record["twins"]["metrics"] == {}
    assert cautions(result.record) == []
    assert not (tmp_path / "run" / "twins.csv").exists()
    assert not (tmp_path / "run" / "suspects.csv").exists()


def test_twins_are_not_looked_for_when_that_is_said(tmp_path: Path) -> None:
    X, label = with_twins()
    result = fitted(tmp_path, X, {"label": label}, twins="off")
    assert result.record["twins"] is None
    assert cautions(result.record) == []
    assert "--twins off" in result.record["command"]


def test_a_cosine_of_the_users_is_taken(tmp_path: Path) -> None:
    X, label = with_twins()
    result = fitted(tmp_path, X, {"label": label}, twins=0.9)
    assert result.record["twins"]["rule"] == "a cosine of 0.9 or more"
    assert result.record["twins"]["pairs"] > 8
    assert result.record["arguments"]["twins"] == "0.9"


@pytest.mark.parametrize("option", ["on", "", "0", "-0.5", "1.01", "nan"])
def test_an_option_that_is_no_cosine_stops_before_the_work(tmp_path: Path, option: str) -> None:
    with pytest.raises(UsageError, match="expected auto, off, or the cosine"):
        fit("nothing", twins=option, cache=tmp_path)


def test_options_are_read() -> None:
    assert [read_twins(option) for option in ("auto", "off", "0.9", 1)] == [None, None, 0.9, 1.0]


def test_copies_across_a_split_column_are_told(tmp_path: Path) -> None:
    X, label = with_twins()
    X[72:] = X[:8]
    contents: list[object] = [*range(72), *range(8)]
    split = np.array(["train"] * 60 + ["test"] * 20)
    result = fitted(tmp_path, X, {"label": label, "split": split}, split="split", contents=contents)
    table = result.twins
    assert paths(table) == {(f"{i:03d}.png", f"{72 + i:03d}.png") for i in range(8)}
    assert table["same_bytes"].all()
    assert table["fold_1"].tolist() == [-1] * 8
    assert result.record["twins"]["rows"] == 8
    assert result.record["twins"]["tested"] == 20


def test_copies_are_told_where_the_search_would_take_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts, "cosines_of", lambda *_: doubts.Cosines(None, 1e4))
    monkeypatch.setattr("featx.fitting.cosines_of", lambda *_: doubts.Cosines(None, 1e4))
    X, label = with_twins()
    X[72:] = X[:8]
    split = np.array(["train"] * 60 + ["test"] * 20)
    result = fitted(
        tmp_path,
        X,
        {"label": label, "split": split},
        split="split",
        contents=[*range(72), *range(8)],
    )
    assert result.record["twins"]["pairs"] == 8
    assert result.twins["cosine"].tolist() == [1.0] * 8
    _, twins, why = cautions(result.record)
    assert twins.startswith("8 of 20 test images have a near-identical one")
    assert why.startswith("near-identical images were not looked for: the features do not fit")


@pytest.mark.parametrize(("option", "searched"), [("auto", False), ("0.99", True)])
def test_a_long_search_wants_a_cosine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, searched: bool
) -> None:
    X, label = with_twins()
    strips = cosines_of(ArrayVectors(X), None).strips
    monkeypatch.setattr("featx.fitting.cosines_of", lambda *_: doubts.Cosines(strips, 180.0))
    result = fitted(tmp_path, X, {"label": label}, twins=option)
    assert (result.record["twins"]["pairs"] > 0) == searched
    said = " ".join(cautions(result.record))
    assert ("about 3 minutes; --twins 0.95" in said) != searched


def test_cosines_come_from_features_where_no_products_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = with_twins()[0].astype(np.float16)
    cosines = cosines_of(ArrayVectors(X), None)
    assert cosines.seconds == pytest.approx(2 * 80**2 * 12 / 1e11)
    assert cosines.strips is not None
    assert len(find_twins(cosines.strips(), 80)) == 8
    monkeypatch.setattr(doubts, "HELD_BYTES", 80 * 12 * 2 - 1)
    assert cosines_of(ArrayVectors(X), None).strips is None


def test_twins_with_different_labels_are_counted(tmp_path: Path) -> None:
    X, label = with_twins()
    label[72:] = np.where(label[72:] == "cat", "dog", "cat")
    twins = fitted(tmp_path, X, {"label": label}).record["twins"]
    assert twins["different_targets"] == twins["pairs"] > 0


def test_flipped_labels_are_suspects(tmp_path: Path) -> None:
    X, kind = blobs(150)
    X[:, :3] += 5 * np.eye(3)[kind]
    wrong = [4, 77, 131]
    kind[wrong] = (kind[wrong] + 1) % 3
    result = fitted(tmp_path, X, {"label": LABELS[kind]})
    table = pd.read_csv(tmp_path / "run" / "suspects.csv")
    assert set(table["path"]) == {f"{i:03d}.png" for i in wrong}
    assert (table["target"] != table["prediction"]).all()
    np.testing.assert_allclose(table["margin"], table["score_prediction"] - table["score_target"])
    assert (table["evidence"] >= 3).all()
    assert result.record["suspects"] == {"rows": 3, "tested": 150}
    said = cautions(result.record)[-1]
    assert (
        said == f"3 labels are likely wrong (look at the images): {tmp_path / 'run/suspects.csv'}"
    )


def test_wrong_numbers_are_suspects(tmp_path: Path) -> None:
    X, _ = blobs(150)
    age = X[:, 0] * 3 + X[:, 1] + 40
    age[10] += 40
    options = {"head": "ridge", "target": "age", "set": {"alpha": 1.0}}
    result = fitted(tmp_path, X, {"age": age}, **options)
    table = result.suspects
    assert table["path"].tolist() == ["010.png"]
    np.testing.assert_allclose(table["residual"], table["target"] - table["prediction"])
    assert "1 label is likely wrong" in repr(result)
    assert result.record["twins"]["different_targets"] == 0


def test_regression_is_scored_without_twins(tmp_path: Path) -> None:
    X, _ = with_twins()
    options = {"head": "ridge", "target": "age", "set": {"alpha": 1.0}}
    result = fitted(tmp_path, X, {"age": X[:, 0] * 3 + 40.5}, **options)
    left_out = set(result.twins["path_1"]) | set(result.twins["path_2"])
    rest = result.predictions[~result.predictions["path"].isin(left_out)]
    each = [mean_absolute_error(f["target"], f["prediction"]) for _, f in rest.groupby("fold")]
    assert result.record["twins"]["metrics"]["mae"] == pytest.approx(np.mean(each))


def test_twins_with_targets_far_apart_are_counted(tmp_path: Path) -> None:
    X, _ = with_twins()
    age = np.arange(80) % 8 + 40.5
    age[[72, 73]] += 30
    result = fitted(tmp_path, X, {"age": age}, head="ridge", target="age", set={"alpha": 1.0})
    apart = (result.twins["target_1"] - result.twins["target_2"]).abs() > age.std()
    assert result.record["twins"]["different_targets"] == apart.sum() > 0
    told = " ".join(cautions(result.record))
    said = f"{apart.sum()} of the {len(apart)} pairs"
    assert said in told
    assert "targets more than a standard deviation apart" in told
    assert "as squeezenet1_1:features:avg@224 sees them" in told


def test_cautions_without_a_folder_name_no_file() -> None:
    record = {
        "path": None,
        "criterion": "neg_mean_poisson_deviance",
        "metrics": {"rmse": {"mean": 2.0}},
        "twins": {
            "rows": 1,
            "tested": 1,
            "pairs": 2,
            "different_targets": 1,
            "why": None,
            "metrics": {"rmse": None},
        },
        "suspects": {"rows": 1},
    }
    twins, suspects = cautions(record)
    assert twins == (
        "1 of 1 test image has a near-identical one in its training rows (rmse 2, and - without "
        "them; 1 of the 2 pairs has different labels)"
    )
    assert suspects == "1 label is likely wrong (look at the images)"
    assert cautions({"path": None}) == []
