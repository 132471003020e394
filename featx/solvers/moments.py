"""Ridge on many rows of few features: all alphas and training sets from moments, rows read once.

With training rows ``x_i`` of ``d`` features, targets ``y_i`` (t,) and weights ``u_i``, let

    n = sum_i u_i,  a = sum_i u_i x_i,  b = sum_i u_i y_i,  M = sum_i u_i x_i x_i',
    N = sum_i u_i x_i y_i'

The ridge weights of all alphas solve the normal equations of centred rows,

    (M - a a' / n + alpha I) w = N - a b' / n,    intercept = (b - w' a) / n

(Hastie, Tibshirani and Friedman 2009, *The elements of statistical learning*, equation 3.44).
Moments are sums over rows: those of a training set are the moments of a larger set less those of
the rows that it leaves out, so that cross-validation multiplies the rows a few times, however many
training sets there are. Rows are counted from a shift near their mean, without which the centring
would cancel; sums and solutions are in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import blas

from featx._types import Array, Float64s
from featx.solvers.ridge import EPS, Posed, check_alphas, gammas
from featx.solvers.solution import Linear
from featx.solvers.tall import Rows


@dataclass(frozen=True)
class Moments:
    """Sums over rows, counted from a shift, in the letters of the module's docstring.

    Attributes
    ----------
    M
        (d, d) F-contiguous; its lower half is meant.
    """

    n: float
    a: Float64s
    b: Float64s
    M: Float64s
    N: Float64s

    def more(self, other: Moments, sign: float = 1.0) -> Moments:
        """Add rows, or take them away."""
        return Moments(
            self.n + sign * other.n,
            self.a + sign * other.a,
            self.b + sign * other.b,
            self.M + sign * other.M,
            self.N + sign * other.N,
        )


@dataclass(frozen=True)
class _Part:
    """Rows to sum up.

    Attributes
    ----------
    weights
        (n,) bool or float64.
    base
        The part that they are taken from; None: they are the set.
    sets
        Those that this gives.
    """

    weights: Array
    base: int | None
    sets: tuple[int, ...]


def ridge_of_sets(
    rows: Rows,
    Y: Float64s,
    weights: Sequence[Array],
    alphas: Sequence[float],
    shift: Float64s,
    held_bytes: int,
    *,
    sizes: Sequence[Float64s] | None = None,
    fit_intercept: bool = True,
) -> list[list[Linear]]:
    """Fit a ridge for each training set and alpha.

    Parameters
    ----------
    Y
        (n, t) targets of all rows.
    weights
        For each training set (n,) weights of rows, 0 of those outside it: bool, or float64.
    alphas
        Above 0.
    shift
        (d,) near the mean of the rows; used with an intercept alone.
    held_bytes
        Moments, ``8 d^2`` bytes each, to sum up in one pass over the rows.
    sizes
        For each training set (d,) by which features are divided; None: by 1.

    Returns
    -------
    found : list of list of Linear
        For each set, for each alpha. ``coef`` is of features less nothing, divided by ``sizes``,
        and so is ``intercept``. ``reached`` is the residual of the normal equations, relative to
        their right side; converged below the root of eps.

    Raises
    ------
    UsageError
        If an alpha is not above 0.
    """
    check_alphas(alphas)
    shift = shift if fit_intercept else np.zeros(len(shift))
    found: dict[int, list[Linear]] = {}
    for number, moments in _moments_of_sets(rows, Y, weights, shift, held_bytes):
        size = np.ones(len(shift)) if sizes is None else sizes[number]
        found[number] = _ridge(moments, alphas, shift, size, fit_intercept)
    return [found[number] for number in range(len(weights))]


def _ridge(
    m: Moments, alphas: Sequence[float], shift: Float64s, size: Float64s, fit_intercept: bool
) -> list[Linear]:
    """Solve the normal equations of features divided by ``size``."""
    mean, centre = (m.a / m.n, m.b / m.n) if fit_intercept else (0 * m.a, 0 * m.b)
    A = np.asfortranarray(m.M - m.n * np.outer(mean, mean)) if fit_intercept else m.M.copy("F")
    A /= size
    A /= size[:, None]
    T = (m.N - m.n * np.outer(mean, centre)) / size[:, None]
    c, d = float(np.linalg.norm(np.tril(A))) * np.sqrt(2), len(size)
    floor = d * EPS * c
    posed = Posed(A.copy("F"), T, np.zeros(d), c, float(np.diag(A).max()), floor)
    start = np.linalg.norm(T, axis=0)
    out = []
    for alpha, W in zip(alphas, gammas(posed, alphas), strict=True):
        left = np.linalg.norm(blas.dsymm(1.0, A, W, lower=1) + alpha * W - T, axis=0)
        reached = float((left / np.where(start > 0, start, 1.0)).max())
        intercept = centre - (mean + shift) / size @ W if fit_intercept else centre
        met = reached <= np.sqrt(EPS)
        out.append(Linear(np.ascontiguousarray(W.T), intercept, reached, "residual", 1, met))
    return out


def _moments_of_sets(
    rows: Rows, Y: Float64s, weights: Sequence[Array], shift: Float64s, held_bytes: int
) -> Iterator[tuple[int, Moments]]:
    """Give the number of each set with its moments, and keep what others are taken from."""
    parts = _plan(weights)
    at_once = max(1, held_bytes // (8 * len(shift) ** 2))
    taken = [i for i, part in enumerate(parts) if part.base == 0]
    whole = taken if len(taken) < at_once else []  # else they are not at hand together
    parts[0], whole = _rest(parts[0], [parts[i].weights for i in whole], whole)
    kept: dict[int, Moments] = {}
    for start in range(0, len(parts), at_once):
        some = parts[start : start + at_once]
        made = _sum_up(rows, Y, [part.weights for part in some], shift)
        for number in whole if start == 0 else ():
            made[0] = made[0].more(made[number])
        for number, part in enumerate(some, start):
            moments = made[number - start]
            if part.base is not None:
                moments = kept[part.base].more(moments, -1.0)
            kept[number] = moments
            for place in part.sets:
                yield place, moments
            needed = {later.base for later in parts[number + 1 :]}
            kept = {base: held for base, held in kept.items() if base in needed}


def _rest(part: _Part, outs: Sequence[Array], numbers: list[int]) -> tuple[_Part, list[int]]:
    """Leave the rows ``outs`` out of the set of all rows, where they are apart from each other."""
    if not outs or part.sets:
        return part, []
    times = np.sum(outs, axis=0, dtype=np.int32)
    if times.max() > 1:
        return part, []
    return replace(part, weights=times == 0), numbers


def _plan(weights: Sequence[Array]) -> list[_Part]:
    """Say which rows to sum up, each part after its base.

    A set of unweighted rows is taken from the smallest one that holds it, at last that of all rows,
    where fewer rows are to be taken away than it has.
    """
    everything = np.ones(len(weights[0]), bool)
    parts, inside = [_Part(everything, None, ())], [everything]
    for j in sorted(range(len(weights)), key=lambda j: -int(np.count_nonzero(weights[j]))):
        own = weights[j]
        if own.dtype != bool:
            parts.append(_Part(own, None, (j,)))
            inside.append(np.zeros(len(own), bool))
            continue
        base = next(b for b in reversed(range(len(inside))) if not (own & ~inside[b]).any())
        out = inside[base] & ~own
        less = np.count_nonzero(out) < np.count_nonzero(own)
        parts.append(_Part(out, base, (j,)) if less else _Part(own, None, (j,)))
        inside.append(own)
    if any(part.base == 0 for part in parts):
        order = sorted(range(len(parts)), key=lambda i: (i > 0) + (parts[i].base != 0))
    else:
        order = list(range(1, len(parts)))
    place = {old: new for new, old in enumerate(order)}
    moved = [parts[old] for old in order]
    return [p if p.base is None else replace(p, base=place[p.base]) for p in moved]


def _sum_up(rows: Rows, Y: Float64s, weights: Sequence[Array], shift: Float64s) -> list[Moments]:
    """Sum each part up, in one pass over all rows."""
    n, d = rows.shape
    t, q = Y.shape[1], len(weights)
    counts, a, b = np.zeros(q), np.zeros((q, d)), np.zeros((q, t))
    M = [np.zeros((d, d), order="F") for _ in range(q)]
    N = np.zeros((q, d, t))
    for at, X in rows.blocks(np.float64, 0, n):
        X, y = X - shift, Y[at]
        for j, w in enumerate(weights):
            some = np.flatnonzero(w[at])
            if not len(some):
                continue
            x, z = X[some], y[some]
            if w.dtype != bool:
                root = np.sqrt(w[at][some])
                counts[j] += root @ root
                a[j] += (root * root) @ x
                b[j] += (root * root) @ z
                x *= root[:, None]
                z = z * root[:, None]
            else:
                counts[j] += len(some)
                a[j] += x.sum(axis=0)
                b[j] += z.sum(axis=0)
            N[j] += x.T @ z
            M[j] = blas.dsyrk(1.0, x.T, 1.0, M[j], lower=1, overwrite_c=1)
    return [Moments(float(counts[j]), a[j], b[j], M[j], N[j]) for j in range(q)]
