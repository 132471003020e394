"""Logistic regression on inner products is scikit-learn's LogisticRegression, converged."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from featx.solvers.logistic import logistic_path

RNG = np.random.default_rng(0)
N = 60
CODES = {
    "two": np.arange(N) % 2,
    "two, one of them rare": (np.arange(N) % 20 == 0).astype(np.int64),
    "four": np.arange(N) % 4,
    "four, some of them rare": np.repeat([0, 1, 2, 3], [45, 9, 4, 2]),
}
MIXED = RNG.normal(size=(N, 6))
CASES = {
    "wide": RNG.normal(size=(N, 100)),
    "relu": np.maximum(RNG.normal(size=(N, 150)) - 0.5, 0) * 10,
    "tall": MIXED,
    "far from 0": MIXED + 30,
    "duplicated rows": np.repeat(RNG.normal(size=(N // 3, 30)), 3, axis=0),
    "constant columns": np.hstack([RNG.normal(size=(N, 20)), np.full((N, 10), 7.0)]),
}
CS = [1.0, 1e-6, 1e-3, 100.0]
NEW = RNG.normal(size=(15, 200)) * 3
TOL = 2e-6
"""Relative, of the weights: the solver's own for them, and as much for its intercept's."""


@pytest.fixture(params=CODES, ids=str)
def codes(request: pytest.FixtureRequest) -> np.ndarray:
    return CODES[request.param]


@pytest.fixture(params=CASES, ids=str)
def X(request: pytest.FixtureRequest) -> np.ndarray:
    return CASES[request.param]


def slow(X, codes, C, fit_intercept=True, weights=None):
    model = LogisticRegression(
        C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000, fit_intercept=fit_intercept
    )
    return model.fit(X, codes, weights)


def same(found, X, truth, share=TOL):
    """Compare weights, intercepts and probabilities of new rows, which are steep in the weights."""
    w = found.beta @ X
    assert np.linalg.norm(w - truth.coef_) <= share * np.linalg.norm(truth.coef_)
    assert np.allclose(found.intercept, truth.intercept_, rtol=share, atol=share * 10)
    new = NEW[:, : X.shape[1]]
    F = found.decide(X @ new.T)
    p = np.exp(F - F.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True) if F.shape[1] > 1 else 1 / (1 + np.exp(-F))
    truth_p = truth.predict_proba(new)
    assert np.allclose(p, truth_p if F.shape[1] > 1 else truth_p[:, 1:], rtol=0, atol=share * 10)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_weights_intercept_and_probabilities_are_those_of_scikit_learn(X, codes, fit_intercept):
    K = X @ X.T
    before = K.copy()
    path = logistic_path(K, codes, codes.max() + 1, CS, fit_intercept=fit_intercept)
    for C, found in zip(CS, path, strict=True):
        # Without an intercept, features far from 0 leave a gradient of some roundings of their
        # size, which C = 100 makes more than the tolerance.
        assert found.converged or (not fit_intercept and C == 100 and found.reached < 1e-4)
        assert found.measure == "gradient norm"
        same(found, X, slow(X, codes, C, fit_intercept))
    assert np.array_equal(K, before)


@pytest.mark.parametrize("case", ["wide", "tall", "duplicated rows"])
def test_weights_of_rows_are_those_of_scikit_learn(codes, case):
    X = CASES[case]
    weights = np.random.default_rng(4).uniform(0.1, 5, size=N)
    weights[:2] = 0
    path = logistic_path(X @ X.T, codes, codes.max() + 1, CS, weights=weights, tol=1e-7)
    for C, found in zip(CS, path, strict=True):
        assert found.converged
        same(found, X, slow(X, codes, C, weights=weights))


def test_what_was_reached_bounds_the_error_of_the_weights():
    """However loose the tolerance: each C starts from the C before, so errors differ."""
    X, codes, Cs = CASES["relu"], CODES["four"], [1e-4, 1e-2, 1.0]
    for C, found in zip(
        Cs, logistic_path(X @ X.T, codes, 4, Cs, tol=0.03, fit_intercept=False), strict=True
    ):
        truth = slow(X, codes, C, fit_intercept=False).coef_
        error = np.linalg.norm(found.beta @ X - truth) / np.linalg.norm(found.beta @ X)
        assert 1e-7 < error <= found.reached <= 0.03


@pytest.mark.parametrize("C", [1e-6, 1e4])
def test_separable_classes_at_the_ends_of_the_scale(C):
    """At C = 1e4 all probabilities are within 1e-5 of 0 or 1, where differences cancel."""
    X, codes = CASES["relu"], CODES["four"]
    found = logistic_path(X @ X.T, codes, 4, [C])[0]
    truth = slow(X, codes, C)
    assert found.converged
    same(found, X, truth)
    assert C < 1 or truth.predict_proba(X).max(axis=1).min() > 1 - 1e-4


@pytest.mark.parametrize("case", ["relu", "tall", "duplicated rows"])
def test_float32_products(case, codes):
    X = CASES[case].astype(np.float32)
    path = logistic_path(X @ X.T, codes, codes.max() + 1, [1e-3, 1.0])
    for C, found in zip([1e-3, 1.0], path, strict=True):
        assert found.converged
        same(found, X.astype(np.float64), slow(X.astype(np.float64), codes, C), share=2e-5)


def test_coefficients_do_not_grow_where_rows_repeat():
    """What copies of a row have against each other adds nothing to the weights."""
    X, codes = np.repeat(CASES["wide"][:6], 10, axis=0), np.arange(N) % 2
    found = logistic_path(X @ X.T, codes, 2, [1e4])[0]
    assert np.count_nonzero(found.beta) <= 6


@pytest.mark.parametrize("n_classes", [2, 4])
def test_features_that_say_nothing(n_classes):
    codes = np.repeat(np.arange(n_classes), [45, 15] if n_classes == 2 else [30, 15, 10, 5])
    for X in (np.full((N, 3), 7.0), np.zeros((N, 3))):
        found = logistic_path(X @ X.T, codes, n_classes, [1.0])[0]
        F = found.decide(X @ X.T)
        share = np.bincount(codes) / N
        odds = np.log(share[1] / share[0]) if n_classes == 2 else np.log(share)
        found_odds = F[0, 0] if n_classes == 2 else F[0] - F[0].mean() + np.log(share).mean()
        assert found.converged
        assert np.allclose(found_odds, odds, atol=1e-4)


def test_too_few_steps_are_said_to_be_too_few():
    found = logistic_path(CASES["relu"] @ CASES["relu"].T, CODES["four"], 4, [1.0], max_iter=2)[0]
    assert not found.converged
    assert found.n_iter == 2
    assert found.reached > 1e-6


def test_a_tolerance_below_rounding_ends_without_being_met():
    K = CASES["far from 0"] @ CASES["far from 0"].T
    found = logistic_path(K, CODES["four"], 4, [1.0], tol=1e-18)[0]
    assert not found.converged
    assert found.n_iter < 100
    same(found, CASES["far from 0"], slow(CASES["far from 0"], CODES["four"], 1.0))
