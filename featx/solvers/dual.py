"""Coordinate descent for the dual problems of support vector machines, on inner products.

Each of k targets asks for the coefficients ``b`` (m,) of its training rows that minimise

    f(b) = 1/2 b' (K + diag(D)) b - p' b + eps |b|_1,    lower <= b <= upper

With ``F = K b`` at hand the derivative by one coefficient is ``F_i + D_i b_i - p_i``, and its
minimum in that coordinate is a soft threshold clipped to the box (Hsieh et al. 2008, *A dual
coordinate descent method for large-scale linear SVM*; Ho and Lin 2012, *Large-scale linear support
vector regression*: liblinear's methods, which keep ``w`` in place of ``F``). Looking at a row costs
O(1), moving its coefficient O(m), whatever the number of features.

Rows are visited in a new random order in each sweep, `BLOCK` at a time for all targets in turn: a
row of ``K`` is fetched from memory once for all of them, and the ``F`` of a target is written once
for the block. Within the block each step sees all steps before it, so the sequence of steps is that
of plain coordinate descent. A row that its bound or the threshold holds by more than the worst
violation of the sweep before is left out (shrinking), until the rest has converged and everything
is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

BLOCK = 16
"""Rows that are visited together: their rows of ``K`` stay in a core's cache."""

_SKIP = 0.2
"""Violations below this share of the tolerance are not worth a step."""

_FAST = {"reassoc", "contract", "nsz"}
"""Sums in any order, products fused into them. Infinities stay: bounds are some."""


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile on first use; keep the machine code on disk where there is a place for it."""
    options: dict[str, Any] = {"nogil": True, "fastmath": _FAST, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return njit(**options)(function)


def prepare(kind: type[np.float32] | type[np.float64]) -> None:
    """Compile for ``K`` of that type, or load what was compiled; then the first fit need not."""
    one, none = np.ones((1, 1)), np.zeros((1, 1))
    K, unit = one.astype(kind), kind(1)
    sweep(K, one, one, none, one, 0.0, none, none.copy(), np.ones(1), 1, 0, unit)
    add_rows(K, np.zeros(1, np.int64), np.ones(1), np.zeros(1), unit)
    square(K, np.zeros(1, np.int64))


@_compiled
def sweep(
    K: Any,
    p: Any,
    D: Any,
    lower: Any,
    upper: Any,
    eps: float,
    b: Any,
    F: Any,
    tol: Any,
    max_iter: int,
    seed: int,
    unit: Any,
) -> Any:
    """Sweep until every target is done, at most ``max_iter`` times.

    Parameters
    ----------
    K
        (m, m) float32 or float64, rows contiguous.
    p, D, lower, upper
        (k, m) float64, one row a target.
    eps
        Width of the threshold.
    b, F
        (k, m) coefficients and ``b K``; changed in place.
    tol
        (k,) a target is done when no coefficient's derivative into the box exceeds this; it is
        left as it is where this is negative, and this is negative once it is done.
    unit
        1 in the type in which products of eight rows are added up.

    Returns
    -------
    n_iter : (k,) int64
        Sweeps of each target; above ``max_iter`` where it did not converge.
    """
    k, m = p.shape
    np.random.seed(seed)  # noqa: NPY002  # numba's own generator, one for each thread
    order = np.arange(m)
    n_iter = np.zeros(k, np.int64)
    active = np.ones((k, m), np.bool_)
    whole = np.ones(k, np.bool_)  # this sweep looks at every row
    bar = np.full(k, np.inf)
    worst = np.zeros(k)
    corner = np.empty((BLOCK, BLOCK))
    slope = np.empty(BLOCK)
    moved = np.empty(BLOCK)
    left = (tol >= 0).sum()
    while left:
        for i in range(m - 1, 0, -1):
            j = np.random.randint(i + 1)  # noqa: NPY002
            order[i], order[j] = order[j], order[i]
        worst[:] = 0.0
        for start in range(0, m, BLOCK):
            rows = order[start : start + BLOCK]
            for x in range(len(rows)):
                for z in range(len(rows)):
                    corner[x, z] = K[rows[x], rows[z]]
            for c in range(k):
                if tol[c] < 0:
                    continue
                for x in range(len(rows)):
                    slope[x] = F[c, rows[x]]
                steps = 0
                for x in range(len(rows)):
                    i = rows[x]
                    moved[x] = 0.0
                    if not active[c, i]:
                        continue
                    old = b[c, i]
                    g = slope[x] + D[c, i] * old - p[c, i]
                    up = g + eps if old >= 0 else g - eps  # derivative to the right
                    down = g - eps if old <= 0 else g + eps  # and to the left
                    if up < 0 and old < upper[c, i]:
                        violation = -up
                    elif down > 0 and old > lower[c, i]:
                        violation = down
                    else:
                        held_up = up if old < upper[c, i] else np.inf
                        held_down = -down if old > lower[c, i] else np.inf
                        active[c, i] = min(held_up, held_down) <= bar[c]
                        continue
                    worst[c] = max(worst[c], violation)
                    if violation <= _SKIP * tol[c]:
                        continue
                    h = corner[x, x] + D[c, i]
                    new = old - g / h
                    new = max(new - eps / h, 0.0) + min(new + eps / h, 0.0)
                    new = min(max(new, lower[c, i]), upper[c, i])
                    moved[x] = new - old
                    b[c, i] = new
                    steps += 1
                    for z in range(len(rows)):
                        slope[z] += moved[x] * corner[x, z]
                if steps:
                    add_rows(K, rows, moved, F[c], unit)
        for c in range(k):
            if tol[c] < 0:
                continue
            n_iter[c] += 1
            met = worst[c] <= tol[c]
            if (met and whole[c]) or n_iter[c] > max_iter:
                tol[c] = -1.0
                left -= 1
            elif met:
                active[c] = True
            whole[c] = met
            bar[c] = np.inf if met else worst[c]
    return n_iter


@_compiled
def add_rows(K: Any, rows: Any, moved: Any, f: Any, unit: Any) -> None:
    """Add ``moved[x] K[rows[x]]`` to ``f``, eight rows at a time: ``f`` is written less often.

    Eight products are added up in the type of ``unit``, and the sums to ``f`` in float64.
    """
    chosen = np.empty(len(rows) + 8, np.int64)
    weight = np.full(len(rows) + 8, unit - unit)
    count = 0
    for x in range(len(rows)):
        if moved[x] != 0.0:
            chosen[count] = rows[x]
            weight[count] = moved[x]
            count += 1
    chosen[count : count + 8] = rows[0]  # padding, with weight 0
    for x in range(0, count, 8):
        r0, r1, r2, r3 = K[chosen[x]], K[chosen[x + 1]], K[chosen[x + 2]], K[chosen[x + 3]]
        r4, r5, r6, r7 = K[chosen[x + 4]], K[chosen[x + 5]], K[chosen[x + 6]], K[chosen[x + 7]]
        w0, w1, w2, w3 = weight[x], weight[x + 1], weight[x + 2], weight[x + 3]
        w4, w5, w6, w7 = weight[x + 4], weight[x + 5], weight[x + 6], weight[x + 7]
        for j in range(len(f)):
            near = w0 * r0[j] + w1 * r1[j] + w2 * r2[j] + w3 * r3[j]
            f[j] += near + (w4 * r4[j] + w5 * r5[j] + w6 * r6[j] + w7 * r7[j])


@_compiled
def square(K: Any, rows: Any) -> Any:
    """Give the (k, k) part of ``K`` where k rows meet their own columns."""
    out = np.empty((len(rows), len(rows)), K.dtype)
    for x in range(len(rows)):
        row = K[rows[x]]
        for z in range(len(rows)):
            out[x, z] = row[rows[z]]
    return out
