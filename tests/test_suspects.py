"""Likely wrong labels: found where some were flipped, few where none was."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.svm import LinearSVC

from featx._types import Array, Float64s, Ints
from featx.suspects import MIN_EVIDENCE, class_evidence, number_evidence, suspects

FLIPS = 36
"""2 % of the 1,797 digits."""


def flipped(seed: int) -> tuple[Ints, Ints]:
    """Give the labels of the digits with some replaced, and which."""
    y, rng = load_digits().target.astype(np.int64), np.random.default_rng(seed)
    wrong = rng.choice(len(y), FLIPS, replace=False)
    y[wrong] = (y[wrong] + rng.integers(1, 10, FLIPS)) % 10
    return y, wrong


def of_digits(y: Ints, head: str) -> Float64s:
    X, folds = load_digits().data / 16, KFold(5, shuffle=True, random_state=0)
    if head == "svm":
        scores = cross_val_predict(LinearSVC(C=0.1), X, y, cv=folds, method="decision_function")
        return class_evidence(y, scores, probabilities=False)
    scores = cross_val_predict(
        LogisticRegression(max_iter=1000), X, y, cv=folds, method="predict_proba"
    )
    return class_evidence(y, scores, probabilities=True)


@pytest.mark.parametrize("head", ["svm", "logreg"])
def test_flipped_labels_are_found(head: str) -> None:
    y, wrong = flipped(0)
    evidence = of_digits(y, head)
    found = suspects(evidence)
    assert np.isin(found, wrong).mean() > 0.8  # chance: 0.02
    assert np.isin(wrong, found).mean() > 0.6
    best = np.argsort(-evidence)[:FLIPS]
    assert np.isin(best, wrong).mean() > 0.8


@pytest.mark.parametrize("head", ["svm", "logreg"])
def test_few_are_named_where_none_was_flipped(head: str) -> None:
    y = load_digits().target.astype(np.int64)
    evidence = of_digits(y, head)
    assert len(suspects(evidence)) <= 0.005 * len(y)


@pytest.mark.parametrize("head", ["svm", "logreg"])
def test_a_head_that_knows_nothing_names_none(head: str) -> None:
    y = np.random.default_rng(0).permutation(load_digits().target.astype(np.int64))
    assert not len(suspects(of_digits(y, head)))


def two_classes(apart: float = 4.0) -> tuple[Ints, Float64s]:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 500)
    f = rng.normal(size=1000) + apart * (y - 0.5)
    return y, np.stack([-f, f], axis=1)


@pytest.mark.parametrize(("apart", "capped"), [(2.5, False), (4.0, True)])
def test_the_evidence_is_the_ratio_of_two_normal_densities(apart: float, capped: bool) -> None:
    y, f = two_classes(apart)
    y[3], f[3] = 1, [3, -3]
    evidence = class_evidence(y, f, probabilities=False)
    expected = 0.0
    for c, sign in ((0, 1), (1, -1)):  # for the prediction, against the label
        own, rest = f[y == c, c], f[y != c, c]
        s, third = np.sqrt((own.var() + rest.var()) / 2), (own.mean() - rest.mean()) / 3
        assert (s < third) == capped
        s = max(s, third)
        ratio = norm.logpdf(f[3, c], own.mean(), s) - norm.logpdf(f[3, c], rest.mean(), s)
        expected += sign * ratio / np.log(10)
    assert evidence[3] == pytest.approx(expected, rel=1e-9)
    assert evidence[3] > MIN_EVIDENCE


def test_predictions_that_agree_and_rows_never_tested_have_none() -> None:
    y, f = two_classes()
    y[3] = 1
    f[3] = np.nan
    evidence = class_evidence(y, f, probabilities=False)
    assert evidence[3] == 0
    assert not evidence[f.argmax(axis=1) == y].any()


def test_classes_that_cannot_be_told_give_none() -> None:
    y, f = two_classes()
    assert not class_evidence(y, -f, probabilities=False).any()  # worse than chance
    assert not class_evidence(y, np.ones_like(f), probabilities=False).any()
    assert not class_evidence(np.zeros(5, np.int64), f[:5], probabilities=False).any()
    assert not class_evidence(y, np.full_like(f, np.nan), probabilities=False).any()


def test_probabilities_near_the_ends_are_cut() -> None:
    y, f = two_classes()
    p = 1 / (1 + np.exp(-f))
    p[3] = [0.0, 1.0]
    q = p.copy()
    q[3] = [1e-5, 1 - 1e-5]
    evidence = class_evidence(y, p, probabilities=True)
    assert np.isfinite(evidence).all()
    np.testing.assert_array_equal(evidence, class_evidence(y, q, probabilities=True))


def test_the_strongest_comes_first() -> None:
    assert suspects(np.array([0.0, 3.0, 9.0, 2.9, 3.0])).tolist() == [2, 1, 4]


def age_like(seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = rng.uniform(0, 100, 1000)
    return y, y + 6 * rng.normal(size=1000)


def test_wrong_numbers_are_found() -> None:
    y, prediction = age_like(0)
    wrong = np.arange(0, 1000, 50)
    y[wrong] = (y[wrong] + 50) % 100
    found = suspects(number_evidence(y, prediction))
    assert set(found.tolist()) == set(wrong.tolist())


def test_few_numbers_are_named_where_none_is_wrong() -> None:
    assert len(suspects(number_evidence(*age_like(1)))) <= 1
    X, y = load_diabetes(return_X_y=True)
    assert not len(suspects(number_evidence(y, cross_val_predict(Ridge(0.1), X, y))))


def test_the_evidence_on_numbers_is_the_ratio_of_two_normal_densities() -> None:
    y, prediction = age_like(0)
    y[7] = 0.0
    prediction[7] = 60.0
    r = y - prediction
    s = np.median(np.abs(r - np.median(r))) / norm.ppf(0.75)
    right = norm.logpdf(r[7], np.median(r), s)
    expected = (norm.logpdf(y[7], y.mean(), y.std()) - right) / np.log(10)
    # 1.4826 has five digits.
    assert number_evidence(y, prediction)[7] == pytest.approx(expected, rel=1e-4)


def test_numbers_without_spread_or_tests_have_none() -> None:
    y, prediction = age_like(0)
    assert not number_evidence(y, y).any()
    assert not number_evidence(np.ones(1000), prediction).any()
    assert not number_evidence(y, np.full(1000, np.nan)).any()
    prediction[:5] = np.nan
    y[:5] = 1e6
    assert not number_evidence(y, prediction)[:5].any()
