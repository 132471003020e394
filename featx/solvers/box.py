"""Support vector machines along a grid of C: the dual problems of `dual`, one after the other.

The primal and the dual of k machines that share their training rows, with ``w = b X`` and
``F = b K``, are

    P = 1/2 b K b' + sum_i C_i loss_i,          loss_i = slack_i or slack_i^2
    D = p b' - eps |b|_1 - 1/2 b (K + diag(d)) b'

``F`` is kept up to date step by step, in float32 where ``K`` is, as long as that puts it off by
little: it is measured for each C, and where it is too much ``F`` is made anew and the rest is done
in float64.

The squared loss has ``d_i = 1 / (2 C_i)`` and no bound on ``|b_i|``, the plain one ``d_i = 0`` and
the bound ``C_i``. What the machines are decides ``p``, ``eps`` and ``slack``, and whether ``b_i``
has the sign of ``p_i``: see `svm` and `svr`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from featx._types import Array, Float64s
from featx.solvers.descent import Duals, minimise
from featx.solvers.finish import Squared, finish, sweeps_worth, times
from featx.solvers.solution import Solution

Unit = np.float32 | np.float64

_DRIFT = 0.05
"""Share of the tolerance that sums in float32 may put ``F`` off by; else float64 takes over."""

_SAMPLE = 64
"""Rows on which that is measured: rounding does not tell rows apart."""


@dataclass(frozen=True)
class Machines:
    """What k machines have in common for all values of C.

    Attributes
    ----------
    p
        (k, m) linear term: signs of the classes, or the numbers to predict.
    weight
        (k, m) ``C_i / C``.
    squared
        Whether the loss is squared.
    signed
        Whether ``b_i`` has the sign of ``p_i``, or any.
    eps
        Half the width of the tube without loss.
    slack
        ``F`` (k, m) to slack (k, m).
    tol
        (k,) largest derivative into the box of a machine that is done.
    s
        Scaling of the intercept, which is penalised like a weight; 0 for none.
    """

    p: Float64s
    weight: Float64s
    squared: bool
    signed: bool
    eps: float
    slack: Callable[[Float64s], Float64s]
    tol: Float64s
    s: float


def solve_path(
    K: Array,
    machines: Machines,
    Cs: Sequence[float],
    max_gap: float,
    max_iter: int,
    seed: int,
    n_jobs: int = 1,
) -> list[Solution]:
    """Solve for each C, in rising order, each from the answer before it.

    Where the tolerance leaves a duality gap ``(P - D) / P`` above ``max_gap`` it is made smaller.

    Parameters
    ----------
    K
        (m, m) inner products of the training rows, without the intercept.
    max_iter
        Sweeps for each C.
    n_jobs
        Threads that share the machines.

    Returns
    -------
    solutions : list of Solution
        One for each of ``Cs``, in their order.
    """
    s = machines.s
    K = np.ascontiguousarray(K + np.asarray(s * s, dtype=K.dtype))
    b, F = np.zeros(machines.p.shape), np.zeros(machines.p.shape)
    found: dict[float, Solution] = {}
    unit: Unit = K.dtype.type(1)
    for C in sorted(set(Cs)):
        n_iter, gap, unit = _solve(K, machines, C, b, F, max_gap, max_iter, seed, n_jobs, unit)
        found[C] = Solution(
            beta=b.copy(),
            intercept=s * s * b.sum(axis=1),
            reached=gap,
            measure="duality gap",
            n_iter=min(n_iter, max_iter),
            converged=n_iter <= max_iter and gap <= max_gap,
        )
    return [found[C] for C in Cs]


def _solve(
    K: Array,
    machines: Machines,
    C: float,
    b: Float64s,
    F: Float64s,
    max_gap: float,
    max_iter: int,
    seed: int,
    n_jobs: int,
    unit: Unit,
) -> tuple[int, float, Unit]:
    """Move ``b`` and ``F`` to the answer for one C; give sweeps, gap, and what to go on with."""
    p, bound = machines.p, C * machines.weight
    d = 0.5 / bound if machines.squared else np.zeros(p.shape)
    u = np.full(p.shape, np.inf) if machines.squared else bound
    lower = np.where(p > 0, 0.0, -u) if machines.signed else -u
    upper = np.where(p > 0, u, 0.0) if machines.signed else u
    duals = Duals(p, d, lower, upper, machines.eps, unit)
    tol, total = machines.tol.copy(), 0
    while True:
        total += _descend(K, machines, duals, b, F, tol, max_iter - total, seed, n_jobs)
        if duals.unit.itemsize < 8 and (_drift(K, b, F) > _DRIFT * tol).any():
            duals = replace(duals, unit=np.float64(1))
            F[:] = times(K, b)
            if total < max_iter:
                continue
        gaps = _gaps(machines, b, F, d, bound)
        if gaps.max() <= max_gap or total >= max_iter:
            return total, float(gaps.max()), duals.unit
        tol = np.where(gaps > max_gap, tol / 4, tol)


def _descend(
    K: Array,
    machines: Machines,
    duals: Duals,
    b: Float64s,
    F: Float64s,
    tol: Float64s,
    max_iter: int,
    seed: int,
    n_jobs: int,
) -> int:
    """Sweep until ``tol`` is met; give sweeps, more than ``max_iter`` where it was not."""
    total, left = 0, tol.copy()
    while True:
        some = max_iter - total
        if machines.squared:
            rows = int((machines.slack(F) > 0).sum(axis=1)[left >= 0].max())
            some = min(sweeps_worth(rows), some)
        n = minimise(K, duals, b, F, left, some, seed + total, n_jobs)
        left[n <= some] = -1.0
        total += int(np.minimum(n, some).max())
        if not (left >= 0).any():
            return total
        if total >= max_iter:
            return max_iter + 1
        for c in np.flatnonzero(left >= 0):
            machine = Squared(duals.p[c], duals.D[c], duals.eps, machines.signed)
            finish(K, machine, b[c], F[c])


def _drift(K: Array, b: Float64s, F: Float64s) -> Float64s:
    """Give (k,) how far ``F`` is from ``b K`` at most, on rows that stand for all."""
    rows = np.linspace(0, len(K) - 1, min(_SAMPLE, len(K))).astype(np.int64)
    off: Float64s = np.abs(F[:, rows] - b @ K[rows].astype(np.float64).T).max(axis=1)
    return off


def _gaps(machines: Machines, b: Float64s, F: Float64s, d: Float64s, bound: Float64s) -> Float64s:
    """Give ``(P - D) / P`` of each machine; 0 where P is 0."""
    slack = machines.slack(F)
    square = (b * F).sum(axis=1) / 2
    primal = square + (bound * (slack**2 if machines.squared else slack)).sum(axis=1)
    linear = (machines.p * b).sum(axis=1) - machines.eps * np.abs(b).sum(axis=1)
    dual = linear - square - (d * b * b).sum(axis=1) / 2
    gaps: Float64s = (primal - dual) / np.where(primal > 0, primal, 1.0)
    return gaps
