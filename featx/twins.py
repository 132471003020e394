"""Find rows that show nearly the same image, from the cosines of their features.

What cosine makes a twin depends on the backbone: two unrelated images of a class lie at 0.2 to 0.5
in the flattened maps of a VGG, at 0.9 in pooled vectors of a ResNet. So the rule asks for no
cosine. It compares a pair with the other neighbours of its two rows, in the data at hand.

With ``d = sqrt(2 - 2 cosine)``, the distance of two rows scaled to length 1, and ``D_i`` the
distance of row i to its K-th nearest row, rows i and j are twins where ``d_ij <= q min(D_i, D_j)``.
Two things bound q:

- *What a twin is.* ``q <= sqrt(1/2)``: the squared distance is at most half of that to an ordinary
  neighbour, so that most of what tells row i from its neighbours, row j has too.
- *Chance.* Where rows lie evenly in m dimensions, the number of rows within a distance grows as its
  m-th power. A ball of radius ``q D_i`` then holds ``K q^m`` rows, all n balls hold ``n K q^m / 2``
  pairs, and ``q = (2 E / (n K))^(1/m)`` lets E pairs in by chance. The same law gives m: the number
  doubles from K to 2 K while the distance grows by ``2^(1/m)`` (the growth of neighbour distances
  as an estimate of dimension: Pettis et al. 1979; Levina and Bickel 2004). It is taken as a median
  over rows, outside of the K nearest, where a few twins cannot move it.

More than K copies of one image are each other's K nearest rows, and look like a dense spot: a data
set of augmented copies or of film frames needs a group column, or a cosine of the user's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError

K = 10
CHANCE_PAIRS = 0.05
"""E: a set without twins shows a pair one time in twenty."""

HALF = math.sqrt(0.5)
MIN_ROWS = 4 * K
"""With fewer rows, the 2 K nearest are no neighbourhood: only the same features are found."""

SAME = 0.002
"""Distances below are the rounding of float32 products (cosine above 0.999998)."""

OPERATIONS_A_SECOND = 1e11
"""What a desktop computer does at least in float32 products."""

MAX_PAIRS = 1_000_000
_STRIP_VALUES = 2**23


@dataclass(frozen=True, eq=False)
class Twins:
    """Pairs of rows that show nearly the same image.

    Attributes
    ----------
    i, j
        (p,) int64 row numbers, ``i < j``, by falling cosine.
    cosine
        (p,) float64.
    rule
        What made them twins, in words.
    """

    i: Ints
    j: Ints
    cosine: Float64s
    rule: str

    def __len__(self) -> int:
        return len(self.i)


def find_twins(strips: Iterable[Array], n: int, threshold: float | None = None) -> Twins:
    """Find the twins among n rows.

    Parameters
    ----------
    strips
        (m, n) cosines of some rows with all rows, floating point, from the first row to the last:
        what `gram_strips` or `row_strips` give.
    threshold
        Pairs with at least this cosine are twins; None: the rule of this module.

    Raises
    ------
    UsageError
        If the threshold is not in (0, 1], or lets more than a million pairs in.
    """
    if threshold is not None:
        return _above(strips, threshold)
    k = min(K, n - 1)
    if k < 1:
        return _twins(np.zeros((0, 2), dtype=np.int64), np.zeros(0), "a single row has no twin")
    nearest, d = _neighbours(strips, n, min(2 * K, n - 1))
    q = share(d) if n >= MIN_ROWS else 0.0
    D = d[:, k - 1]
    near = nearest[:, :k]
    close = d[:, :k] <= np.maximum(q * np.minimum(D[:, None], D[near]), SAME)
    rows, place = np.nonzero(close)
    pairs = np.stack([rows, near[rows, place]], axis=1)
    rule = f"at most {q:.2f} times as far apart as each is from its {k}th nearest row"
    if not q:
        rule = f"the same features (fewer than {MIN_ROWS} rows: no near ones are looked for)"
    return _twins(pairs, 1 - d[rows, place] ** 2 / 2, rule)


def share(d: Float64s) -> float:
    """Give q for the (n, 2 K) rising distances of each row to its nearest ones."""
    n, inner, outer = len(d), d[:, K - 1], d[:, 2 * K - 1]
    apart = inner > SAME
    if not apart.any():
        return 0.0
    growth = float(np.median(np.log(outer[apart] / inner[apart])))  # log(2) / m
    return min(HALF, math.exp(math.log(2 * CHANCE_PAIRS / (n * K)) * growth / math.log(2)))


def gram_strips(G: Array) -> Iterator[Array]:
    """Give float32 cosines from a (n, n) Gram matrix, some rows at a time; a row of zeros has 0."""
    n = len(G)
    scale = _inverse(np.sqrt(np.maximum(np.diagonal(G), 0)))
    step = strip_rows(n)
    for a in range(0, n, step):
        C = G[a : a + step] * scale
        C *= scale[a : a + step, None]
        yield C.astype(np.float32)  # ten times as fast to search as float64


def row_strips(blocks: Callable[[], Iterable[Array]], n: int) -> Iterator[Array]:
    """Give the cosines of n rows that come in blocks; a row of zeros has 0.

    Parameters
    ----------
    blocks
        Called again for each pass over the rows: gives their (m, d) float32 or float64 features,
        in order. There is one pass, and one more for each block, ``2 n^2 d`` operations in all;
        a strip is as high as a block, see `strip_rows`.
    """
    norms = [np.sqrt(np.einsum("ij,ij->i", A, A, dtype=np.float64)) for A in blocks()]
    scale = _inverse(np.concatenate(norms)) if norms else np.zeros(0)
    a = 0
    for A in blocks():
        C = np.empty((len(A), n), dtype=A.dtype)
        b = 0
        for B in blocks():
            C[:, b : b + len(B)] = A @ B.T
            b += len(B)
        C *= scale[a : a + len(A), None].astype(A.dtype)
        C *= scale.astype(A.dtype)
        a += len(A)
        yield C


def search_seconds(n: int, d: int) -> float:
    """Estimate how long the cosines of n rows with d features take: 2 n^2 d operations."""
    return 2 * n**2 * d / OPERATIONS_A_SECOND


def strip_rows(n: int) -> int:
    """Give how many rows of n cosines are held at a time: 32 MiB of float32."""
    return max(1, _STRIP_VALUES // max(n, 1))


def _inverse(norms: Array) -> Array:
    return np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)


def _neighbours(strips: Iterable[Array], n: int, k: int) -> tuple[Ints, Float64s]:
    """Give the (n, k) nearest rows of each row and their distances, the nearest first."""
    nearest, d = np.empty((n, k), dtype=np.int64), np.empty((n, k))
    a = 0
    for strip in strips:
        C = strip.copy()
        rows = np.arange(len(C))
        C[rows, a + rows] = -np.inf
        some = np.argpartition(C, n - k, axis=1)[:, n - k :]
        cosine = np.take_along_axis(C, some, axis=1).astype(np.float64)
        order = np.argsort(-cosine, axis=1, kind="stable")
        here = slice(a, a + len(C))
        nearest[here] = np.take_along_axis(some, order, axis=1)
        d[here] = np.sqrt(np.maximum(2 - 2 * np.take_along_axis(cosine, order, axis=1), 0))
        a += len(C)
    return nearest, d


def _above(strips: Iterable[Array], threshold: float) -> Twins:
    if not 0 < threshold <= 1:
        raise UsageError(f"the cosine of twins is {threshold:g}; expected a number in (0, 1]")
    pairs, cosines, a, count = [], [], 0, 0
    rounding = SAME**2 / 2
    for C in strips:
        rows, j = np.nonzero(C + rounding >= threshold)
        later = j > a + rows
        rows, j = rows[later], j[later]
        pairs.append(np.stack([a + rows, j], axis=1))
        cosines.append(C[rows, j].astype(np.float64))
        a, count = a + len(C), count + len(j)
        if count > MAX_PAIRS:
            raise UsageError(
                f"more than {MAX_PAIRS:,} pairs of rows have a cosine of {threshold:g} or more; "
                "choose one that is closer to 1"
            )
    found = np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.int64)
    cosine = np.concatenate(cosines) if cosines else np.zeros(0)
    return _twins(found, cosine, f"a cosine of {threshold:g} or more")


def _twins(pairs: Ints, cosine: Float64s, rule: str) -> Twins:
    """Put each pair once, by falling cosine."""
    distinct, first = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)
    order = np.argsort(-cosine[first], kind="stable")
    i, j = distinct[order].T.astype(np.int64)
    return Twins(i, j, np.clip(cosine[first][order], -1, 1), rule)
