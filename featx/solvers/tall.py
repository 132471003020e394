"""Linear heads on many rows of few features: Newton's method on weights, rows streamed.

A *problem* has a row of ``W`` (k, d) for each class, or one, intercepts ``s w_0``, training rows of
its own and a scaling of features. With ``F = W X' + s w_0`` it minimises

    P(W, w_0) = sum_i loss_i(F_i) + |W|^2 / (2 C)  [+ |w_0|^2 / (2 C)]

where support vector machines penalise ``w_0`` as liblinear does, and the others leave it free. The
gradient is ``R X + W / C`` and the Hessian takes ``D`` to ``H(D X') X + D / C``, with ``R`` and
``H`` the derivatives of the loss (`losses`): one pass over the rows each, which never have to be in
memory together (Lin, Weng and Keerthi 2008, *Trust region Newton method for large-scale logistic
regression*; Keerthi and DeCoste 2005, *A modified finite Newton method for fast solution of large
scale linear SVMs*). Steps are sought by conjugate gradients in float32, with the approximate
inverse of `sketch`; gradients, by which they are judged, are made in float64.

**All problems together.** A pass for one problem reads and converts every feature to multiply it a
few times. The classes and training sets of a cross-validation take the same passes: each is a row
of a matrix that the features are multiplied with, and leaves when it is done.

**Scaled features** ``(x - mean) / size`` are not made: ``W`` is turned into weights of ``x``, and
gradients by them into gradients by ``W`` (`Frame`).

``reached`` is ``C |gradient by W| / |W|``, a bound of the relative error of ``W`` since ``P`` is
that convex, or the intercept's mean gradient where that is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from featx._types import Array, Float32s, Float64s, Ints
from featx.solvers.losses import Hessian
from featx.solvers.sketch import Sketch
from featx.solvers.solution import Linear

_FORCING = 0.1
"""Share of the gradient that a step's linear equations may leave: quick, and still superlinear."""

_ENOUGH = 0.3
"""Or the share of the tolerance that it may leave, for the last step."""

_MAX_PRODUCTS = 500
"""Passes in a step."""

_RISING = 0.1
"""Share of its first slope with which ``P`` may rise at the end of a step."""

_SHORTENED = 40
"""Times that a step may be shortened."""

_PATIENCE = 5
"""Steps that may pass without coming nearer."""

_STRIP = 2**14
"""Rows whose losses are looked at together."""

Kind = type[np.float32] | type[np.float64]


class Rows(Protocol):
    """Rows that are read as often as needed."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""

    def blocks(self, kind: Kind, start: int, stop: int) -> Iterator[tuple[slice, Array]]:
        """Yield places of rows ``start`` to ``stop``, rising, and their (b, d) features."""


Loss = Callable[[Array, Ints, slice], tuple[Array, Hessian]]
"""``F`` (p, k, b) of some problems and rows, and which, to the derivatives of `losses`."""


@dataclass(frozen=True)
class Frame:
    """How weights and intercepts of scaled features become those of features as they are read.

    Attributes
    ----------
    s
        The intercept's scaling; 0 for none.
    of
        (P,) number of each problem's scaling.
    mean, size
        (scalings, d) float64; None for features as they are.
    """

    s: float
    of: Ints
    mean: Float64s | None = None
    size: Float64s | None = None

    def outward(self, W: Float64s, at: Ints) -> Float64s:
        """Give weights of features as they are read, and offsets, of problems ``at``."""
        out = W.copy()
        out[..., -1] *= self.s
        if self.mean is not None and self.size is not None:
            out[..., :-1] /= self.size[self.of[at]][:, None]
            out[..., -1] -= np.einsum("pkd,pd->pk", out[..., :-1], self.mean[self.of[at]])
        return out

    def inward(self, G: Float64s, at: Ints) -> Float64s:
        """Give the gradient by ``W`` from that by what `outward` gives: the transposed map."""
        out = G.copy()
        if self.mean is not None and self.size is not None:
            out[..., :-1] -= out[..., -1:] * self.mean[self.of[at]][:, None]
            out[..., :-1] /= self.size[self.of[at]][:, None]
        out[..., -1] *= self.s
        return out


@dataclass(frozen=True)
class Task:
    """Problems, but for their C.

    Attributes
    ----------
    rows
        Of which each problem is trained on some.
    loss
        0, with its derivatives, for a row that a problem is not trained on.
    count
        (P,) training rows of each problem.
    k
        Rows of ``W`` in each.
    penalised
        Whether the intercept has a penalty.
    sketch
        Of scaled rows, each with ``frame.s`` at its end.
    threads
        That share the rows; each multiplies on its own.
    """

    rows: Rows
    loss: Loss
    count: Ints
    k: int
    frame: Frame
    penalised: bool
    sketch: Sketch
    threads: int = 1

    def penalty(self, C: float) -> Float64s:
        """Give (d + 1,) penalties of the weights and the intercept."""
        out = np.full(self.rows.shape[1] + 1, 1 / C)
        out[-1] = 1 / C if self.penalised else 0.0
        return out


@dataclass(frozen=True)
class Solved:
    """Every problem, for one C.

    Attributes
    ----------
    W
        (P, k, d) weights of scaled features.
    intercept
        (P, k).
    reached
        (P,) as the module's docstring says.
    n_iter
        (P,) steps.
    """

    W: Float64s
    intercept: Float64s
    reached: Float64s
    n_iter: Ints

    def by_set(self, each: int, tol: float) -> list[Linear]:
        """Put ``each`` problems that follow one another into one answer."""
        P, k, d = self.W.shape
        coef, intercept = self.W.reshape(-1, each * k, d), self.intercept.reshape(-1, each * k)
        reached = self.reached.reshape(-1, each).max(axis=1).tolist()
        steps = self.n_iter.reshape(-1, each).max(axis=1).tolist()
        return [
            Linear(coef[i], intercept[i], reached[i], "gradient norm", steps[i], reached[i] <= tol)
            for i in range(P // each)
        ]


def tall_path(task: Task, Cs: Sequence[float], tol: float, max_iter: int) -> Iterator[Solved]:
    """Solve all problems for each of ``Cs``, which rise, each from the answer before it."""
    W = np.zeros((len(task.count), task.k, task.rows.shape[1] + 1))
    for C in Cs:
        W, reached, n_iter = _newton(task, C, W, tol, max_iter)
        yield Solved(W[..., :-1].copy(), task.frame.s * W[..., -1], reached, n_iter)


def _newton(
    task: Task, C: float, W: Float64s, tol: float, max_iter: int
) -> tuple[Float64s, Float64s, Ints]:
    """Minimise for one C from weights ``W`` (P, k, d + 1), the intercepts last."""
    at = np.arange(len(W))
    W, best_W, best = W.copy(), W.copy(), np.full(len(W), np.inf)
    best_at, n_iter = np.zeros(len(W), np.int64), np.zeros(len(W), np.int64)
    for step in range(max_iter + 1):
        F, g, h = _gradient(task, C, W[at], at)
        reached = _reached(task, C, W[at], g, at)
        better = at[reached < best[at]]
        best_W[better], best_at[better] = W[better], step
        best[at] = np.minimum(best[at], reached)
        n_iter[at] = step
        going = np.flatnonzero((reached > tol) & (step - best_at[at] < _PATIENCE))
        if not len(going) or step == max_iter:
            break
        share = np.maximum(_FORCING, _ENOUGH * tol / reached[going])
        at, F, g = at[going], F[going], g[going]
        D = _direction(task, C, F, g, h[going], at, share)
        W[at] += _length(task, C, F, g, D, at) * D
    return best_W, best, n_iter


def _dot(A: Array, B: Array) -> Float64s:
    """Give (p, 1, 1) scalar products of problems."""
    products: Float64s = np.einsum("pkd,pkd->p", A, B, dtype=np.float64)[:, None, None]
    return products


def _sum(task: Task, kind: Kind, work: Callable[[slice, Array], list[Any]]) -> list[Any]:
    """Add up what ``work`` gives of each strip of rows; each thread has a stretch of them."""
    ends = np.linspace(0, task.rows.shape[0], task.threads + 1).astype(int).tolist()

    def stretch(number: int) -> list[Any]:
        total: list[Any] = []
        for at, X in task.rows.blocks(kind, ends[number], ends[number + 1]):
            found = work(at, X)
            if not total:
                total = found
                continue
            for whole, part in zip(total, found, strict=True):
                whole += part
        return total

    with ThreadPoolExecutor(task.threads) as pool:
        parts = [part for part in pool.map(stretch, range(task.threads)) if part]
    return [sum(each[1:], start=each[0]) for each in zip(*parts, strict=True)]


def _flat(A: Array) -> Array:
    return A.reshape(-1, A.shape[-1])


def _decide(V: Array, X: Array) -> Array:
    """Give (q, b) decision values of rows ``X`` (b, d) by weights and offsets ``V`` (q, d + 1).

    Few weights are multiplied twice as fast from the right as from the left.
    """
    return np.ascontiguousarray((X @ V[:, :-1].T).T) + V[:, -1:]


def _gradient(task: Task, C: float, W: Float64s, at: Ints) -> tuple[Float32s, Float64s, Float64s]:
    """Give ``F`` (p, k, n), the gradient (p, k, d + 1), and the loss's curvature (p, 1, 1).

    The latter is ``z' H z / k`` for random signs ``z``, whose mean is the trace of ``H``
    (Hutchinson 1990, *A stochastic estimator of the trace*): exact where k is 1. One number for all
    classes of a problem: what is the same for all of them changes no softmax, and with a number
    for each the approximate inverse would lead there (measured: five times as many passes).
    """
    V = _flat(task.frame.outward(W, at))
    F = np.empty((*W.shape[:2], task.rows.shape[0]), np.float32)

    def work(rows: slice, X: Array) -> list[Any]:
        f = _decide(V, X).reshape(*W.shape[:2], -1)
        F[..., rows] = f
        R, hessian = task.loss(f, at, rows)
        z = np.random.default_rng(rows.start).choice([-1.0, 1.0], f.shape[1:])
        bend = np.einsum("km,pkm->p", z, hessian(np.broadcast_to(z, f.shape)))
        return [_flat(R) @ X, R.sum(axis=-1), bend]

    G, offsets, bend = _sum(task, np.float64, work)
    G = np.concatenate([G.reshape(*W.shape[:2], -1), offsets[..., None]], axis=-1)
    return F, task.frame.inward(G, at) + task.penalty(C) * W, bend[:, None, None] / task.k


def _reached(task: Task, C: float, W: Float64s, g: Float64s, at: Ints) -> Float64s:
    """Give what the module's docstring calls ``reached`` (p,)."""
    end = None if task.penalised else -1
    slope = np.sqrt(_dot(g[..., :end], g[..., :end]))[:, 0, 0]
    length = np.sqrt(_dot(W[..., :end], W[..., :end]))[:, 0, 0]
    ratio = np.divide(C * slope, length, out=np.where(slope > 0, np.inf, 0.0), where=length > 0)
    off = np.zeros(len(at)) if task.penalised else np.abs(g[..., -1]).max(axis=1) / task.count[at]
    worst: Float64s = np.maximum(ratio, off)
    return worst


def _direction(
    task: Task, C: float, F: Float32s, g: Float64s, h: Float64s, at: Ints, share: Float64s
) -> Float64s:
    """Solve for Newton's steps ``D`` (p, k, d + 1) until ``share`` (p,) of the gradient is left."""
    penalty = task.penalty(C).astype(np.float32)
    scale = np.sqrt(_dot(g, g))
    scale[scale == 0] = 1.0
    r: Array = (-g / scale).astype(np.float32)
    D, p, size = np.zeros_like(r), np.zeros_like(r), np.ones_like(scale)
    weight = np.maximum(np.repeat(h, task.k, axis=1), 1e-30)
    end = share[:, None, None] ** 2 * _dot(r, r)
    on = np.arange(len(at))
    for _ in range(_MAX_PRODUCTS):
        z = task.sketch.solve(_flat(r[on]), _flat(weight[on]), 1 / C).reshape(-1, *r.shape[1:])
        before, size[on] = size[on], _dot(r[on], z)
        turn = np.divide(size[on], before, out=np.zeros_like(before), where=before > 0)
        p[on] = z + turn.astype(np.float32) * p[on]
        T = _curve(task, F, p[on], at, on) + penalty * p[on]
        bend = _dot(p[on], T)
        step = np.divide(size[on], bend, out=np.zeros_like(bend), where=bend > 0)
        D[on] += step.astype(np.float32) * p[on]
        r[on] -= step.astype(np.float32) * T
        on = on[((_dot(r[on], r[on]) > end[on]) & (step > 0))[:, 0, 0]]
        if not len(on):
            break
    return np.asarray(D * scale)


def _curve(task: Task, F: Float32s, p: Array, at: Ints, on: Ints) -> Array:
    """Give ``H(p X') X`` (o, k, d + 1) of the problems ``at[on]``, with the intercepts' column."""
    V = _flat(task.frame.outward(p.astype(np.float64), at[on])).astype(np.float32)

    def work(rows: slice, X: Array) -> list[Any]:
        q = _decide(V, X).reshape(*p.shape[:2], -1)
        T = task.loss(F[..., rows][on], at[on], rows)[1](q)
        return [(_flat(T) @ X).astype(np.float64), T.sum(axis=-1, dtype=np.float64)]

    G, offsets = _sum(task, np.float32, work)
    G = np.concatenate([G.reshape(*p.shape[:2], -1), offsets[..., None]], axis=-1)
    return task.frame.inward(G, at[on]).astype(np.float32)


def _length(task: Task, C: float, F: Float32s, g: Float64s, D: Float64s, at: Ints) -> Float64s:
    """Give how much of each step to take (p, 1, 1): all of it, unless ``P`` then rises again.

    ``P`` is convex, and where its slope along the step is still negative it has only fallen. The
    slope is compared, since differences of ``P`` itself drown in rounding near the minimum; and it
    is counted from the gradient ``g``, since ``R D X'`` does so too where ``D X'`` is in float32.
    """
    first, bend = -_dot(g, D), _dot(task.penalty(C) * D, D)
    V = _flat(task.frame.outward(D, at)).astype(np.float32)
    Q = np.empty(F.shape, np.float32)

    def apply(rows: slice, X: Array) -> list[Any]:
        Q[..., rows] = _decide(V, X).reshape(*F.shape[:2], -1)
        return []

    _sum(task, np.float32, apply)

    def slope(t: Float64s, on: Ints) -> Float64s:
        out = t * bend[on] - first[on]
        for start in range(0, F.shape[-1], _STRIP):
            rows = slice(start, min(start + _STRIP, F.shape[-1]))
            f, q = (A[..., rows][on].astype(np.float64) for A in (F, Q))
            before, after = (task.loss(f + x * q, at[on], rows)[0] for x in (0.0, t))
            out += _dot(after - before, q)
        return np.asarray(out)

    t, on = np.ones_like(first), np.arange(len(at))
    for _ in range(_SHORTENED):
        now = slope(t[on], on)
        far = ((now > _RISING * first[on]) & (first[on] > 0))[:, 0, 0]
        on, now = on[far], now[far]
        if not len(on):
            break
        t[on] *= np.maximum(first[on] / (first[on] + now), 0.1)
    return t
