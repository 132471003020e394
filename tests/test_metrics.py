"""Each metric, plain and resampled, against scikit-learn and scipy on repeated rows."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from sklearn.preprocessing import label_binarize

from featx.mapping import fit_mapping
from featx.metrics import (
    CLASSIFICATION,
    METRICS,
    QUALITY,
    REGRESSION,
    Outcome,
    mean_defined,
    metrics_for,
    ones,
    recalls,
)


def macro(function, y, scores, k):
    if k == 2:
        return function(y, scores[:, 1])
    return function(label_binarize(y, classes=range(k)), scores, average="macro")


TRUTH = {
    "accuracy": lambda y, p, *_: sk.accuracy_score(y, p),
    "balanced_accuracy": lambda y, p, *_: sk.balanced_accuracy_score(y, p),
    "f1_macro": lambda y, p, *_: sk.f1_score(y, p, average="macro"),
    "sensitivity": lambda y, p, _, k: sk.recall_score(
        y, p, average="binary" if k == 2 else "macro"
    ),
    "average_precision": lambda y, _, s, k: macro(sk.average_precision_score, y, s, k),
    "roc_auc": lambda y, _, s, k: macro(sk.roc_auc_score, y, s, k),
    "quadratic_kappa": lambda y, p, _, k: sk.cohen_kappa_score(
        y, p, weights="quadratic", labels=range(k)
    ),
    "log_loss": lambda y, _, s, k: sk.log_loss(y, s, labels=range(k)),
    "mae": lambda y, p, *_: sk.mean_absolute_error(y, p),
    "rmse": lambda y, p, *_: sk.root_mean_squared_error(y, p),
    "r2": lambda y, p, *_: sk.r2_score(y, p),
    "plcc": lambda y, p, *_: stats.pearsonr(y, p).statistic,
    "srocc": lambda y, p, *_: stats.spearmanr(y, p).statistic,
    "krocc": lambda y, p, *_: stats.kendalltau(y, p).statistic,
}


def classification(rng: np.random.Generator, k: int, m: int = 60) -> Outcome:
    y = np.concatenate([np.repeat(np.arange(k), 4), rng.integers(k, size=m - 4 * k)])
    scores = rng.integers(1, 6, size=(m, k)) + 2.0 * (y[:, None] == np.arange(k))
    scores /= scores.sum(axis=1, keepdims=True)
    return Outcome(y, scores.argmax(axis=1), scores)


def regression(rng: np.random.Generator, m: int = 60) -> Outcome:
    y = rng.integers(0, 20, m).astype(float)
    return Outcome(y, np.round(y / 2 + rng.normal(0, 3, m)))


def test_the_truth_covers_every_metric():
    assert set(TRUTH) == {metric.name for metric in (*CLASSIFICATION, *REGRESSION)}
    assert METRICS == {"classification": CLASSIFICATION, "regression": REGRESSION + QUALITY}


@pytest.mark.parametrize("metric", CLASSIFICATION, ids=lambda m: m.name)
@pytest.mark.parametrize("k", [2, 3, 5])
def test_classification_equals_scikit_learn_plain_and_resampled(metric, k):
    rng = np.random.default_rng(k)
    check(metric, classification(rng, k), k, rng)


@pytest.mark.parametrize("metric", REGRESSION, ids=lambda m: m.name)
def test_regression_equals_scipy_plain_and_resampled(metric):
    rng = np.random.default_rng(0)
    check(metric, regression(rng), 0, rng)


def check(metric, outcome, k, rng):
    y, p, s = outcome.y, outcome.prediction, outcome.scores
    assert metric(outcome, ones(outcome)) == pytest.approx(TRUTH[metric.name](y, p, s, k))
    W = rng.integers(1, 4, size=(5, len(y))) * (rng.random((5, len(y))) < 0.7)
    W[:, : 4 * k] += 1
    values = metric(outcome, W.astype(float))
    for weights, value in zip(W, values, strict=True):
        rows = np.repeat(np.arange(len(y)), weights)
        drawn = None if s is None else s[rows]
        assert value == pytest.approx(TRUTH[metric.name](y[rows], p[rows], drawn, k), abs=1e-12)


@pytest.mark.parametrize("p", [4, 5])
def test_quality_is_of_mapped_predictions_and_resamples_keep_the_mapping(p):
    rng = np.random.default_rng(p)
    outcome = regression(rng)
    mapped = fit_mapping(outcome.prediction, outcome.y, p)
    named = {metric.name: metric for metric in QUALITY}
    W = rng.integers(0, 3, size=(5, 60)).astype(float)
    for weights in (ones(outcome)[0], *W):
        rows = np.repeat(np.arange(60), weights.astype(int))
        for name, truth in (("plcc", TRUTH["plcc"]), ("rmse", TRUTH["rmse"])):
            value = named[f"{name}_logistic{p}"](outcome, weights[None])[0]
            assert value == pytest.approx(truth(outcome.y[rows], mapped[rows]), abs=1e-12)


def test_intervals_with_the_mapping_kept_are_those_of_fitting_it_anew():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    outcome = Outcome(100 / (1 + np.exp(-1.5 * x)) + rng.normal(0, 10, 300), x)
    W = np.stack([np.bincount(rng.integers(300, size=300), minlength=300) for _ in range(300)])
    kept = QUALITY[0](outcome, W.astype(float))
    anew = []
    for weights in W:
        at, y = np.repeat(x, weights), np.repeat(outcome.y, weights)
        anew.append(stats.pearsonr(fit_mapping(at, y, 4), y).statistic)
    # They differ in second order: some 4 parameters in 300 rows, 1 % of the width and of the shift.
    assert np.percentile(kept, [2.5, 97.5]) == pytest.approx(
        np.percentile(anew, [2.5, 97.5]), abs=0.1 * np.ptp(np.percentile(anew, [2.5, 97.5]))
    )


def test_kendall_of_many_rows_is_counted_by_sorting():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 50, 5200).astype(float)
    outcome = Outcome(y, np.round(y + rng.normal(0, 20, 5200)))
    W = np.stack([np.ones(5200), rng.integers(0, 3, 5200)])
    rows = np.repeat(np.arange(5200), W[1].astype(int))
    truth = [stats.kendalltau(y[r], outcome.prediction[r]).statistic for r in (slice(None), rows)]
    few = Outcome(y[:5000], outcome.prediction[:5000])
    assert REGRESSION[5](outcome, W) == pytest.approx(truth, abs=1e-12)
    assert REGRESSION[5](few, ones(few))[0] == pytest.approx(
        stats.kendalltau(few.y, few.prediction).statistic, abs=1e-6
    )


def test_values_lie_between_the_least_and_the_most():
    rng = np.random.default_rng(0)
    for metric, outcome in (
        *((metric, classification(rng, 3)) for metric in CLASSIFICATION),
        *((metric, regression(rng)) for metric in METRICS["regression"]),
    ):
        W = rng.integers(0, 3, size=(50, 60)).astype(float)
        assert (metric(outcome, W) >= metric.least - 1e-12).all(), metric.name
        assert (metric(outcome, W) <= metric.most + 1e-12).all(), metric.name


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32)), min_size=2)
)
def test_correlations_are_a_number_from_minus_one_to_one_or_nan(pairs):
    y, p = np.array(pairs, dtype=float).T
    outcome = Outcome(y, p)
    for metric in REGRESSION[3:]:
        value = metric(outcome, ones(outcome))[0]
        assert np.isnan(value) or abs(value) <= 1 + 1e-9
        if len(set(y)) == 1 or len(set(p)) == 1:
            assert np.isnan(value)


def test_a_constant_is_undefined_and_silent():
    outcome = Outcome(np.array([1.0, 2.0, 4.0]), np.full(3, 0.1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = {m.name: m(outcome, ones(outcome))[0] for m in METRICS["regression"]}
    assert np.isnan([values[name] for name in ("plcc", "srocc", "krocc")]).all()
    assert np.isnan([values[metric.name] for metric in QUALITY]).all()
    assert values["r2"] < 0
    assert values["mae"] == pytest.approx(np.mean([0.9, 1.9, 3.9]))


@pytest.mark.parametrize("n", [7, 6000])
def test_what_rounding_leaves_of_a_constant_has_no_ranks(n):
    """Means of groups of several sizes, or weights that are all but nothing."""
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=n), 31.7 + rng.integers(-2, 3, n) * np.spacing(31.7)
    outcome = Outcome(y, p)
    values = {m.name: m(outcome, ones(outcome))[0] for m in METRICS["regression"]}
    assert np.isnan([values[name] for name in ("plcc", "srocc", "krocc")]).all()
    small = Outcome(y, 1.7e9 + 1e-3 * y)
    assert METRICS["regression"][4](small, ones(small))[0] == pytest.approx(1, abs=1e-3)


def test_one_class_alone_has_no_ranking():
    outcome = Outcome(np.zeros(3, int), np.zeros(3, int), np.tile([0.7, 0.3], (3, 1)))
    values = {m.name: m(outcome, ones(outcome))[0] for m in CLASSIFICATION}
    undefined = {name for name, value in values.items() if np.isnan(value)}
    assert undefined == {"sensitivity", "average_precision", "roc_auc", "quadratic_kappa"}
    assert values["accuracy"] == values["balanced_accuracy"] == 1
    assert recalls(outcome, ones(outcome))[0, 0] == 1


def test_a_perfect_ranking_at_the_ends():
    outcome = Outcome(np.array([0, 1, 2]), np.array([0, 1, 2]), np.eye(3))
    assert [m(outcome, ones(outcome))[0] for m in CLASSIFICATION[:7]] == [1.0] * 7
    assert CLASSIFICATION[7](outcome, ones(outcome))[0] < 1e-15


def test_metrics_that_do_not_apply_are_left_out():
    names = [m.name for m in metrics_for("classification", ordered=False, probabilities=False)]
    assert "quadratic_kappa" not in names
    assert "log_loss" not in names
    assert len(metrics_for("classification", ordered=True, probabilities=True)) == 8
    assert metrics_for("regression", ordered=False, probabilities=False) == REGRESSION
    asked = metrics_for("regression", ordered=False, probabilities=False, quality=True)
    assert asked == REGRESSION + QUALITY


def test_ranking_needs_scores():
    with pytest.raises(ValueError, match="scores"):
        CLASSIFICATION[5](Outcome(np.zeros(2, int), np.zeros(2, int)), np.ones((1, 2)))


def test_mean_defined_leaves_nan_out():
    values = mean_defined(np.array([[1.0, np.nan, 3.0], [np.nan] * 3]))
    assert values[0] == 2
    assert np.isnan(values[1])
