"""Support vector machines on inner products against LinearSVC and LinearSVR on features."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import LinearSVC, LinearSVR

from featx.solvers import descent, dual
from featx.solvers.dual import prepare
from featx.solvers.svm import svm_path
from featx.solvers.svr import svr_path

CS = [1.0, 1e-6, 1e-2]
TIGHT = {"tol": 1e-10, "max_iter": 1_000_000, "random_state": 0, "dual": True}
SHAPES = {"wide": (60, 200), "tall": (90, 12), "binary": (40, 70)}


def data(kind: str) -> tuple[np.ndarray, np.ndarray]:
    n, d = SHAPES.get(kind, (60, 200))
    rng = np.random.default_rng(3)
    X = np.maximum(rng.normal(size=(n, d)) - 0.5, 0)
    classes = 2 if kind == "binary" else 4
    codes = np.arange(n) % classes
    if kind == "imbalanced":
        codes = np.where(np.arange(n) < 9, np.arange(n) % classes, 0)
    if kind == "class of one":
        codes = np.where(np.arange(n) < 3, np.arange(n) + 1, 0)
    if kind == "constant columns":
        X[:, 10:90] = 3.0
    if kind == "duplicated rows":
        X[n // 2 :] = X[: n - n // 2]
    if kind == "a row of zeros":
        X[7] = 0
    if kind == "sparse":
        X *= rng.random(size=X.shape) < 0.1
    X[:, :4] += codes[:, None] == np.arange(4)
    return X, codes


KINDS = [
    *SHAPES,
    "imbalanced",
    "class of one",
    "constant columns",
    "duplicated rows",
    "a row of zeros",
    "sparse",
]


@pytest.mark.parametrize("loss", ["squared_hinge", "hinge"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_class_of_every_c_is_linear_svcs(kind, loss):
    X, codes = data(kind)
    k = codes.max() + 1
    for weights in (None, np.linspace(0.5, 3, k)):
        found = svm_path(X @ X.T, codes, k, CS, loss=loss, class_weight=weights, tol=1e-9)
        for C, solution in zip(CS, found, strict=True):
            options = {} if weights is None else {"class_weight": dict(enumerate(weights))}
            truth = LinearSVC(C=C, loss=loss, **TIGHT, **options).fit(X, codes)
            assert solution.converged
            assert abs(solution.reached) < 1e-9
            size = np.abs(truth.coef_).max() + np.abs(truth.intercept_).max()
            assert np.allclose(solution.beta @ X, truth.coef_, atol=1e-7 * size)
            assert np.allclose(solution.intercept, truth.intercept_, atol=1e-7 * size)


@pytest.mark.parametrize("options", [{"fit_intercept": False}, {"intercept_scaling": 10.0}])
def test_the_intercept_is_linear_svcs(options):
    X, codes = data("wide")
    [found] = svm_path(X @ X.T, codes, 4, [0.1], tol=1e-9, **options)
    truth = LinearSVC(C=0.1, **TIGHT, **options).fit(X, codes)
    assert np.allclose(found.beta @ X, truth.coef_, atol=1e-7)
    assert np.allclose(found.intercept, truth.intercept_, atol=1e-7)


@pytest.mark.parametrize("loss", ["epsilon_insensitive", "squared_epsilon_insensitive"])
@pytest.mark.parametrize("epsilon", [0.0, 0.4])
@pytest.mark.parametrize("kind", ["wide", "tall", "duplicated rows"])
def test_every_regression_is_linear_svrs(kind, epsilon, loss):
    X, _ = data(kind)
    y = X[:, :6].sum(axis=1) * 3 + np.sin(np.arange(len(X))) - 4
    found = svr_path(X @ X.T, y, CS, epsilon=epsilon, loss=loss, tol=1e-9)
    options = TIGHT | {"dual": loss == "epsilon_insensitive"}  # each loss by the method it likes
    for C, solution in zip(CS, found, strict=True):
        truth = LinearSVR(C=C, epsilon=epsilon, loss=loss, **options).fit(X, y)
        assert solution.converged
        assert abs(solution.reached) < 1e-8
        size = np.abs(truth.coef_).max() + np.abs(truth.intercept_).max()
        assert np.allclose(solution.beta[0] @ X, truth.coef_, atol=1e-6 * size)
        assert np.allclose(solution.intercept, truth.intercept_, atol=1e-6 * size)


def test_decisions_of_new_rows_are_linear_svcs():
    X, codes = data("wide")
    train, test = np.arange(45), np.arange(45, 60)
    [found] = svm_path(X[train] @ X[train].T, codes[train], 4, [0.01], tol=1e-9)
    truth = LinearSVC(C=0.01, **TIGHT).fit(X[train], codes[train])
    decision = found.decide(X[train] @ X[test].T)
    assert np.allclose(decision, truth.decision_function(X[test]), atol=1e-7)


def test_the_gap_is_that_of_the_primal_and_dual_values():
    """At a loose tolerance the gap is not zero: P and D written out on the features."""
    X, codes = data("binary")
    [found] = svm_path(X @ X.T, codes, 2, [10.0], tol=0.3)
    y, b = np.where(codes == 1, 1.0, -1.0), found.beta[0]
    w, w0 = b @ X, b.sum()
    loss = np.maximum(1 - y * (X @ w + w0), 0) ** 2
    primal = (w @ w + w0 * w0) / 2 + 10 * loss.sum()
    dual = b @ y - (w @ w + w0 * w0) / 2 - (b @ b) / 40
    assert found.reached == pytest.approx((primal - dual) / primal)
    assert 1e-6 < found.reached <= 0.3


def test_too_few_sweeps_are_said():
    X, codes = data("wide")
    [found] = svm_path(X @ X.T, codes, 4, [100.0], tol=1e-12, max_iter=3)
    assert not found.converged
    assert found.n_iter == 3
    assert found.reached > 1e-12


def test_an_answer_depends_neither_on_the_other_cs_nor_on_the_run():
    X, codes = data("wide")
    K = X @ X.T
    alone = [svm_path(K, codes, 4, [C], tol=1e-9)[0] for C in CS]
    for a, b in zip(alone, svm_path(K, codes, 4, CS, tol=1e-9), strict=True):
        assert np.allclose(a.beta @ X, b.beta @ X, atol=1e-8)
    again = [svm_path(K, codes, 4, CS, seed=1)[0].beta for _ in range(2)]
    assert np.array_equal(*again)


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["squared_hinge", "hinge"])
def test_threads_that_share_the_classes_change_no_bit(kind, loss, monkeypatch):
    monkeypatch.setattr(descent, "_SMALL", 0)
    X, codes = data("wide")
    K = (X @ X.T).astype(kind)
    alone = svm_path(K, codes, 4, CS, loss=loss)
    for n_jobs in (2, 3, 9):
        for a, b in zip(alone, svm_path(K, codes, 4, CS, loss=loss, n_jobs=n_jobs), strict=True):
            assert np.array_equal(a.beta, b.beta)
            assert (a.n_iter, a.reached) == (b.n_iter, b.reached)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_products_in_float32_change_little(scale):
    """Rounding K to float32 moves the answer by some 1e-6 of it, at any size of the features."""
    X, codes = data("wide")
    X = X * scale
    K = X @ X.T
    Cs = [1e-2 / scale**2, 10 / scale**2]
    for exact, rounded in zip(
        svm_path(K, codes, 4, Cs, tol=1e-8, fit_intercept=False),
        svm_path(K.astype(np.float32), codes, 4, Cs, tol=1e-6, fit_intercept=False),
        strict=True,
    ):
        size = np.abs(exact.beta @ X).max()
        assert np.allclose(exact.beta @ X, rounded.beta @ X, atol=2e-5 * size)
        assert rounded.converged


@pytest.mark.parametrize("tol", [1e-3, 1e-7])
def test_sums_in_float32_are_left_where_the_tolerance_asks_for_more(tol):
    """The tolerance holds for products that are made anew in float64, however tight it is."""
    X, codes = data("wide")
    K = (X @ X.T).astype(np.float32)
    for C, found in zip(CS, svm_path(K, codes, 4, CS, tol=tol, loss="hinge"), strict=True):
        assert found.converged
        b, y = found.beta, np.where(codes == np.arange(4)[:, None], 1.0, -1.0)
        slope = y * (b @ (K + np.float32(1)).astype(np.float64)) - 1  # by each alpha
        alpha = y * b
        into = np.where(slope < 0, (alpha < C) * -slope, (alpha > 0) * slope)
        assert into.max() <= 1.1 * tol / 2


def test_preparing_compiles_for_both_types():
    prepare(np.float32)
    prepare(np.float64)


def test_where_nothing_can_be_written_the_code_is_compiled_anew(monkeypatch):
    from numba.core.caching import FunctionCache

    def nowhere(*_):
        raise RuntimeError("cannot cache function: no locator available")

    def double(x):
        return 2 * x

    monkeypatch.setattr(FunctionCache, "__init__", nowhere)
    assert dual._compiled(double)(4.0) == 8.0


@pytest.mark.parametrize("share", [0.0, 0.99])
@pytest.mark.parametrize("loss", ["squared_hinge", "hinge"])
def test_rows_put_side_by_side_give_the_same_machine(loss, share, monkeypatch):
    """As scikit-learn's, whether a target's movable rows are never narrowed to, or always."""
    X, codes = data("wide")
    calls, narrowed = [], descent._narrowed
    monkeypatch.setattr(descent, "_SMALL", 0)
    monkeypatch.setattr(descent, "_FEW", share)
    monkeypatch.setattr(descent, "_narrowed", lambda *a: calls.append(len(a[5])) or narrowed(*a))
    for C in (1e-3, 1.0):
        [found] = svm_path(X @ X.T, codes, 4, [C], loss=loss, tol=1e-9)
        truth = LinearSVC(C=C, loss=loss, dual=True, tol=1e-10, max_iter=10**6, random_state=0)
        truth.fit(X, codes)
        size = np.abs(truth.coef_).max()
        assert np.allclose(found.beta @ X, truth.coef_, atol=1e-6 * size)
    assert bool(calls) == bool(share)
    assert all(0 < rows < len(X) for rows in calls)


def test_sweeps_are_counted_and_limited_where_rows_are_narrowed(monkeypatch):
    monkeypatch.setattr(descent, "_SMALL", 0)
    X, codes = data("wide")
    for max_iter in (1, 2, 3, 7, 20):
        [found] = svm_path(X @ X.T, codes, 4, [10.0], loss="hinge", tol=1e-14, max_iter=max_iter)
        assert not found.converged
        assert found.n_iter == max_iter
