"""Linear heads on many rows of few features: what `featx.solvers.tall` is asked, and its answers.

Neither the Gram matrix nor features in float64 are made: rows are held as they are stored, or
streamed where they do not fit, and each pass over them takes float32 or float64 strips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._types import Array, Float64s, Ints
from featx.evaluate.dual import alike, class_weights, targets
from featx.evaluate.result import Params
from featx.evaluate.scoring import answer
from featx.evaluate.work import Answer, Job, Solver, Stop
from featx.gram import ScaledVectors, UnitVectors, Vectors, fit_scaler, parts
from featx.products import as_kind

if TYPE_CHECKING:
    from featx.evaluate.space import Space
    from featx.solvers.tall import Kind, Linear, Loss

_STRIP_VALUES = 2**21
"""Features that are multiplied at a time: 8 MiB in float32."""

_SMOOTH = {"svm": "squared_hinge", "svr": "squared_epsilon_insensitive"}
"""Losses that Newton's method takes; those of the other heads are all smooth."""


@dataclass(frozen=True)
class TallRows:
    """Some rows, as `featx.solvers.tall` reads them."""

    vectors: Vectors
    rows: Ints

    @property
    def shape(self) -> tuple[int, int]:
        """(m, d)."""
        return len(self.rows), self.vectors.shape[1]

    def blocks(self, kind: Kind) -> Iterator[tuple[slice, Array]]:
        """Yield places of rows, rising, and their (b, d) features."""
        step = max(1, _STRIP_VALUES // self.vectors.shape[1])
        for at, X in parts(self.vectors, self.rows):
            for start in range(0, len(X), step):
                strip = as_kind(X[start : start + step], kind)
                first = int(at[0]) + start
                yield slice(first, first + len(strip)), strip


def is_smooth(head: str, candidates: Sequence[Any]) -> bool:
    """Say whether every candidate, an estimator, has a loss that Newton's method takes."""
    if head not in _POSED:
        return False
    return all(getattr(e, "loss", None) == _SMOOTH[head] for e in candidates if head in _SMOOTH)


def run_tall(space: Space, values: Array, job: Job, solver: Solver) -> list[Answer]:
    """Fit every candidate on the training rows and apply it to the test rows."""
    rows = scaled_rows(space, job.train)
    test = TallRows(rows.vectors, job.test)
    solutions = fit_tall(rows, values[job.train], solver, job.params)
    decisions = [np.empty((len(job.test), len(s.intercept))) for s in solutions]
    for at, X in test.blocks(np.float64):
        for decision, solution in zip(decisions, solutions, strict=True):
            decision[at] = solution.decide(X)
    return [
        answer(solver, decision, values[job.test], Stop(s.converged, s.reached, s.measure))
        for decision, s in zip(decisions, solutions, strict=True)
    ]


def scaled_rows(space: Space, train: Ints) -> TallRows:
    """Give the training rows, scaled by what they say."""
    vectors = space.blocks[0].vectors
    if space.scale == "standard":
        scaler = fit_scaler(vectors, train)
        vectors = ScaledVectors(vectors, scaler.mean_, scaler.scale_)
    if space.scale == "l2":
        vectors = UnitVectors(vectors)
    return TallRows(vectors, train)


def fit_tall(
    rows: TallRows, y: Array, solver: Solver, candidates: Sequence[Params]
) -> list[Linear]:
    """Fit every candidate on ``rows``; ``y`` (m,) are class numbers or float64.

    Raises
    ------
    UsageError
        If scikit-learn does not take a parameter.
    """
    found: dict[int, Linear] = {}
    for members, made, strengths in alike(solver, candidates):
        solved = _path(rows, y, made, solver, strengths)
        found |= dict(zip(members, solved, strict=True))
    return [found[i] for i in range(len(candidates))]


@dataclass(frozen=True)
class _Posed:
    """What a head minimises, in the terms of `featx.solvers.tall.Task`."""

    loss: Loss
    k: int
    s: float
    separate: bool = True
    penalised: bool = False


def _path(
    rows: TallRows, y: Array, made: Any, solver: Solver, strengths: Sequence[float]
) -> list[Linear]:
    from featx.solvers.ridge import check_alphas
    from featx.solvers.tall import Task, tall_path

    posed = _POSED[solver.head](y, made, solver.n_classes)
    s = posed.s if made.fit_intercept else 0.0
    task = Task(rows, posed.loss, posed.k, posed.separate, s, posed.penalised, _sketch(rows, s))
    if solver.head != "ridge":
        return tall_path(task, strengths, made.tol, made.max_iter)
    check_alphas(strengths)
    return tall_path(task, [1 / (2 * alpha) for alpha in strengths], _RIDGE_TOL, _RIDGE_STEPS)


def _svm(y: Array, e: Any, n_classes: int) -> _Posed:
    from featx.solvers.losses import squared_hinge
    from featx.solvers.svm import row_weights, signs

    each = signs(y, n_classes)
    u = row_weights(each, n_classes, class_weights(e, y, n_classes))
    return _Posed(
        lambda F, at: squared_hinge(F, each[:, at], u[:, at]),
        len(each),
        e.intercept_scaling,
        penalised=True,
    )


def _svr(y: Array, e: Any, _: int) -> _Posed:
    from featx.solvers.losses import squared_tube

    p, u = y.astype(np.float64)[None], np.ones((1, 1))
    return _Posed(
        lambda F, at: squared_tube(F, p[:, at], u, e.epsilon),
        1,
        e.intercept_scaling,
        penalised=True,
    )


def _ridge(y: Array, e: Any, n_classes: int) -> _Posed:
    from featx.solvers.losses import squared_tube

    Y = targets(y, n_classes).T
    u = _weights(y, e, n_classes)
    return _Posed(lambda F, at: squared_tube(F, Y[:, at], u[None, at], 0.0), len(Y), 1.0)


def _logreg(y: Array, e: Any, n_classes: int) -> _Posed:
    from featx.solvers.losses import many_classes, two_classes

    loss = two_classes if n_classes == 2 else many_classes
    u = _weights(y, e, n_classes)
    k = 1 if n_classes == 2 else n_classes
    return _Posed(lambda F, at: loss(F, y[at], u[at]), k, 1.0, separate=False)


def _weights(y: Array, e: Any, n_classes: int) -> Float64s:
    """Give (m,) weights of rows."""
    weights = class_weights(e, y, n_classes)
    return np.ones(len(y)) if weights is None else weights[y]


_POSED: Mapping[str, Callable[[Array, Any, int], _Posed]] = {
    "svm": _svm,
    "svr": _svr,
    "ridge": _ridge,
    "logreg": _logreg,
}

_RIDGE_TOL = 1e-6
"""Relative error of a ridge's weights."""

_RIDGE_STEPS = 100


def _sketch(rows: TallRows, s: float) -> Any:
    from featx.solvers.sketch import SAMPLE_ROWS, make_sketch

    m = len(rows.rows)
    chosen = np.random.default_rng(0).choice(m, min(m, SAMPLE_ROWS), replace=False)
    X = as_kind(rows.vectors.read(rows.rows[np.sort(chosen)]), np.float32)
    return make_sketch(np.column_stack([X, np.full(len(X), s, np.float32)]))
