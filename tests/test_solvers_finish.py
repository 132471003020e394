"""Newton's method finishes what sweeps began, at the minimum that scikit-learn finds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import LinearSVC, LinearSVR

from featx.solvers import box, finish
from featx.solvers.finish import Squared
from featx.solvers.svm import svm_path

RNG = np.random.default_rng(0)
X = np.maximum(RNG.normal(size=(80, 200)) + 2, 0)
SIGNS = np.where(np.arange(80) % 3 == 0, 1.0, -1.0)
NUMBERS = X[:, :5].sum(axis=1) + RNG.normal(size=80)
TIGHT = {"tol": 1e-12, "max_iter": 10**4, "fit_intercept": False, "dual": False}


def squared(signed: bool, C: float) -> Squared:
    return Squared(
        SIGNS if signed else NUMBERS, np.full(80, 0.5 / C), 0.0 if signed else 0.3, signed
    )


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0])
def test_the_minimum_is_scikit_learns(signed: bool, C: float, kind: type) -> None:
    """From coefficients that are far from it, and of any sign."""
    rng = np.random.default_rng(31)
    K, b = (X @ X.T).astype(kind), rng.normal(size=80)
    F = K.astype(np.float64) @ b
    for _ in range(3):
        finish.finish(K, squared(signed, C), b, F)
    np.testing.assert_allclose(F, K.astype(np.float64) @ b, rtol=1e-9, atol=1e-9)
    if signed:
        assert (b * SIGNS >= 0).all()
        truth = LinearSVC(C=C, **TIGHT).fit(X, SIGNS)
    else:
        loss = "squared_epsilon_insensitive"
        truth = LinearSVR(C=C, epsilon=0.3, loss=loss, **TIGHT).fit(X, NUMBERS)
    size = np.abs(truth.coef_).max()
    far = 1e-6 if kind is np.float64 else 1e-3
    np.testing.assert_allclose(b @ X, np.ravel(truth.coef_), rtol=0, atol=far * size)


def test_coefficients_of_the_wrong_sign_do_not_stay() -> None:
    """However few steps there were."""
    rng = np.random.default_rng(31)
    K, b = X @ X.T, rng.normal(size=80)
    F = K @ b
    finish._into_the_box(K, squared(True, 1.0), b, F)
    assert (b * SIGNS >= 0).all()
    np.testing.assert_allclose(F, K @ b, rtol=1e-9)


def test_answers_are_the_same_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.arange(80) % 4
    K, Cs = X @ X.T, [1e-4, 1e-2, 1.0]
    want = svm_path(K, codes, 4, Cs, tol=1e-8)
    monkeypatch.setattr(finish, "MOST_ROWS", 0)
    alone = svm_path(K, codes, 4, Cs, tol=1e-8)
    monkeypatch.setattr(box, "sweeps_worth", lambda *_: 2)
    monkeypatch.setattr(finish, "MOST_ROWS", 5000)
    often = svm_path(K, codes, 4, Cs, tol=1e-8)
    for a, b, c in zip(want, alone, often, strict=True):
        size = np.abs(a.beta @ X).max()
        np.testing.assert_allclose(b.beta @ X, a.beta @ X, rtol=0, atol=1e-7 * size)
        np.testing.assert_allclose(c.beta @ X, a.beta @ X, rtol=0, atol=1e-7 * size)
    assert often[-1].n_iter < alone[-1].n_iter


def test_rows_that_repeat_without_a_penalty_leave_it_to_the_sweeps() -> None:
    """Their matrix has no Cholesky factor: nothing moves."""
    K, D = np.ones((4, 4)), np.zeros(4)
    b, F = np.zeros(4), np.zeros(4)
    with np.errstate(divide="ignore"):
        finish.finish(K, Squared(np.ones(4), D, 0.0, True), b, F)
    assert not b.any()
