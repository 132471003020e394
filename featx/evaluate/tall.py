"""Linear heads on many rows of few features, all training sets at once.

Neither the Gram matrix nor features in float64 are made: rows are held as they are stored, or
streamed where they do not fit, and each pass over them takes float32 or float64 strips. Ridge on
up to 4,096 features is solved by moments, every other head by Newton's method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from featx._types import Array, Float64s, Ints, Progress, Silent
from featx.evaluate.dual import alike, targets
from featx.evaluate.passing import TallRows, decide, sample
from featx.evaluate.posed import POSED, Sets
from featx.evaluate.result import Params
from featx.evaluate.scoring import answer
from featx.evaluate.work import Answer, Job, Solver, Stop
from featx.gram import UnitVectors, fit_scalers
from featx.products import as_kind

if TYPE_CHECKING:
    from featx.evaluate.space import Space
    from featx.solvers.sketch import Sketch
    from featx.solvers.solution import Linear
    from featx.solvers.tall import Frame

_MOMENT_ROWS = 4096
"""Rows that are summed up at a time."""

BATCH_BYTES = 2**31
"""Decision values and what a step adds to them of the training sets that are solved together."""

HELD_MOMENTS = 2**30
"""Moments that are summed up in one pass."""

_MOMENT_FEATURES = 4096
"""Features up to which ridge is solved by moments, of ``8 d^2`` bytes each."""

_SMOOTH = {"svm": "squared_hinge", "svr": "squared_epsilon_insensitive"}
"""Losses that Newton's method takes; those of the other heads are all smooth."""

_RIDGE_TOL, _RIDGE_STEPS = 1e-6, 100
"""Relative error of a ridge's weights, and the limit of steps, where moments are not made."""


@dataclass(frozen=True)
class Scaling:
    """What the features of a training set are divided by, after their mean is taken off."""

    mean: Float64s
    size: Float64s

    def raw(self, found: Linear) -> Float64s:
        """Give (k, d + 1) weights and intercepts of features as they are."""
        coef = found.coef / self.size
        return np.column_stack([coef, found.intercept - coef @ self.mean])


def is_smooth(head: str, candidates: Sequence[Any]) -> bool:
    """Say whether every candidate, an estimator, has a loss that Newton's method takes."""
    if head not in POSED:
        return False
    return all(getattr(e, "loss", None) == _SMOOTH[head] for e in candidates if head in _SMOOTH)


def run_tall(
    space: Space,
    values: Array,
    jobs: Sequence[Job],
    solver: Solver,
    n_jobs: int,
    progress: Progress,
) -> list[list[Answer]]:
    """Fit every candidate on each training set and apply it to its test rows."""
    rows = _rows(space)
    table: list[list[Answer]] = []
    batches = _batches(rows, jobs, solver)
    progress.start("fitting", sum(len(some[0].params) for some in batches))
    for some in batches:
        trains = [job.train for job in some]
        scalings = _scalings(space, rows, trains)
        found = fit_sets(rows, values, trains, scalings, solver, some[0].params, n_jobs, progress)
        weights = [
            np.stack([scaling.raw(linear) for linear in each])
            for scaling, each in zip(scalings, found, strict=True)
        ]
        decisions = decide(rows, [job.test for job in some], weights)
        for job, each, decision in zip(some, found, decisions, strict=True):
            y = values[job.test]
            table.append(
                [
                    answer(solver, d, y, Stop(s.converged, s.reached, s.measure))
                    for d, s in zip(decision, each, strict=True)
                ]
            )
    progress.finish()
    return table


def fit_one(
    space: Space, values: Array, train: Ints, solver: Solver, params: Params, n_jobs: int
) -> Linear:
    """Fit one candidate on ``train``; ``values`` (n,) are class numbers or float64 of all rows."""
    rows = _rows(space)
    scalings = _scalings(space, rows, [train])
    [[found]] = fit_sets(rows, values, [train], scalings, solver, [params], n_jobs, Silent())
    return found


def _rows(space: Space) -> TallRows:
    vectors = space.blocks[0].vectors
    return TallRows(UnitVectors(vectors) if space.scale == "l2" else vectors)


def _scalings(space: Space, rows: TallRows, trains: Sequence[Ints]) -> list[Scaling]:
    d = rows.shape[1]
    if space.scale != "standard":
        return [Scaling(np.zeros(d), np.ones(d))] * len(trains)
    return [Scaling(s.mean_, s.scale_) for s in fit_scalers(rows.vectors, trains)]


def _batches(rows: TallRows, jobs: Sequence[Job], solver: Solver) -> list[Sequence[Job]]:
    """Cut the training sets into as many as are solved together."""
    if solver.head == "ridge" and has_moments(rows.shape[1]):
        return [jobs] if jobs else []
    size = max(1, BATCH_BYTES // (8 * max(solver.n_classes, 1) * rows.shape[0]))
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def has_moments(d: int) -> bool:
    """Say whether ridge on ``d`` features is solved by moments."""
    return d <= _MOMENT_FEATURES


def fit_sets(
    rows: TallRows,
    values: Array,
    trains: Sequence[Ints],
    scalings: Sequence[Scaling],
    solver: Solver,
    candidates: Sequence[Params],
    n_jobs: int,
    progress: Progress,
) -> list[list[Linear]]:
    """Fit every candidate on each training set, and report each candidate.

    Returns
    -------
    found : list of list of Linear
        For each set, for each candidate, of features scaled as ``scalings`` says.

    Raises
    ------
    UsageError
        If scikit-learn does not take a parameter.
    """
    found: list[dict[int, Linear]] = [{} for _ in trains]
    for members, made, strengths in alike(solver, candidates):
        by_moments = solver.head == "ridge" and has_moments(rows.shape[1])
        sets = Sets(values, _used(trains, len(values)), made, solver.n_classes)
        if by_moments:
            solved = _by_moments(rows, sets, scalings, strengths)
            progress.advance(len(strengths))
        else:
            solved = _by_newton(rows, sets, scalings, solver, strengths, n_jobs, progress)
        for own, each in zip(found, solved, strict=True):
            own |= dict(zip(members, each, strict=True))
    return [[own[i] for i in range(len(candidates))] for own in found]


def _used(trains: Sequence[Ints], n: int) -> Array:
    used = np.zeros((len(trains), n), bool)
    for own, train in zip(used, trains, strict=True):
        own[train] = True
    return used


def _by_moments(
    rows: TallRows,
    sets: Sets,
    scalings: Sequence[Scaling],
    alphas: Sequence[float],
) -> list[list[Linear]]:
    from featx.solvers.moments import ridge_of_sets

    Y = targets(sets.values, sets.n_classes)
    shift = as_kind(sample(rows, 1024), np.float64).mean(axis=0)
    centred = any(scaling.mean.any() for scaling in scalings)
    found = ridge_of_sets(
        replace(rows, least=_MOMENT_ROWS),
        Y,
        sets.row_weights(),
        alphas,
        shift,
        HELD_MOMENTS,
        sizes=[scaling.size for scaling in scalings],
        fit_intercept=sets.made.fit_intercept or centred,
    )

    def moved(linear: Linear, scaling: Scaling) -> Linear:
        offset = linear.coef @ (scaling.mean / scaling.size)
        keep = float(sets.made.fit_intercept)
        return replace(linear, intercept=keep * (linear.intercept + offset))

    return [
        [moved(linear, scaling) for linear in each]
        for each, scaling in zip(found, scalings, strict=True)
    ]


def _by_newton(
    rows: TallRows,
    sets: Sets,
    scalings: Sequence[Scaling],
    solver: Solver,
    strengths: Sequence[float],
    n_jobs: int,
    progress: Progress,
) -> list[list[Linear]]:
    from featx.solvers.ridge import check_alphas
    from featx.solvers.tall import Task, tall_path

    made, ridge = sets.made, solver.head == "ridge"
    posed = POSED[solver.head](sets)
    s = posed.s if made.fit_intercept else 0.0
    frame = _frame(scalings, posed.each, s)
    count = np.repeat(sets.used.sum(axis=1), posed.each)
    sketch = _sketch(rows, scalings[0], s)
    task = Task(rows, posed.loss, count, posed.k, frame, posed.penalised, sketch, n_jobs)
    if ridge:
        check_alphas(strengths)
    Cs = [1 / (2 * alpha) for alpha in strengths] if ridge else list(strengths)
    tol, limit = (_RIDGE_TOL, _RIDGE_STEPS) if ridge else (made.tol, made.max_iter)
    by_C: dict[float, list[Linear]] = {}
    rising = sorted(set(Cs))
    with threadpool_limits(limits=1 if n_jobs > 1 else None):
        for C, solved in zip(rising, tall_path(task, rising, tol, limit), strict=True):
            by_C[C] = solved.by_set(posed.each, tol)
            progress.advance(Cs.count(C))
    return [[by_C[C][number] for C in Cs] for number in range(len(scalings))]


def _frame(scalings: Sequence[Scaling], each: int, s: float) -> Frame:
    """Give the scalings of all problems, ``each`` of them to a training set."""
    from featx.solvers.tall import Frame

    of = np.repeat(np.arange(len(scalings)), each)
    if all(not scaling.mean.any() and (scaling.size == 1).all() for scaling in scalings):
        return Frame(s, of)
    mean, size = (np.stack([getattr(sc, name) for sc in scalings]) for name in ("mean", "size"))
    return Frame(s, of, mean, size)


def _sketch(rows: TallRows, scaling: Scaling, s: float) -> Sketch:
    from featx.solvers.sketch import make_sketch, sample_rows

    X = as_kind(sample(rows, sample_rows(rows.shape[1])), np.float64)
    X = (X - scaling.mean) / scaling.size
    return make_sketch(np.column_stack([X, np.full(len(X), s)]))
