"""Scores of groups, of many random splits, and of image quality, against literal computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from featx.errors import TargetError, UsageError
from featx.evaluate import Evaluation, Spec, evaluate
from featx.folds import Rows
from featx.mapping import fit_mapping

N = 90
GROUP = np.repeat(np.arange(30), 3)
QUICK: dict[str, Any] = {"search": False, "cv": "3"}


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    X = np.random.default_rng(0).normal(size=(N, 12)).astype(np.float32)
    X[:, 0] += 2 * np.random.default_rng(1).normal(size=30)[GROUP]
    return X


@pytest.fixture(scope="module")
def amounts(X: np.ndarray) -> np.ndarray:
    return 40 + 5 * X[:, 0].astype(float) + np.random.default_rng(2).normal(size=N)


def each_fold(found: Evaluation, y: np.ndarray) -> list[pd.DataFrame]:
    return [
        pd.DataFrame({"group": GROUP[f.test], "y": y[f.test], "prediction": f.prediction})
        for f in found.folds
    ]


def test_groups_of_numbers_are_scored_by_their_means(X, amounts):
    spec = Spec(head="ridge", aggregate="group", **QUICK)
    found = evaluate(X, amounts, spec, groups=GROUP, group_name="person")
    means = [table.groupby("group").mean() for table in each_fold(found, amounts)]
    truth = [stats.pearsonr(m.y, m.prediction).statistic for m in means]
    score = found.group_metrics["plcc"]
    assert score.mean == pytest.approx(np.mean(truth))
    assert (score.n, score.splits) == (30, 3)
    assert "30 units (person)" in score.how
    assert "0.5 test rows to a training row" in score.corrected_how
    assert found.group_baseline["mae"].mean > found.group_metrics["mae"].mean
    rows = [stats.pearsonr(t.y, t.prediction).statistic for t in each_fold(found, amounts)]
    assert found.metrics["plcc"].mean == pytest.approx(np.mean(rows))


@pytest.mark.parametrize(
    ("fixed", "grouped", "told"),
    [
        ({"early_stopping": True, "solver": "adam"}, True, True),
        ({"early_stopping": True, "solver": "adam"}, False, False),
        ({"early_stopping": True}, True, False),  # lbfgs has no early stopping
        ({"solver": "adam"}, True, False),
    ],
)
def test_early_stopping_that_parts_groups_is_told(X, amounts, fixed, grouped, told):
    groups = GROUP if grouped else None
    spec = Spec(head="mlp", fixed={"max_iter": 3, **fixed}, **QUICK)
    found = evaluate(X, amounts, spec, groups=groups, group_name="person")
    note = (
        "early_stopping of mlp: its validation rows may share groups (person) with its training "
        "rows; use --head nn, which keeps them apart"
    )
    assert (note in found.notes) == told


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("head", ["svm", "logreg"])
def test_groups_of_one_label_are_scored_by_their_mean_scores(X, k, head):
    y = np.array(["ant", "bee", "cow"])[(GROUP % k)]
    shifted = X + 0.7 * (GROUP % k)[:, None]
    spec = Spec(head=head, aggregate="group", **QUICK)
    found = evaluate(shifted, y, spec, groups=GROUP)
    right = []
    for fold in found.folds:
        scores = pd.DataFrame(fold.scores).groupby(GROUP[fold.test]).mean()
        said = np.array(["ant", "bee", "cow"])[scores.to_numpy().argmax(axis=1)]
        right.append(np.mean(said == y[scores.index * 3]))
    assert found.group_metrics["accuracy"].mean == pytest.approx(np.mean(right))
    assert found.group_metrics["accuracy"].mean >= found.metrics["accuracy"].mean
    assert not [note for note in found.notes if "different labels" in note]


def test_groups_of_several_labels_are_left_out_and_counted(X):
    y = np.array(["ant", "bee"])[GROUP % 2]
    y[[0, 7]] = ["bee", "bee"]
    spec = Spec(aggregate="group", **QUICK)
    found = evaluate(X, y, spec, groups=GROUP, group_name="person")
    assert found.group_metrics["accuracy"].n == 28
    note = "2 of 30 groups (person) have rows of different labels"
    assert [text for text in found.notes if text.startswith(note)]


def test_a_split_without_a_group_of_one_label_is_left_out():
    from featx.evaluate.groups import group_splits
    from featx.metrics import Outcome

    rows = Rows(6, np.array([0, 1, 0, 1, 1, 1]), ("a", "b"), np.array([0, 0, 1, 1, 2, 2]))
    y = [np.array([0, 1]), np.array([1, 1])]
    outcomes = [Outcome(each, each, np.eye(2)[each]) for each in y]
    tests, trains = [np.arange(2), np.arange(4, 6)], [np.arange(2, 6), np.arange(4)]
    found = group_splits(outcomes, tests, trains, rows)
    assert [groups.tolist() for groups in found.groups] == [[2]]
    assert found.n_train == [2]
    assert found.outcomes[0].prediction.tolist() == [1]


def test_what_cannot_be_aggregated_is_refused(X):
    y = np.array(["ant", "bee"])[GROUP % 2]
    with pytest.raises(UsageError, match="aggregate is 'person'; expected group"):
        evaluate(X, y, Spec(aggregate="person"), groups=GROUP)
    for groups in (None, np.arange(N)):
        with pytest.raises(TargetError, match="no two rows share a group"):
            evaluate(X, y, Spec(aggregate="group"), groups=groups)
    mixed = np.array(["ant", "bee"])[np.arange(N) % 3 // 2]
    with pytest.raises(TargetError, match="every group \\(group\\) has rows of different labels"):
        evaluate(X, mixed, Spec(aggregate="group"), groups=GROUP)


def test_quality_is_scored_on_request(X, amounts):
    plain = evaluate(X, amounts, Spec(head="ridge", **QUICK))
    found = evaluate(X, amounts, Spec(head="ridge", quality=True, lower_is_better=True, **QUICK))
    added = {"plcc_logistic4", "plcc_logistic5", "rmse_logistic4", "rmse_logistic5"}
    assert set(found.metrics) - set(plain.metrics) == added
    assert {name: found.metrics[name].mean for name in plain.metrics} == {
        name: score.mean for name, score in plain.metrics.items()
    }
    truth = [
        stats.pearsonr(fit_mapping(f.prediction, amounts[f.test], 5), amounts[f.test]).statistic
        for f in found.folds
    ]
    assert found.metrics["plcc_logistic5"].mean == pytest.approx(np.mean(truth))
    assert found.metrics["plcc_logistic5"].low < np.mean(truth)
    assert "undefined" in found.baseline["plcc_logistic5"].how
    assert [note for note in found.notes if note.startswith("low values of the target")]
    chosen = evaluate(X, amounts, Spec(head="ridge", quality=True, scoring="plcc_logistic4"))
    assert chosen.criterion == "plcc_logistic4"


@pytest.mark.parametrize("name", ["quality", "lower_is_better"])
def test_what_is_meant_for_numbers_is_refused_for_classes(X, name):
    with pytest.raises(UsageError, match=f"{name} is for a target of numbers"):
        evaluate(X, np.arange(N) % 2, Spec(**{name: True}))


def test_many_random_splits_keep_groups_together_and_have_quartiles(X, amounts):
    spec = Spec(head="ridge", search=False, cv="random:40:0.2", seed=3)
    found = evaluate(X, amounts, spec, groups=GROUP, group_name="ref")
    assert len(found.folds) == 40
    for fold in found.folds:
        assert len(np.unique(GROUP[fold.test])) == 6
        assert len(fold.test) == 18
        assert not set(GROUP[fold.test]) & set(GROUP[np.setdiff1d(np.arange(N), fold.test)])
    each = [fold.metrics["srocc"] for fold in found.folds]
    assert len(set(each)) > 10
    score = found.metrics["srocc"]
    assert score.median == np.median(each)
    assert (score.quarter, score.three_quarters) == tuple(np.percentile(each, [25, 75]))
    # Nadeau and Bengio: (1 / J + n_test / n_train) s^2, J - 1 degrees of freedom.
    scale = np.sqrt((1 / 40 + 18 / 72) * np.var(each, ddof=1))
    low, high = stats.t.interval(0.95, 39, loc=np.mean(each), scale=scale)
    assert (score.corrected_low, score.corrected_high) == pytest.approx((low, min(high, 1)))


def test_repeated_folds_are_all_counted(X, amounts):
    found = evaluate(X, amounts, Spec(head="ridge", repeats=4, **QUICK))
    each = [fold.metrics["mae"] for fold in found.folds]
    score = found.metrics["mae"]
    assert (len(each), score.splits, score.n) == (12, 12, N)
    assert score.mean == pytest.approx(np.mean(each))
    scale = np.sqrt((1 / 12 + 1 / 2) * np.var(each, ddof=1))
    ends = stats.t.interval(0.95, 11, loc=np.mean(each), scale=scale)
    assert (score.corrected_low, score.corrected_high) == pytest.approx((max(ends[0], 0), ends[1]))


def test_a_single_split_has_no_corrected_interval(X, amounts):
    found = evaluate(X, amounts, Spec(head="ridge", search=False, test_size=0.3))
    score = found.metrics["mae"]
    assert np.isnan([score.corrected_low, score.corrected_high]).all()
    assert "several splits" in score.corrected_how
    assert score.low < score.mean < score.high
