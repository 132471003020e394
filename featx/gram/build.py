"""The Gram matrix ``G = X X^T`` of rows that need not fit into memory.

A panel of rows is held as it is stored while the other rows pass by, so that a small data set is
read once and a large one a few times. Besides the panel there are blocks of columns in float32 and
the matrix itself, 8 n^2 bytes, whatever the number of features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx._types import Array, Float64s, Ints, Progress, Silent
from featx.gram.vectors import Vectors, parts
from featx.products import add_cross, add_gram, is_exact

PANEL_BYTES = 2**30
"""Features held at a time."""


@dataclass(frozen=True, eq=False)
class Gram:
    """Inner products of n rows.

    Attributes
    ----------
    values
        (n, n) float64.
    exact
        Whether products were made in float64; else an entry's error is about 1e-7 of it.
    """

    values: Float64s
    exact: bool

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Ints) -> Gram:
        """Give the matrix of some rows, in that order."""
        if np.array_equal(rows, np.arange(len(self))):
            return self
        return Gram(self.values[np.ix_(rows, rows)], self.exact)


def build_gram(
    vectors: Vectors,
    *,
    known: Gram | None = None,
    panel_bytes: int = PANEL_BYTES,
    progress: Progress | None = None,
) -> Gram:
    """Multiply every row with every row.

    Parameters
    ----------
    known
        Of the first rows: only what is new is computed.
    panel_bytes
        Features to hold at a time.
    """
    n, d = vectors.shape
    start = 0 if known is None else len(known)
    exact = is_exact(n, n, d) and (known is None or known.exact)
    G = np.zeros((n, n))
    if known is not None:
        G[:start, :start] = known.values
    report = progress or Silent()
    report.start("inner products", n - start)
    step = max(1, panel_bytes // (d * vectors.dtype.itemsize))
    for low in range(start, n, step):
        high = min(low + step, n)
        X = vectors.read(np.arange(low, high))
        add_gram(G[low:high, low:high], X, exact)
        others = np.concatenate([np.arange(start), np.arange(high, n)])
        _fill(G, vectors, others, slice(low, high), X, exact)
        report.advance(high - low)
    report.finish()
    return Gram(G, exact)


def _fill(G: Float64s, vectors: Vectors, others: Ints, panel: slice, X: Array, exact: bool) -> None:
    """Put the products of the panel's features ``X`` with the rows ``others`` on both sides."""
    for at, Y in parts(vectors, others):
        block = np.zeros((len(X), len(Y)))
        add_cross(block, X, Y, exact)
        G[panel, others[at]] = block
        G[others[at], panel] = block.T


def cross_gram(vectors: Vectors, rows: Ints, others: Ints) -> Float64s:
    """Give the products (m, t) of ``rows`` with ``others``."""
    block = np.zeros((len(rows), len(others)))
    exact = is_exact(len(rows), len(others), vectors.shape[1])
    for at, X in parts(vectors, rows):
        for there, Y in parts(vectors, others):
            add_cross(block[at[0] : at[-1] + 1, there[0] : there[-1] + 1], X, Y, exact)
    return block
