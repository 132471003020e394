"""Newton's method and moments of streamed rows give what scikit-learn finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC, LinearSVR

from featx._types import Silent
from featx.evaluate import Evaluation, Spec, evaluate, passing
from featx.evaluate import space as space_module
from featx.evaluate import tall as tall_module
from featx.evaluate.dual import alike
from featx.evaluate.passing import TallRows
from featx.evaluate.tall import Scaling, fit_sets
from featx.evaluate.work import Criterion, Solver
from featx.gram import UnitVectors, as_vectors, fit_scalers
from featx.products import single
from featx.solvers import moments
from featx.solvers.sketch import make_sketch

N, D = 500, 12
RNG = np.random.default_rng(1)
X = (RNG.normal(size=(N, D)) @ RNG.normal(size=(D, D))) ** 2 / 10
CLASSES = np.digitize(X[:, 0] + RNG.normal(size=N), np.quantile(X[:, 0], [0.3, 0.7]))
TWO = (CLASSES > 1).astype(np.int64)
NUMBERS = X @ RNG.normal(size=D) + RNG.normal(size=N)
TIGHT = {"tol": 1e-8}
SQUARED = {"loss": "squared_epsilon_insensitive", "epsilon": 0.1}


def solver(head: str, y: Any, class_weight: str | None = None) -> Solver:
    number = y.dtype.kind == "f"
    task, k = ("regression", 0) if number else ("classification", int(y.max()) + 1)
    return Solver(head, task, class_weight, 0, Criterion("", None, True), k, {})


def fit_all(y: Any, head: Any, candidates: Any, X: Any = X) -> Any:
    """Every candidate on all rows."""
    rows, scaling = TallRows(as_vectors(X)), Scaling(np.zeros(X.shape[1]), np.ones(X.shape[1]))
    [found] = fit_sets(rows, y, [np.arange(len(X))], [scaling], head, candidates, 2, Silent())
    return found


CASES = [
    ("svm", CLASSES, TIGHT, LinearSVC(dual=False, tol=1e-10, max_iter=10**6)),
    ("svm", TWO, TIGHT, LinearSVC(dual=False, tol=1e-10, max_iter=10**6)),
    ("svr", NUMBERS, TIGHT | SQUARED, LinearSVR(dual=False, tol=1e-10, **SQUARED)),
    ("logreg", CLASSES, TIGHT, LogisticRegression(solver="newton-cg", tol=1e-10)),
    ("logreg", TWO, TIGHT, LogisticRegression(solver="newton-cg", tol=1e-10)),
    ("ridge", NUMBERS, {}, Ridge()),
    ("ridge", CLASSES, {}, RidgeClassifier()),
]


@pytest.mark.parametrize(("head", "y", "fixed", "reference"), CASES)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_weights_are_those_of_scikit_learn(
    head: str, y: Any, fixed: Any, reference: Any, fit_intercept: bool
) -> None:
    """To 1e-6 of the longest: both stop at 1e-8 or so, liblinear by a rule of its own."""
    strength = "alpha" if head == "ridge" else "C"
    grid = (10.0, 0.01, 1.0)
    candidates = [{**fixed, strength: value, "fit_intercept": fit_intercept} for value in grid]
    if head == "logreg":
        candidates = [{k: v for k, v in c.items() if k != "fit_intercept"} for c in candidates]
        fit_intercept = True
    for value, found in zip(grid, fit_all(y, solver(head, y), candidates), strict=True):
        want = reference.set_params(**{strength: value, "fit_intercept": fit_intercept}).fit(X, y)
        assert found.converged
        np.testing.assert_allclose(
            found.coef, np.atleast_2d(want.coef_), rtol=0, atol=1e-6 * abs(want.coef_).max()
        )
        if fit_intercept:
            np.testing.assert_allclose(found.intercept, want.intercept_, rtol=1e-5, atol=1e-5)


SETS = [np.flatnonzero(RNG.random(N) < share) for share in (0.9, 0.6, 0.3)]
SETS.append(SETS[0][::2])


@pytest.mark.parametrize("scale", ["none", "standard"])
@pytest.mark.parametrize("moments", [True, False])
@pytest.mark.parametrize(
    ("head", "class_weight"),
    [("svr", None), *((h, w) for h in ("svm", "logreg", "ridge") for w in (None, "balanced"))],
)
def test_many_training_sets_are_each_what_scikit_learn_finds(
    head: str, class_weight: Any, moments: bool, scale: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All in the same passes, with a scaler and weights of classes of their own."""
    monkeypatch.setattr(tall_module, "_MOMENT_FEATURES", 10**4 if moments else 0)
    monkeypatch.setattr(passing, "_STRIP_VALUES", D * 100)
    monkeypatch.setattr(passing, "_STRIP_ROWS", 1)
    y = NUMBERS if head == "svr" else CLASSES
    weighted = {"class_weight": class_weight}
    reference = {
        "svm": LinearSVC(dual=False, tol=1e-10, max_iter=10**5, **weighted),
        "svr": LinearSVR(dual=False, tol=1e-10, max_iter=10**5, **SQUARED),
        "logreg": LogisticRegression(solver="newton-cg", tol=1e-10, **weighted),
        "ridge": RidgeClassifier(**weighted),
    }[head]
    strength = "alpha" if head == "ridge" else "C"
    fixed = {"svr": TIGHT | SQUARED, "ridge": {}}.get(head, TIGHT)
    scalers = fit_scalers(as_vectors(X), SETS)
    plain = Scaling(np.zeros(D), np.ones(D))
    scalings = [Scaling(s.mean_, s.scale_) if scale == "standard" else plain for s in scalers]
    rows, candidates = TallRows(as_vectors(X)), [{**fixed, strength: c} for c in (1.0, 0.01)]
    found = fit_sets(
        rows, y, SETS, scalings, solver(head, y, class_weight), candidates, 2, Silent()
    )
    for train, scaler, each in zip(SETS, scalers, found, strict=True):
        Z = scaler.transform(X[train]) if scale == "standard" else X[train]
        for c, linear in zip((1.0, 0.01), each, strict=True):
            want = reference.set_params(**{strength: c}).fit(Z, y[train])
            coef = np.atleast_2d(want.coef_)
            assert linear.converged
            np.testing.assert_allclose(linear.coef, coef, rtol=0, atol=2e-6 * abs(coef).max())
            np.testing.assert_allclose(linear.intercept, want.intercept_, rtol=0, atol=1e-5)


def test_moments_of_nested_sets_read_few_rows() -> None:
    """A set is taken from the smallest that holds it; rows are multiplied 2.2 times, not 10."""
    rng = np.random.default_rng(31)
    folds = np.array_split(rng.permutation(1000), 5)
    sets = []
    for fold in folds:
        outer = np.ones(1000, bool)
        outer[fold] = False
        sets.append(outer)
        inner = outer.copy()
        inner[np.flatnonzero(outer)[:40]] = False
        sets.append(inner)
    parts = moments._plan(sets)
    assert sum(int(part.weights.sum()) for part in parts) == 1000 + 5 * 200 + 5 * 40
    assert sorted(place for part in parts for place in part.sets) == list(range(10))
    small = moments._plan([np.arange(1000) < 10, np.arange(1000) < 5])
    assert [int(part.weights.sum()) for part in small] == [10, 5]


def test_scalers_of_many_sets_are_those_of_scikit_learn() -> None:
    """Also of features that are constant in all rows, or in one set alone."""
    Z = X.copy()
    Z[:, 0] = 0.1
    Z[SETS[2], 1] = 1234.5
    for rows, got in zip(SETS, fit_scalers(as_vectors(Z), SETS), strict=True):
        want = StandardScaler().fit(Z[rows])
        np.testing.assert_allclose(got.mean_, want.mean_, rtol=1e-12)
        np.testing.assert_allclose(got.scale_, want.scale_, rtol=1e-9)


@pytest.mark.parametrize("head", ["svm", "logreg", "ridge"])
def test_classes_can_be_weighted(head: str) -> None:
    want = {
        "svm": LinearSVC(dual=False, tol=1e-10, class_weight="balanced"),
        "logreg": LogisticRegression(solver="newton-cg", tol=1e-10, class_weight="balanced"),
        "ridge": RidgeClassifier(class_weight="balanced"),
    }[head].fit(X, TWO)
    params = {} if head == "ridge" else TIGHT
    [found] = fit_all(TWO, solver(head, TWO, "balanced"), [params])
    coef = np.atleast_2d(want.coef_)
    np.testing.assert_allclose(found.coef, coef, rtol=0, atol=1e-6 * abs(coef).max())


def test_a_limit_of_steps_is_said() -> None:
    [found] = fit_all(CLASSES, solver("svm", CLASSES), [{"max_iter": 1, **TIGHT}])
    assert not found.converged
    assert found.reached > 1e-8
    assert found.n_iter == 1


def test_a_sketch_of_all_rows_inverts() -> None:
    """In float32, so to 1e-4 of the answer with variances that span four decades."""
    rng = np.random.default_rng(31)
    sketch = make_sketch(np.repeat(X, 3, axis=0))
    R, weight = rng.normal(size=(2, D)).astype(np.float32), np.array([[2.0], [5.0]])
    for row, w, got in zip(R, weight[:, 0], sketch.solve(R, weight, 0.3), strict=True):
        want = np.linalg.solve(w * X.T @ X / N + 0.3 * np.eye(D), row)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * abs(want).max())


def test_unit_vectors_have_length_one_but_for_zeros() -> None:
    half = X.astype(np.float16)
    half[3] = 0
    unit = UnitVectors(as_vectors(half)).read(np.arange(6))
    length = np.linalg.norm(single(half[:6]), axis=1, keepdims=True)
    length[3] = 1
    np.testing.assert_allclose(unit, single(half[:6]) / length, rtol=1e-6)


def fit(head: str, y: Any, scale: Any, **fixed: Any) -> Evaluation:
    grid = {"alpha": [1.0, 100.0]} if head == "ridge" else {"C": [0.001, 0.1]}
    spec = Spec(head, scale=scale, fixed=fixed, grid=grid, cv="3")
    return evaluate(X.astype(np.float32), y, spec, n_jobs=1)


@pytest.mark.parametrize("scale", ["none", "l2", "standard"])
@pytest.mark.parametrize(
    ("head", "y", "fixed"),
    [
        ("svm", CLASSES, {"tol": 1e-8}),
        ("ridge", NUMBERS, {}),
    ],
)
def test_an_evaluation_is_the_same_either_way(
    head: str, y: Any, fixed: Any, scale: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On products and on streamed rows, nested search included."""
    want = fit(head, y, scale, **fixed)
    monkeypatch.setattr(space_module, "PRODUCT_ROWS", 100)
    got = fit(head, y, scale, **fixed)
    assert got.params == want.params
    for name, score in want.metrics.items():
        assert got.metrics[name].mean == pytest.approx(score.mean, rel=1e-4)
    a, b = (e.estimator[-1] if scale != "none" else e.estimator for e in (got, want))
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=0, atol=1e-4 * abs(b.coef_).max())
    raw = X[:5].astype(np.float32)
    np.testing.assert_array_equal(
        np.round(got.estimator.predict(raw), 3), np.round(want.estimator.predict(raw), 3)
    )


def test_alike_candidates_keep_their_order() -> None:
    """What `fit_sets` relies on."""
    groups = alike(solver("svm", TWO), [{"C": 1.0}, {"C": 2.0, "tol": 0.1}, {"C": 3.0}])
    assert [members for members, _, _ in groups] == [[0, 2], [1]]
