"""Ridge on inner products is scikit-learn's ridge, also for rows left out of its training."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.model_selection import KFold, LeaveOneOut, cross_val_predict

from featx.errors import UsageError
from featx.solvers.left_out import left_one_out, left_out
from featx.solvers.ridge import ridge_path

RNG = np.random.default_rng(0)
N = 24
CASES = {
    "wide": RNG.normal(size=(N, 80)),
    "relu": np.maximum(RNG.normal(size=(N, 90)) - 0.5, 0) * 30,
    "tall": RNG.normal(size=(N, 6)) + 3,
    "duplicated rows": np.repeat(RNG.normal(size=(N // 4, 100)), 4, axis=0),
    "constant columns": np.hstack([RNG.normal(size=(N, 50)), np.full((N, 30), 7.0)]),
    "nothing but constants": np.full((N, 5), 3.0),
    "zeros": np.zeros((N, 5)),
}
Y = RNG.normal(size=(N, 3)) + 5
FEW, MANY = [1e-2, 1.0, 1e6], [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 1e4, 1e8]
"""Alphas for which each is factored, where rank and size allow; and for which eigenvalues are."""

TOL = 2e-7
"""Of the targets, which are about 5; alpha = 1e-4 beside eigenvalues of 1e5 costs seven digits."""


@pytest.fixture(params=CASES, ids=str)
def X(request: pytest.FixtureRequest) -> np.ndarray:
    return CASES[request.param]


def some(alphas, answers):
    """Pair answers with their alphas: the first, the last and those between in steps of three."""
    assert len(alphas) == len(answers)
    pairs = list(zip(alphas, answers, strict=True))
    return [*pairs[:-1:3], pairs[-1]]


def slow(X, Y, alpha, fit_intercept=True, weights=None):
    """Fit scikit-learn's, by the singular value decomposition: it needs no inner products."""
    return Ridge(alpha=alpha, fit_intercept=fit_intercept, solver="svd").fit(X, Y, weights)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alphas", [FEW, MANY], ids=["few", "many"])
def test_weights_and_intercept_are_those_of_scikit_learn(X, alphas, fit_intercept):
    before = (X @ X.T).copy()
    K = before.copy()
    for alpha, found in zip(
        alphas, ridge_path(K, Y, alphas, fit_intercept=fit_intercept), strict=True
    ):
        truth = slow(X, Y, alpha, fit_intercept)
        assert np.allclose(found.beta @ X, truth.coef_, rtol=0, atol=TOL)
        assert np.allclose(found.intercept, truth.intercept_, rtol=0, atol=TOL)
        assert found.converged
        assert found.measure == "residual"
        assert found.reached < 1e-10
    assert np.array_equal(K, before)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alphas", [FEW, MANY], ids=["few", "many"])
def test_weights_of_rows_are_those_of_scikit_learn(X, alphas, fit_intercept):
    rng = np.random.default_rng(31)
    weights = rng.uniform(0.1, 5, size=N)
    weights[:3] = 0
    path = ridge_path(X @ X.T, Y, alphas, weights=weights, fit_intercept=fit_intercept)
    for alpha, found in zip(alphas, path, strict=True):
        truth = slow(X, Y, alpha, fit_intercept, weights)
        assert np.allclose(found.beta @ X, truth.coef_, rtol=0, atol=TOL)
        assert np.allclose(found.intercept, truth.intercept_, rtol=0, atol=TOL)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_signs_as_targets_give_ridge_classifier(n_classes):
    rng = np.random.default_rng(31)
    X, codes = CASES["wide"], np.arange(N) % n_classes
    signs = np.where(codes[:, None] == np.arange(n_classes), 1.0, -1.0)
    found = ridge_path(X @ X.T, signs[:, 1:] if n_classes == 2 else signs, [10.0])[0]
    truth = RidgeClassifier(alpha=10.0).fit(X, codes)
    new = rng.normal(size=(9, 80))
    decided = truth.decision_function(new).reshape(9, -1)
    assert np.allclose(found.decide(X @ new.T), decided, rtol=0, atol=1e-10)


def test_without_an_intercept_it_is_kernel_ridge():
    K = CASES["relu"] @ CASES["relu"].T
    found = ridge_path(K, Y, [5.0], fit_intercept=False)[0]
    truth = KernelRidge(alpha=5.0, kernel="precomputed").fit(K, Y)
    assert np.allclose(found.beta.T, truth.dual_coef_, rtol=1e-9)


def test_noise_of_float32_products_is_not_divided_by_alpha():
    """Twenty features, so 180 of the eigenvalues are noise: 1e3 alphas in size, of either sign."""
    rng = np.random.default_rng(31)
    X = (rng.normal(size=(200, 20)) + 50).astype(np.float32)
    target = rng.normal(size=(200, 1))
    K = X @ X.T
    assert np.linalg.eigvalsh(K.astype(np.float64))[0] < -1e-3
    found = ridge_path(K, target, [1e-4])[0]
    truth = slow(X.astype(np.float64), target, 1e-4)
    # The noise turns directions: 1e-7 of an eigenvalue of 1e7 beside others of 100.
    assert np.allclose(found.beta @ X, truth.coef_, rtol=0, atol=1e-2 * np.abs(truth.coef_).max())
    assert np.abs(found.beta).max() < 1
    assert found.converged


def literal(X, alpha, out, ask, fit_intercept=True):
    train = np.setdiff1d(np.arange(len(X)), out)
    return slow(X[train], Y[train], alpha, fit_intercept).predict(X[ask])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alphas", [FEW, MANY], ids=["few", "many"])
def test_plain_folds_are_cross_val_predict(X, alphas, fit_intercept):
    cv = KFold(4, shuffle=True, random_state=0)
    folds = [test for _, test in cv.split(X)]
    sets = [(fold, fold) for fold in folds]
    found = left_out(X @ X.T, Y, alphas, sets, fit_intercept=fit_intercept)
    for alpha, one in some(alphas, found):
        ridge = Ridge(alpha=alpha, fit_intercept=fit_intercept, solver="svd")
        truth = cross_val_predict(ridge, X, Y, cv=cv)
        assert np.allclose(
            np.concatenate(one.predictions), truth[np.concatenate(folds)], rtol=0, atol=TOL
        )


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alphas", [FEW, MANY], ids=["few", "many"])
def test_nested_sets_in_any_order_are_separate_fits(X, alphas, fit_intercept):
    rng = np.random.default_rng(31)
    order = rng.permutation(N)
    outer = np.array_split(order, 3)
    sets = [
        (np.concatenate([fold, inner]), inner[::-1])
        for fold in outer
        for inner in np.array_split(np.setdiff1d(order, fold), 3)
    ]
    found = left_out(X @ X.T, Y, alphas, sets, fit_intercept=fit_intercept)
    for alpha, one in some(alphas, found):
        for (out, ask), part in zip(sets, one.predictions, strict=True):
            truth = literal(X, alpha, out, ask, fit_intercept)
            assert np.allclose(part, truth, rtol=0, atol=TOL)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alphas", [FEW, MANY], ids=["few", "many"])
def test_the_ridge_of_all_rows_comes_with_it(X, alphas, fit_intercept):
    """The weights that `ridge_path` gives, also where ``beta`` is not unique."""
    rng = np.random.default_rng(31)
    sets = [(rows, rows) for rows in np.array_split(rng.permutation(N), 4)]
    found = left_out(X @ X.T, Y, alphas, sets, fit_intercept=fit_intercept)
    path = ridge_path(X @ X.T, Y, alphas, fit_intercept=fit_intercept)
    for one, want in zip(found, path, strict=True):
        got = one.whole()
        weights, truth = got.beta @ X, want.beta @ X
        assert np.allclose(weights, truth, rtol=0, atol=1e-8 * np.abs(truth).max() + 1e-12)
        assert np.allclose(got.intercept, want.intercept, atol=1e-7)
        assert got.converged == want.converged


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_leave_one_out_is_cross_val_predict(X, fit_intercept):
    alphas = [1e-4, 1.0, 1e8]
    path = left_one_out(X @ X.T, Y, alphas, fit_intercept=fit_intercept)
    for alpha, found in zip(alphas, path, strict=True):
        ridge = Ridge(alpha=alpha, fit_intercept=fit_intercept, solver="svd")
        truth = cross_val_predict(ridge, X, Y, cv=LeaveOneOut())
        assert np.allclose(found, truth, rtol=0, atol=TOL)


def test_float32_products_leave_out_as_well_as_they_are_known():
    rng = np.random.default_rng(31)
    X = CASES["relu"].astype(np.float32)
    sets = [(rows, rows) for rows in np.array_split(rng.permutation(N), 4)]
    for alpha, parts in zip(MANY, left_out(X @ X.T, Y, MANY, sets), strict=True):
        for (out, ask), part in zip(sets, parts.predictions, strict=True):
            truth = literal(X.astype(np.float64), alpha, out, ask)
            assert np.allclose(part, truth, rtol=0, atol=1e-4)


def test_repeated_rows_at_an_alpha_that_products_cannot_resolve():
    """Copies left out together, and torn apart: the limit of small alphas comes out of both."""
    rng = np.random.default_rng(31)
    X = np.repeat(rng.normal(size=(N // 4, 60)) * 1e3, 4, axis=0)
    sets = [(np.arange(8), np.arange(8)), (np.arange(2, 14), np.arange(2, 10))]
    for K in (X @ X.T, (X @ X.T).astype(np.float32)):
        found = left_out(K, Y, [1e-10] * 8, sets)[0].predictions
        for (out, ask), part in zip(sets, found, strict=True):
            assert np.allclose(part, literal(X, 1e-2, out, ask), rtol=0, atol=1e-5)


def test_a_target_without_spread_converges():
    X = CASES["relu"]
    for K in (X @ X.T, (X @ X.T).astype(np.float32)):
        [found] = ridge_path(K, np.full((N, 1), 40.1), [1.0])
        assert found.converged
        assert np.allclose(found.intercept, 40.1)


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.inf, np.nan])
def test_an_alpha_that_is_none(alpha):
    for call in (ridge_path, left_one_out):
        with pytest.raises(UsageError, match="above 0"):
            call(np.eye(3), np.ones((3, 1)), [1.0, alpha])
