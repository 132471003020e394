"""Heads that are solved on inner products: what is asked of the solvers, what comes back.

Each head is described by scikit-learn's own estimator: its parameters are checked and read there,
and it is what carries the weights in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight

from featx._types import Array, Float64s
from featx.errors import UsageError

if TYPE_CHECKING:
    from featx.evaluate.result import Params
    from featx.evaluate.split import Products
    from featx.evaluate.work import Solver
    from featx.solvers import Solution
    from featx.solvers.solution import Linear


@dataclass(frozen=True)
class Path:
    """A head whose candidates differ in one strength are solved together.

    Attributes
    ----------
    strength
        The parameter that they may differ in.
    solve
        (K, y, an estimator, strengths, n_classes, threads) to solutions.
    """

    strength: str
    solve: Callable[[Array, Array, Any, Sequence[float], int, int], list[Solution]]


def solve(
    solver: Solver, at: Products, y: Array, candidates: Sequence[Params], n_jobs: int = 1
) -> list[Solution]:
    """Fit every candidate on the training rows of ``at``.

    Parameters
    ----------
    y
        (m,) class numbers or float64.
    n_jobs
        Threads that may share the work.

    Raises
    ------
    UsageError
        If scikit-learn does not take a parameter.
    """
    path = PATHS[solver.head]
    K = at.inner if at.exact else at.inner.astype(np.float32, copy=False)
    found: dict[int, Solution] = {}
    for members, made, strengths in alike(solver, candidates):
        solved = path.solve(K, y, made, strengths, solver.n_classes, n_jobs)
        found |= dict(zip(members, solved, strict=True))
    return [found[i] for i in range(len(candidates))]


def alike(solver: Solver, candidates: Sequence[Params]) -> list[tuple[list[int], Any, list[float]]]:
    """Group candidates that differ in the strength alone: numbers, an estimator, strengths."""
    strength = PATHS[solver.head].strength
    made = [checked(solver, params) for params in candidates]
    groups: dict[str, list[int]] = {}
    for i, params in enumerate(candidates):
        others = sorted((k, v) for k, v in params.items() if k != strength)
        groups.setdefault(repr(others), []).append(i)
    return [(g, made[g[0]], [getattr(made[i], strength) for i in g]) for g in groups.values()]


def checked(solver: Solver, params: Params) -> Any:
    """Give the unfitted estimator, once scikit-learn has taken its parameters."""
    estimator = solver.make(params)
    try:
        estimator._validate_params()
    except ValueError as error:
        words = ", ".join(f"{k}={v}" for k, v in params.items())
        name = type(estimator).__name__
        raise UsageError(f"{name} with {words or 'defaults'}: {error}") from error
    return estimator


def class_weights(estimator: Any, codes: Array, n_classes: int) -> Float64s | None:
    """Give (n_classes,) weights as the training rows say, or None."""
    if getattr(estimator, "class_weight", None) is None:
        return None
    weights: Float64s = compute_class_weight(
        estimator.class_weight, classes=np.arange(n_classes), y=codes
    )
    return weights


def _svm(
    K: Array, y: Array, e: Any, Cs: Sequence[float], n_classes: int, n_jobs: int
) -> list[Solution]:
    from featx.solvers.svm import svm_path

    return svm_path(
        K,
        y,
        n_classes,
        Cs,
        loss=e.loss,
        fit_intercept=e.fit_intercept,
        intercept_scaling=e.intercept_scaling,
        class_weight=class_weights(e, y, n_classes),
        tol=e.tol,
        max_iter=e.max_iter,
        seed=e.random_state,
        n_jobs=n_jobs,
    )


def _svr(K: Array, y: Array, e: Any, Cs: Sequence[float], *_: int) -> list[Solution]:
    from featx.solvers.svr import svr_path

    return svr_path(
        K,
        y,
        Cs,
        epsilon=e.epsilon,
        loss=e.loss,
        fit_intercept=e.fit_intercept,
        intercept_scaling=e.intercept_scaling,
        tol=e.tol,
        max_iter=e.max_iter,
        seed=e.random_state,
    )


def _ridge(
    K: Array, y: Array, e: Any, alphas: Sequence[float], n_classes: int, _: int
) -> list[Solution]:
    from featx.solvers.ridge import ridge_path

    weights = class_weights(e, y, n_classes)
    rows = None if weights is None else weights[y]
    return ridge_path(K, targets(y, n_classes), alphas, weights=rows, fit_intercept=e.fit_intercept)


def targets(y: Array, n_classes: int) -> Float64s:
    """Give the (m, t) numbers that ridge regresses on: 1 and -1 for classes."""
    if not n_classes:
        return y.astype(np.float64)[:, None]
    from featx.solvers.svm import signs

    return signs(y, n_classes).T


def _logreg(
    K: Array, y: Array, e: Any, Cs: Sequence[float], n_classes: int, _: int
) -> list[Solution]:
    from featx.solvers.logistic import logistic_path

    weights = class_weights(e, y, n_classes)
    return logistic_path(
        K,
        y,
        n_classes,
        Cs,
        weights=None if weights is None else weights[y],
        fit_intercept=e.fit_intercept,
        tol=e.tol,
        max_iter=e.max_iter,
    )


PATHS: Mapping[str, Path] = {
    "svm": Path("C", _svm),
    "svr": Path("C", _svr),
    "ridge": Path("alpha", _ridge),
    "logreg": Path("C", _logreg),
}
"""Heads by name; the others are fitted by scikit-learn."""


@dataclass(frozen=True)
class Said:
    """What decision values mean, in scikit-learn's ways.

    Attributes
    ----------
    prediction
        (t,) class numbers or float64.
    scores
        (t, k) probabilities or decision values of each class; None for a regression.
    """

    prediction: Array
    scores: Float64s | None


def say(head: str, decision: Float64s, n_classes: int) -> Said:
    """Read decision values (t, k) as the head's estimator would."""
    if not n_classes:
        return Said(decision[:, 0], None)
    if head == "logreg":
        share = expit(decision[:, 0])
        scores = np.stack([1 - share, share], axis=1) if n_classes == 2 else softmax(decision, 1)
    else:
        scores = np.stack([-decision[:, 0], decision[:, 0]], 1) if n_classes == 2 else decision
    binary = n_classes == 2
    prediction = (decision[:, 0] > 0).astype(np.int64) if binary else decision.argmax(axis=1)
    return Said(prediction, scores)


def finish(
    estimator: Any, coef: Float64s, solution: Solution | Linear, classes: Array | None
) -> Any:
    """Give the estimator its weights ``coef`` (k, d), as its ``fit`` would."""
    name = type(estimator).__name__
    flat = classes is None
    estimator.coef_ = coef[0] if flat else coef
    estimator.intercept_ = solution.intercept
    estimator.n_features_in_ = coef.shape[1]
    estimator.n_iter_ = solution.n_iter
    if name == "Ridge":
        estimator.intercept_ = float(solution.intercept[0])
    if name in ("Ridge", "RidgeClassifier"):
        estimator.n_iter_, estimator.solver_ = None, "cholesky"
    if name == "RidgeClassifier":
        estimator._label_binarizer = LabelBinarizer(pos_label=1, neg_label=-1).fit(classes)
    if not flat and not isinstance(getattr(type(estimator), "classes_", None), property):
        estimator.classes_ = classes
    if name == "LogisticRegression":
        estimator.n_iter_ = np.array([solution.n_iter], dtype=np.int32)
    return estimator
