from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from featx.paired import bootstrap, corrected_t, holm, mcnemar, paired_proportions


def test_corrected_t_is_the_plain_one_but_for_its_error() -> None:
    rng = np.random.default_rng(1)
    d = rng.normal(0.01, 0.02, 12)
    plain, found = stats.ttest_1samp(d, 0), corrected_t(d, 0.25)
    t = plain.statistic * np.sqrt((1 / 12) / (1 / 12 + 0.25))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 11), rel=1e-12)
    assert (found.value, found.n) == (pytest.approx(d.mean(), rel=1e-12), 12)
    low, high = corrected_t(d, 0).low, corrected_t(d, 0).high
    assert (low, high) == pytest.approx(plain.confidence_interval(0.95), rel=1e-10)
    assert corrected_t(d, 0).p == pytest.approx(plain.pvalue, rel=1e-10)


def test_repeated_folds_give_what_scikit_learn_publishes() -> None:
    """Its example "Statistical comparison of models using grid search": t = 0.750, p = 0.227."""
    X, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    cv = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel, random_state=0), X, y, scoring="roc_auc", cv=cv)
        for kernel in ("rbf", "linear")
    )
    found = corrected_t(rbf - linear, 10 / 90)
    assert found.p / 2 == pytest.approx(0.227, abs=0.0005)  # published: the one side
    half = (found.high - found.low) / 2
    assert found.value / half * stats.t.ppf(0.975, 99) == pytest.approx(0.750, abs=0.0005)


@pytest.mark.parametrize("level", [0.05, 0.3])
def test_p_and_interval_tell_the_same(level: float) -> None:
    rng = np.random.default_rng(1)
    d = rng.normal(0, 1, 10)
    centred = d - d.mean()
    edge = stats.t.ppf(0.975, 9) * np.sqrt(0.1 + level) * d.std(ddof=1)
    for shift, inside in ((0.999 * edge, True), (1.001 * edge, False)):
        found = corrected_t(centred + shift, level)
        assert (found.low < 0 < found.high) is inside
        assert (found.p > 0.05) is inside


def test_splits_without_spread_claim_nothing() -> None:
    same = corrected_t(np.zeros(5), 0.25)
    assert (same.value, same.p) == (0, 1)
    shifted = corrected_t(np.array([0.1, 0.1 + 1e-16]), 0.25)
    assert shifted.value == pytest.approx(0.1)
    assert np.isnan([same.low, same.high, shifted.p, shifted.low, shifted.high]).all()


def nearest_mean(x: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Accuracy of choosing the class with the nearer mean in one feature."""
    means = [x[train][y[train] == c].mean() for c in (0, 1)]
    side = np.abs(x[test] - means[1]) < np.abs(x[test] - means[0])
    return float(np.mean(side == y[test]))


def two_alike(rng: np.random.Generator, better: float = 0.0) -> np.ndarray:
    """(20,) differences, in random splits, of heads on features that tell equally much."""
    y = np.arange(60) % 2
    features = rng.normal(size=(2, 60)) + y * np.array([[1 + better], [1]])
    d = []
    for _ in range(20):
        order = rng.permutation(60)
        a, b = (nearest_mean(x, y, order[12:], order[:12]) for x in features)
        d.append(a - b)
    return np.array(d)


def test_the_correction_keeps_false_alarms_rare() -> None:
    """Heads that are equally good: 5 in 100 may seem different; plain t-tests find many more.

    300 trials: a true rate of 0.05 gives more than 0.09 once in a thousand times.
    """
    rng = np.random.default_rng(0)
    trials = [two_alike(rng) for _ in range(300)]
    corrected = np.mean([corrected_t(d, 12 / 48).p < 0.05 for d in trials])
    plain = np.mean([corrected_t(d, 0).p < 0.05 for d in trials])
    assert corrected <= 0.09
    assert plain >= 0.25
    real = np.mean([corrected_t(two_alike(rng, 2.5), 12 / 48).p < 0.05 for _ in range(40)])
    assert real >= 0.6


def test_the_best_of_equal_heads_is_seldom_called_better() -> None:
    """The best is chosen by the data that test it: only all pairs together make up for that.

    Six heads, ten splits whose values have the correlation 0.1 that n_test / (n_train + n_test)
    gives. 200 trials: a true rate of 0.05 gives more than 0.1 less than once in 500 times.
    """
    rng = np.random.default_rng(2)
    i, j = np.triu_indices(6, 1)
    claims = {"all pairs": 0, "none": 0}
    for _ in range(200):
        values = np.sqrt(0.1) * rng.normal(size=(6, 1)) + np.sqrt(0.9) * rng.normal(size=(6, 10))
        ranked = values[np.argsort(-values.mean(axis=1))]
        p = np.array([corrected_t(d, 1 / 9).p for d in ranked[i] - ranked[j]])
        claims["none"] += (p[i == 0] < 0.05).any()
        claims["all pairs"] += (holm(p)[i == 0] < 0.05).any()
    assert claims["all pairs"] <= 20
    assert claims["none"] >= 50


def rows(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Whether each head is right, for rows as a table counts them."""
    counts = np.ravel(table)
    return np.repeat([1, 1, 0, 0], counts) == 1, np.repeat([1, 0, 1, 0], counts) == 1


@pytest.mark.parametrize(
    ("table", "low", "high", "p"),
    [
        # Airway hyper-responsiveness before and after a transplantation (Fagerland, Lydersen and
        # Laake 2014, Recommended tests and confidence intervals for paired binomial proportions)
        ([[1, 1], [7, 12]], -0.507, -0.026, 0.0703),
        # Altman et al. 2000, Statistics with Confidence, table 6.2
        ([[14, 5], [0, 22]], 0.011, 0.226, 0.0625),
    ],
)
def test_published_examples_of_paired_proportions(
    table: list[list[int]], low: float, high: float, p: float
) -> None:
    found = mcnemar(*rows(table))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.0006)
    assert found.p == pytest.approx(p, abs=0.00005)
    assert (found.value, found.n) == ((table[0][1] - table[1][0]) / np.sum(table), np.sum(table))


def test_heads_that_are_right_on_the_same_rows() -> None:
    a, b = rows([[20, 0], [0, 10]])
    found = mcnemar(a, b)
    assert (found.value, found.p) == (0, 1)
    assert found.low < -0.05 < 0.05 < found.high  # 30 rows cannot show that they are equal


@given(st.lists(st.integers(0, 30), min_size=4, max_size=4).filter(any))
def test_intervals_of_proportions_hold_the_difference_and_turn_around(counts: list[int]) -> None:
    both, one, other, neither = counts
    low, high = paired_proportions([[both, one], [other, neither]])
    value = (one - other) / sum(counts)
    assert -1 - 1e-9 <= low <= value + 1e-9
    assert value - 1e-9 <= high <= 1 + 1e-9
    swapped = paired_proportions([[both, other], [one, neither]])
    assert swapped == pytest.approx((-high, -low), abs=1e-9)


def mean_difference(a: np.ndarray, b: np.ndarray) -> Any:
    return lambda W: (W @ (a - b)) / W.sum(axis=1)


def test_bootstrap_has_the_percentiles_of_scipys() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 1, 80), rng.normal(0.8, 1, 80)
    found = bootstrap(mean_difference(a, b), np.arange(80))
    theirs = stats.bootstrap(
        (a, b), lambda x, y, axis: (x - y).mean(axis=axis), paired=True, method="percentile",
        n_resamples=5000, rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert found.value == pytest.approx((a - b).mean())
    # Two draws of 5000: their percentiles differ by 0.05 standard errors at most, as a rule.
    error = (a - b).std() / np.sqrt(80)
    assert abs(found.low - theirs.low) < 0.2 * error
    assert abs(found.high - theirs.high) < 0.2 * error


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.6])
def test_bootstrap_p_is_where_its_interval_meets_zero(shift: float) -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=60)
    found = bootstrap(mean_difference(a - a.mean() + shift, np.zeros(60)), np.arange(60))
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
    normal = 2 * stats.norm.sf(shift / (a.std() / np.sqrt(60)))
    assert found.p == pytest.approx(normal, abs=0.05)


def test_rows_of_one_group_are_no_evidence_of_their_own() -> None:
    """Twenty groups of five equal rows: counted as 100 rows, chance looks like a difference."""
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(20), 5)
    trials = [rng.normal(size=20)[unit] for _ in range(40)]
    by_row = [bootstrap(mean_difference(d, 0 * d), np.arange(100)).p < 0.05 for d in trials]
    grouped = [bootstrap(mean_difference(d, 0 * d), unit) for d in trials]
    assert np.mean(by_row) > 0.2
    # A bootstrap of 20 units is a little too sure: about 0.08; 40 trials give
    # more than 0.2 once in 500 times.
    assert np.mean([g.p < 0.05 for g in grouped]) <= 0.2
    assert grouped[0].n == 20


def test_a_metric_that_is_undefined_tells_nothing() -> None:
    found = bootstrap(lambda W: np.full(len(W), np.nan), np.arange(9))
    assert np.isnan([found.value, found.low, found.high, found.p]).all()


def stepwise(p: np.ndarray, level: float) -> np.ndarray:
    """Holm's procedure as he describes it: which of the hypotheses are rejected at a level."""
    rejected, order = np.zeros(len(p), dtype=bool), np.argsort(p)
    for place, i in enumerate(order):
        if p[i] > level / (len(p) - place):
            break
        rejected[i] = True
    return rejected


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_procedure_rejects(p: list[float], level: float) -> None:
    values = np.array(p)
    adjusted = holm(values)
    # Where p (m - j + 1) and the level differ by rounding alone, either answer is right.
    clear = np.abs(adjusted - level) > 1e-12
    assert ((adjusted <= level) == stepwise(values, level))[clear].all()


def test_holm_of_known_values() -> None:
    adjusted = holm(np.array([0.03, np.nan, 0.01, 0.04, 0.02, 0.05]))
    expected = [0.09, np.nan, 0.05, 0.09, 0.08, 0.09]  # R: p.adjust(c(...), "holm") without NaN
    np.testing.assert_allclose(adjusted, expected, rtol=1e-12)
    assert np.isnan(holm(np.array([np.nan]))).all()
