"""Linear heads on many rows of few features: Newton's method on weights, rows streamed.

With a row of ``W`` (k, d) for each class, or one, intercepts ``s w_0``, and ``F = W X' + s w_0``,

    P(W, w_0) = sum_i loss_i(F_i) + |W|^2 / (2 C)  [+ |w_0|^2 / (2 C)]

where support vector machines penalise ``w_0`` as liblinear does, and the others leave it free. The
gradient is ``R X + W / C`` and the Hessian takes ``D`` to ``H(D X') X + D / C``, with ``R`` and
``H`` the derivatives of the loss (`losses`): one pass over the rows each, which never have to be in
memory together (Lin, Weng and Keerthi 2008, *Trust region Newton method for large-scale logistic
regression*; Keerthi and DeCoste 2005, *A modified finite Newton method for fast solution of large
scale linear SVMs*). Steps are sought by conjugate gradients in float32, with the approximate
inverse of `sketch`; gradients, by which they are judged, are made in float64.

``reached`` is ``C |gradient by W| / |W|``, a bound of the relative error of ``W`` since ``P`` is
that convex, or the intercept's mean gradient where that is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from featx._types import Array, Float64s
from featx.solvers.losses import Hessian
from featx.solvers.sketch import Sketch

_FORCING = 0.1
"""Share of the gradient that a step's linear equations may leave: quick, and still superlinear."""

_MAX_PRODUCTS = 500
"""Passes in a step."""

_RISING = 0.1
"""Share of its first slope with which ``P`` may rise at the end of a step."""

_SHORTENED = 40
"""Times that a step may be shortened."""

_PATIENCE = 5
"""Steps that may pass without coming nearer."""

_STRIP = 2**16
"""Rows whose losses are looked at together."""

Kind = type[np.float32] | type[np.float64]


class Rows(Protocol):
    """Training rows that are read as often as needed."""

    @property
    def shape(self) -> tuple[int, int]:
        """(m, d)."""

    def blocks(self, kind: Kind) -> Iterator[tuple[slice, Array]]:
        """Yield places of rows, rising, and their (b, d) features of type ``kind``."""


Loss = Callable[[Float64s, slice], tuple[Float64s, Hessian]]
"""``F`` (k, b) of some rows, and which rows, to the derivatives of `losses`."""


@dataclass(frozen=True)
class Linear:
    """Weights of features, and how well they solve it; see `Solution` for the rest.

    Attributes
    ----------
    coef
        (k, d) float64.
    intercept
        (k,) float64.
    """

    coef: Float64s
    intercept: Float64s
    reached: float
    measure: str
    n_iter: int
    converged: bool

    def decide(self, X: Array) -> Float64s:
        """Give (t, k) decision values of features (t, d)."""
        values: Float64s = X @ self.coef.T + self.intercept
        return values


@dataclass(frozen=True)
class Task:
    """What all values of C have in common.

    Attributes
    ----------
    k
        Rows of ``W``.
    separate
        Whether the rows of ``W`` are problems of their own.
    s
        The intercept's scaling; 0 for none.
    penalised
        Whether the intercept has a penalty.
    sketch
        Of the rows, each with ``s`` at its end.
    """

    rows: Rows
    loss: Loss
    k: int
    separate: bool
    s: float
    penalised: bool
    sketch: Sketch

    def penalty(self, C: float) -> Float64s:
        """Give (d + 1,) penalties of the weights and the intercept."""
        out = np.full(self.rows.shape[1] + 1, 1 / C)
        out[-1] = 1 / C if self.penalised else 0.0
        return out

    def dot(self, A: Array, B: Array) -> Float64s:
        """Give (k, 1) scalar products of rows, or of all rows together."""
        each: Float64s = np.einsum("kd,kd->k", A, B, dtype=np.float64)[:, None]
        return each if self.separate else np.full_like(each, each.sum())


def tall_path(task: Task, Cs: Sequence[float], tol: float, max_iter: int) -> list[Linear]:
    """Solve for each C, in rising order, each from the answer before it.

    Returns
    -------
    solutions : list of Linear
        One for each of ``Cs``, in their order.
    """
    W = np.zeros((task.k, task.rows.shape[1] + 1))
    found: dict[float, Linear] = {}
    for C in sorted(set(Cs)):
        W, reached, n_iter = _newton(task, C, W, tol, max_iter)
        coef, intercept = W[:, :-1].copy(), task.s * W[:, -1]
        met = reached <= tol
        found[C] = Linear(coef, intercept, reached, "gradient norm", n_iter, met)
    return [found[C] for C in Cs]


def _newton(
    task: Task, C: float, W: Float64s, tol: float, max_iter: int
) -> tuple[Float64s, float, int]:
    """Minimise for one C from weights ``W`` (k, d + 1), the intercept's last."""
    best, best_W, best_at = np.inf, W, 0
    for n_iter in range(max_iter + 1):
        F, g, h = _gradient(task, C, W)
        reached = _reached(task, C, W, g)
        if reached < best:
            best, best_W, best_at = reached, W, n_iter
        if reached <= tol or n_iter == max_iter or n_iter - best_at >= _PATIENCE:
            break
        D = _direction(task, C, F, g, h)
        W = W + _length(task, C, F, g, D) * D
    return best_W, best, n_iter


def _gradient(task: Task, C: float, W: Float64s) -> tuple[Float64s, Float64s, Float64s]:
    """Give ``F`` (k, m), the gradient (k, d + 1) and the mean curvature (k, 1) of the loss.

    The latter is ``z' H z`` for random signs ``z``, whose mean is the trace of ``H`` (Hutchinson
    1990, *A stochastic estimator of the trace*).
    """
    m = task.rows.shape[0]
    F, g = np.empty((task.k, m)), task.penalty(C) * W
    curvature = np.zeros((task.k, 1))
    draw = np.random.default_rng(0)
    for at, X in task.rows.blocks(np.float64):
        F[:, at] = W[:, :-1] @ X.T + task.s * W[:, -1:]
        R, hessian = task.loss(F[:, at], at)
        g[:, :-1] += R @ X
        g[:, -1] += task.s * R.sum(axis=1)
        z = draw.choice([-1.0, 1.0], R.shape)
        curvature[:, 0] += np.einsum("km,km->k", z, hessian(z))
    if not task.separate:
        curvature[:] = curvature.mean()
    return F, g, curvature / m


def _reached(task: Task, C: float, W: Float64s, g: Float64s) -> float:
    """Give what the module's docstring calls ``reached``, of the worst problem."""
    n = -1 if not task.penalised else None
    slope = np.sqrt(task.dot(g[:, :n], g[:, :n]))
    length = np.sqrt(task.dot(W[:, :n], W[:, :n]))
    off = 0.0 if task.penalised else float(np.abs(g[:, -1]).max()) / task.rows.shape[0]
    ratio = np.divide(C * slope, length, out=np.where(slope > 0, np.inf, 0.0), where=length > 0)
    return max(float(ratio.max()), off)


def _direction(task: Task, C: float, F: Float64s, g: Float64s, h: Float64s) -> Float64s:
    """Solve for Newton's step ``D`` (k, d + 1) until a share of the gradient is left."""
    penalty = task.penalty(C).astype(np.float32)
    m = task.rows.shape[0]
    scale = np.sqrt(task.dot(g, g))
    scale[scale == 0] = 1.0
    r: Array = (-g / scale).astype(np.float32)
    D: Array = np.zeros_like(r)

    def inverse(R: Array) -> Array:
        return task.sketch.solve(R, np.maximum(m * h, 1e-30), 1 / C)

    z = inverse(r)
    p = z.copy()
    size = task.dot(r, z)
    end = _FORCING**2 * task.dot(r, r)
    for _ in range(_MAX_PRODUCTS):
        going = task.dot(r, r) > end
        if not going.any():
            break
        T = _curve(task, F, p) + penalty * p
        bend = task.dot(p, T)
        going &= bend > 0
        step = np.divide(size, bend, out=np.zeros_like(bend), where=going).astype(np.float32)
        if not step.any():
            break
        D += step * p
        r -= step * T
        z = inverse(r)
        before, size = size, task.dot(r, z)
        turn = np.divide(size, before, out=np.zeros_like(size), where=before > 0)
        p = z + turn.astype(np.float32) * p
    out: Float64s = D * scale
    return out


def _curve(task: Task, F: Float64s, p: Array) -> Array:
    """Give ``H(p X') X`` (k, d + 1), the intercept's column included."""
    out = np.zeros(p.shape)
    for at, X in task.rows.blocks(np.float32):
        T = task.loss(F[:, at], at)[1](p[:, :-1] @ X.T + np.float32(task.s) * p[:, -1:])
        out[:, :-1] += T @ X
        out[:, -1] += task.s * T.sum(axis=1, dtype=np.float64)
    return out.astype(np.float32)


def _length(task: Task, C: float, F: Float64s, g: Float64s, D: Float64s) -> Float64s:
    """Give how much of the step to take (k, 1): all of it, unless ``P`` then rises again.

    ``P`` is convex, and where its slope along the step is still negative it has only fallen. The
    slope is compared, since differences of ``P`` itself drown in rounding near the minimum; and it
    is counted from the gradient ``g``, since ``R D X'`` does so too where ``D X'`` is in float32.
    """
    m, first = task.rows.shape[0], -task.dot(g, D)
    bend = task.dot(task.penalty(C) * D, D)
    Q = np.empty((task.k, m), np.float32)
    D32 = D.astype(np.float32)
    for at, X in task.rows.blocks(np.float32):
        Q[:, at] = D32[:, :-1] @ X.T + np.float32(task.s) * D32[:, -1:]

    def slope(t: Float64s) -> Float64s:
        out = t * bend - first
        for start in range(0, m, _STRIP):
            at = slice(start, min(start + _STRIP, m))
            before, after = (task.loss(F[:, at] + x * Q[:, at], at)[0] for x in (0.0, t))
            out = out + task.dot(after - before, Q[:, at])
        return out

    t = np.ones((task.k, 1))
    for _ in range(_SHORTENED):
        now = slope(t)
        far = (now > _RISING * first) & (first > 0)
        if not far.any():
            break
        shorter = np.maximum(first / np.where(far, first + now, 1.0), 0.1)
        t = np.where(far, t * shorter, t)
    return t
