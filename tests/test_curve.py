"""The learning curve: what is drawn, that its points are scikit-learn's, and what it claims."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_fit import blobs, make
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.metrics import accuracy_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.svm import LinearSVC

import featx
from featx.curves.cuts import read_sizes
from featx.curves.intervals import intervals
from featx.curves.words import Point, verdict
from featx.errors import UnknownNameError, UsageError
from featx.evaluate import FoldResult, Spec, read_setup
from featx.features import Features
from featx.folds import Rows, cut_plan, make_plan, nested_subset
from featx.heads import HEADS
from featx.metrics import CLASSIFICATION, REGRESSION
from featx.paired import Difference

N = 90
ACCURACY = next(metric for metric in CLASSIFICATION if metric.name == "accuracy")
RMSE = next(metric for metric in REGRESSION if metric.name == "rmse")


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    X, _ = blobs(N)
    rng = np.random.default_rng(5)
    return (0.35 * X + rng.normal(size=X.shape)).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def view(X: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Features:
    label = np.array(["ant", "bee", "cow"])[np.arange(N) % 3]
    amount = X[:, 0] * 3.0 + X[:, 1] + np.random.default_rng(1).normal(size=N)
    columns = {
        "label": label,
        "amount": amount.round(4),
        "patient": [f"p{i // 4}" for i in range(N)],
        "side": ["test" if i % 4 == 3 else "train" for i in range(N)],
    }
    return make(tmp_path_factory.mktemp("cache"), X, columns)


def classes_of(counts: list[int], group: int | None = None) -> Rows:
    codes = np.repeat(np.arange(len(counts)), counts)
    groups = None if group is None else np.arange(len(codes)) // group
    return Rows(len(codes), codes, tuple("abc"[: len(counts)]), groups, "patient")


def test_splits_that_score_alike_have_no_interval(tmp_path: Path) -> None:
    kind = np.arange(60) % 2
    view = make(tmp_path, np.eye(2)[kind] * 9, {"label": np.array(["ant", "bee"])[kind]})
    options: dict[str, Any] = {"sizes": "5,all", "search": False, "cv": "3", "n_jobs": 1}
    found = featx.curve(view, "ridge", **options)
    assert found.table["accuracy"].tolist() == [1, 1]
    assert found.table[["accuracy_low", "accuracy_high"]].isna().all(axis=None)
    assert any("no interval for 5, all: all splits scored the same" in n for n in found.notes)
    single = featx.curve(view, "ridge", **options | {"cv": "5", "test_size": 0.2, "draws": 3})
    assert np.isnan(single.table["accuracy_low"][0])
    assert single.table["accuracy_low"][1] == pytest.approx(0.025 ** (1 / 12))


def test_a_smaller_draw_is_a_part_of_a_larger_one() -> None:
    rows = classes_of([20, 30, 8])
    train = np.flatnonzero(np.arange(58) % 7 > 0)
    drawn = [nested_subset(rows, train, size, seed=(3, 1, 0)) for size in (1, 4, 5, 16, 50)]
    for small, large in zip(drawn, [*drawn[1:], train], strict=True):
        assert np.isin(small, large).all()
        assert (np.diff(small) > 0).all()
    fewest = np.bincount(rows.codes[train])
    for size, subset in zip((1, 4, 5, 16, 50), drawn, strict=True):
        assert np.bincount(rows.codes[subset]).tolist() == np.minimum(fewest, size).tolist()
    assert not np.array_equal(drawn[1], nested_subset(rows, train, 4, seed=(3, 1, 1)))


def test_every_row_is_drawn_as_often_as_any_other() -> None:
    rows, train = classes_of([10, 20]), np.arange(30)
    times = np.zeros(30)
    for draw in range(600):
        times[nested_subset(rows, train, 5, seed=(0, 0, draw))] += 1
    # 600 draws of 5 in 10 and of 5 in 20; 5 standard deviations of a binomial count
    assert (np.abs(times[:10] - 300) < 5 * np.sqrt(600 * 0.25)).all()
    assert (np.abs(times[10:] - 150) < 5 * np.sqrt(600 * 0.1875)).all()


@pytest.mark.parametrize("classes", [True, False])
def test_groups_are_taken_whole_and_come_as_near_as_they_can(classes: bool) -> None:
    rows = classes_of([24, 36], group=4)
    rows = rows if classes else Rows(60, None, (), rows.groups, "patient")
    drawn = [nested_subset(rows, np.arange(60), size, seed=2) for size in (1, 9, 11, 20)]
    for subset, expected in zip(drawn, (4, 8, 12, 20), strict=True):
        counts = np.bincount(rows.codes[subset]) if classes else [len(subset)]
        assert list(counts) == [expected] * len(counts)
        assert (
            np.isin(rows.groups[subset], rows.groups[np.setdiff1d(np.arange(60), subset)]).sum()
            == 0
        )
    assert all(np.isin(a, b).all() for a, b in pairwise(drawn))
    two = nested_subset(rows, np.arange(60), 1, least=2, seed=2)
    assert len(two) == (16 if classes else 8)


def test_no_test_row_and_no_other_training_row_takes_part() -> None:
    rows = classes_of([24, 36], group=4)
    plan = make_plan(rows, cv="3", repeats=2)
    for draw in range(3):
        cut = cut_plan(rows, plan, 8, draw, seed=0)
        for whole, fold in zip(plan.folds, cut.folds, strict=True):
            assert np.array_equal(whole.test, fold.test)
            assert np.isin(fold.train, whole.train).all()
            assert len(fold.train) < len(whole.train)
            assert not np.isin(rows.groups[fold.train], rows.groups[fold.test]).any()
            assert fold.inner
            for train, test in fold.inner:
                assert np.array_equal(np.sort(np.concatenate([train, test])), fold.train)
                assert not np.isin(rows.groups[train], rows.groups[test]).any()


STRENGTHS = [0.01, 1.0, 100.0]
LITERAL = {
    "ridge": (RidgeClassifier(), "alpha"),
    "svm": (LinearSVC(tol=1e-6, max_iter=100_000), "C"),
    "ridge of numbers": (Ridge(), "alpha"),
}


@pytest.mark.parametrize("name", list(LITERAL))
def test_points_are_those_of_a_loop_of_grid_searches(
    name: str, X: np.ndarray, view: Features
) -> None:
    estimator, parameter = LITERAL[name]
    numbers = name.endswith("numbers")
    y = view.frame["amount" if numbers else "label"].to_numpy()
    y = y.astype(float) if numbers else y
    folds = (KFold if numbers else StratifiedKFold)(3, shuffle=True, random_state=7)
    sizes = (24, 40) if numbers else (4, 9)
    found = featx.curve(
        view, name.split()[0], target="amount" if numbers else "label", sizes=[*sizes, "all"],
        draws=2, cv=3, seed=7, grid={parameter: STRENGTHS},
        set={"tol": 1e-6} if name == "svm" else {},
    )  # fmt: skip
    rows = Rows(
        N,
        None if numbers else np.unique(y, return_inverse=True)[1],
        () if numbers else tuple("abc"),
    )
    metric = "rmse" if numbers else "accuracy"
    truth = []
    for size in (*sizes, None):
        for draw in range(1 if size is None else 2):
            for i, (train, test) in enumerate(folds.split(X, y)):
                part = (
                    train if size is None else nested_subset(rows, train, size, seed=(7, i, draw))
                )
                search = GridSearchCV(
                    estimator, {parameter: STRENGTHS}, cv=folds,
                    scoring="neg_root_mean_squared_error" if numbers else "accuracy",
                ).fit(X[part].astype(float), y[part])  # fmt: skip
                said = search.predict(X[test].astype(float))
                value = (
                    root_mean_squared_error(y[test], said)
                    if numbers
                    else accuracy_score(y[test], said)
                )
                truth.append((value, search.best_params_[parameter]))
    # closed forms and solvers run to 1e-6 both: no row of these is nearer to a boundary
    values, chosen = map(list, zip(*truth, strict=True))
    assert found.fits[metric].tolist() == pytest.approx(values, rel=1e-4)
    assert found.fits[f"param_{parameter}"].tolist() == chosen
    means = found.fits.groupby("size", sort=False)[metric]
    assert found.table[metric].tolist() == pytest.approx(means.mean().tolist())
    assert found.table[f"{metric}_std"].tolist() == pytest.approx(means.std().tolist())


@pytest.mark.parametrize("head", ["svm", "ridge", "knn"])
def test_the_last_point_is_what_a_fit_estimates(head: str, view: Features) -> None:
    options = {"group": "patient", "cv": 4, "repeats": 2, "seed": 3}
    found = featx.curve(view, head, sizes="6,all", draws=1, **options)
    score = featx.cross_validate(view, head, **options).record["metrics"]["accuracy"]
    last = found.table.iloc[-1]
    assert last["size"] == "all"
    got = [last[f"accuracy{end}"] for end in ("", "_std", "_low", "_high")]
    assert got == [score[name] for name in ("mean", "std", "corrected_low", "corrected_high")]


def test_a_split_column_is_scored_once_and_resampled(view: Features) -> None:
    found = featx.curve(view, "ridge", split="side", sizes="3,all", metric="roc_auc")
    score = featx.cross_validate(view, "ridge", split="side").record["metrics"]["roc_auc"]
    first, last = found.table.to_dict(orient="records")
    assert [last[f"roc_auc{end}"] for end in ("", "_low", "_high")] == [
        score[name] for name in ("mean", "low", "high")
    ]
    assert (first["draws"], last["draws"]) == (7, 1)  # 68 training rows hold 9 seven times
    assert first["roc_auc_low"] < first["roc_auc"] < first["roc_auc_high"]
    assert "95 %: bootstrap of the test rows" in found.how
    assert "a doubling (95 %" in found.verdict


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("scale", ["none", "standard", "l2"])
def test_every_head_and_scaling_has_a_curve(head: str, scale: str, view: Features) -> None:
    for task in HEADS[head].tasks:
        target = "label" if task == "classification" else "amount"
        found = featx.curve(
            view, head, target=target, sizes=[8, "all"], draws=1, cv=2, scale=scale,
            set={"max_iter": 10} if head == "mlp" else {}, n_jobs=1,
        )  # fmt: skip
        assert found.table["size"].tolist() == ["8", "all"]
        assert np.isfinite(found.table[found.metric]).all()
        json.dumps(found.to_json(), allow_nan=False)


def test_sizes_and_draws_are_chosen_by_the_rows(view: Features) -> None:
    found = featx.curve(view, "ridge", class_weight="balanced")
    assert found.table["size"].tolist() == ["5", "10", "all"]  # 24 rows a class in a fold
    assert found.table["draws"].tolist() == [4, 2, 1]
    assert found.table["rows"].tolist() == [15, 30, 72]
    numbers = featx.curve(view, "ridge", target="amount")
    assert numbers.table["size"].tolist() == ["25", "50", "all"]
    assert numbers.metric == "rmse"


def test_what_cannot_be_drawn_is_left_out_and_said(view: Features) -> None:
    found = featx.curve(view, "knn", sizes="1,10,500,all", set={"n_neighbors": 9}, search=False)
    assert found.table["size"].tolist() == ["10", "all"]
    assert [note for note in found.notes if "size 1 is left out: n_neighbors=9" in note]
    with pytest.raises(UsageError, match="size 1 is left out: parameters cannot be chosen"):
        featx.curve(view, "svm", sizes="1")
    with pytest.raises(
        UsageError, match=r"no size can be drawn: size 500 is .*every class has fewer"
    ):
        featx.curve(view, "svm", sizes="500")
    for sizes, said in (("10,500", "every class has fewer"), ("10,500,all", "same training rows")):
        notes = featx.curve(view, "svm", sizes=sizes).notes
        assert [note for note in notes if "size 500 is left out" in note and said in note]


def test_small_classes_give_what_they_have(X: np.ndarray, tmp_path: Path) -> None:
    label = np.where(np.arange(N) < 10, "rare", np.where(np.arange(N) % 2, "odd", "even"))
    found = featx.curve(make(tmp_path, X, {"label": label}), "ridge", sizes="4,12,all", cv=2)
    assert found.table["rows"].tolist() == [12, 29, 45]  # 12 even, 12 odd, 5 rare
    assert "classes with fewer training rows than a size give all they have: 'rare' 5" in (
        found.notes
    )


def test_sizes_that_take_the_same_groups_are_one(view: Features) -> None:
    found = featx.curve(
        view, "ridge", target="amount", group="patient", sizes="5,7,9,20,all", draws=1
    )
    # two groups of 4 at least, for parameters to be chosen: 5 and 7 take what 9 takes
    assert found.table["size"].tolist() == ["9", "20", "all"]
    assert found.table["rows"].iloc[:2].between([7, 18], [10, 22]).all()
    assert "groups (patient) whole" in found.how


@pytest.mark.parametrize("method", [None, "sigmoid"])
def test_calibrated_curves_end_where_a_calibrated_fit_does(method: Any, view: Features) -> None:
    metric = "log_loss" if method else "accuracy"
    found = featx.curve(view, "svm", sizes="10,all", draws=1, calibrate=method, metric=metric)
    fitted = featx.fit(view, "svm", calibrate=method, twins="off", out=None)
    assert found.table[metric].iloc[-1] == pytest.approx(fitted.metrics[metric], rel=1e-9)


def test_wrong_options_are_refused(view: Features) -> None:
    for sizes in ("5,many", "0", "", [-1]):
        with pytest.raises(UsageError, match="expected whole numbers from 1 up"):
            read_sizes(sizes)
    assert read_sizes("all, 10,5,5") == (5, 10, None)
    with pytest.raises(UsageError, match="draws is 0"):
        featx.curve(view, draws=0)
    with pytest.raises(UnknownNameError, match="plcc"):
        featx.curve(view, metric="plcc")


def test_scores_of_quality_and_of_scikit_learn(view: Features) -> None:
    found = featx.curve(view, "ridge", target="amount", sizes="30,all", metric="plcc_logistic4")
    assert found.table["plcc_logistic4"].between(0, 1).all()
    chosen = featx.curve(view, "ridge", sizes="9,all", scoring="f1_weighted", draws=1)
    assert chosen.metric == "accuracy"
    assert "chosen by f1_weighted" in chosen.how


def test_the_answer_as_text_table_and_page(view: Features) -> None:
    found = featx.curve(view, "ridge", sizes="9,all", draws=1)
    assert list(pd.read_csv(StringIO(found.to_csv()))["size"]) == ["9", "all"]
    assert found.verdict in repr(found)
    assert "<table" in found._repr_html_()
    assert "&lt;" not in found._repr_html_()
    assert found.unit == "rows a class"


def made_up(y: np.ndarray, share: float, rng: np.random.Generator) -> FoldResult:
    """A fit whose predictions are right with the chance ``share``."""
    said = np.where(rng.random(len(y)) < share, y, 1 - y)
    right = {"accuracy": float((said == y).mean())}
    rows = np.arange(len(y))
    return FoldResult(rows, rows, {}, said, np.eye(2)[said], right, True)


def test_a_single_split_draws_rows_and_training_sets_anew() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    split = np.where(np.arange(160) < 80, "train", "test")
    spec = Spec(head="ridge", search=False)
    setup = read_setup(160, 1, y, spec, None, split, "image", "split")
    setup = replace(setup, metrics=(ACCURACY,))
    test = y[80:]
    few = [made_up(test, share, rng) for share in (0.5, 0.6, 0.7, 0.8, 0.9)]
    last = made_up(test, 0.95, rng)
    whole = [replace(fit, test=np.arange(80, 160)) for fit in (*few, last)]
    ends, gains = intervals(setup, [[(fit,) for fit in whole[:-1]], [(whole[-1],)]])
    right = np.array([fit.prediction == test for fit in whole], dtype=float)
    loop = []
    for _ in range(4000):
        rows = rng.integers(80, size=80)
        mean = right[rng.integers(5, size=5)][:, rows].mean()
        loop.append((mean, right[5][rows].mean() - mean))
    truth = np.percentile(loop, [2.5, 97.5], axis=0)
    # an end of 1,000 resamples is off by 0.006, in units of standard deviation: 4 of them
    assert ends[0] == pytest.approx(tuple(truth[:, 0]), abs=0.024)
    assert (gains[0].low, gains[0].high) == pytest.approx(tuple(truth[:, 1]), abs=0.024)
    assert gains[0].value == pytest.approx(right[5].mean() - right[:5].mean())
    assert (gains[1].value, gains[1].low, gains[1].high) == (0, 0, 0)


def test_splits_without_a_value_are_left_out() -> None:
    y = np.arange(40) % 2
    spec = Spec(head="ridge", search=False, cv="4")
    setup = read_setup(40, 1, y, spec, None, None, "image", "split")
    setup = replace(setup, metrics=(ACCURACY,))
    fits = [made_up(y, 0.8, np.random.default_rng(i)) for i in range(4)]
    lost = [replace(fit, metrics={"accuracy": np.nan}) for fit in fits]
    ends, gains = intervals(setup, [[[*lost[:3], fits[3]]], [[*lost[:2], *fits[2:]]], [fits]])
    assert np.isnan([*ends[0], gains[0].low]).all()
    assert not np.isnan([*ends[1], gains[1].value, *ends[2]]).any()
    ends, gains = intervals(setup, [[lost], [fits]])
    assert np.isnan([*ends[0], gains[0].value]).all()


def points(*gains: tuple[float, float, float], p: float = 0.5) -> list[Point]:
    """Sizes 10, 20 ... rows a class of three, and what the last has more."""
    found = [
        Point(f"{10 * 2**i} a class", 30 * 2**i, 0.8, Difference(*gain, p, "t", 5))
        for i, gain in enumerate(gains)
    ]
    return [*found, Point("all", 30 * 2 ** len(gains), 0.9, Difference(0, 0, 0, 1, "t", 5))]


SAYS = {
    "still improving at the end: accuracy +2.0 points a doubling (95 % +1.0 to +3.0), from 60 to "
    "120 training rows": [(0.05, 0.04, 0.06), (0.02, 0.01, 0.03)],
    "worse with more labels at the end: accuracy -2.0 points a doubling (95 % -3.0 to -1.0), from "
    "60 to 120 training rows; 20 a class come within 1 point of all (95 %: at most 0.0 points are "
    "missing)": [(0.05, 0.04, 0.06), (-0.02, -0.03, -0.01)],
    "flat at the end: accuracy +0.1 points a doubling (95 % -0.3 to +0.5), from 60 to 120 training "
    "rows; 20 a class come within 1 point of all (95 %: at most 0.5 points are missing)": [
        (0.05, 0.04, 0.06),
        (0.001, -0.003, 0.005),
    ],
    "whether more labels help cannot be told at the end: accuracy +1.0 points a doubling (95 % "
    "-1.0 to +3.0), from 60 to 120 training rows": [(0.005, 0.001, 0.009), (0.01, -0.01, 0.03)],
}


@pytest.mark.parametrize("told", list(SAYS))
def test_the_verdict_claims_what_the_intervals_allow(told: str) -> None:
    assert verdict(points(*SAYS[told]), ACCURACY) == told


def test_the_verdict_of_errors_and_of_no_spread() -> None:
    nan = float("nan")
    falling = verdict(points((-0.5, -0.7, -0.3), (-0.1, -0.15, -0.05)), RMSE)
    assert falling.startswith(
        "still improving at the end: rmse -0.100 a doubling (95 % -0.150 to -0.050)"
    )
    close = verdict(points((-0.5, -0.7, -0.3), (0.001, -0.002, 0.004)), RMSE)
    assert close.endswith("20 a class come within 0.009 of all (95 %: at most 0.002 are missing)")
    same = verdict(points((0.0, nan, nan), p=1.0), ACCURACY)
    assert same == (
        "flat at the end: accuracy is the same in every split, from 30 to 60 training rows; "
        "10 a class give the same as all in every split"
    )
    # equal differences in every split, or a single one: nothing can be said of chance
    unknown = verdict(points((0.2, nan, nan), p=nan), ACCURACY)
    assert (
        unknown
        == "no interval can be given for what more labels bring, from 30 to 60 training rows"
    )
    balanced = verdict(points((0.0, -0.02, 0.02), p=1.0), ACCURACY)
    assert balanced.startswith("whether more labels help cannot be told")
    assert verdict(points(), ACCURACY).startswith("one size alone")


def test_a_gain_over_several_doublings_is_told_for_one() -> None:
    found = points((0.04, 0.02, 0.06), (9, 9, 9))
    ends = [found[0], found[-1]]  # 30 and 120 rows
    assert "+2.0 points a doubling (95 % +1.0 to +3.0), from 30 to 120" in verdict(ends, ACCURACY)
