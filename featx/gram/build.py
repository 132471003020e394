"""The Gram matrix ``G = X X^T`` of rows that need not fit into memory.

A panel of rows is held as it is stored while the other rows pass by, so that a small data set is
read once and a large one a few times. Besides the panel there are blocks of columns in float32 and
the matrix itself, 8 n^2 bytes, whatever the number of features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx import products
from featx._types import Float64s, Ints, Progress, Silent
from featx.gram.device import DeviceProducts
from featx.gram.vectors import Vectors, parts
from featx.products import is_exact

if TYPE_CHECKING:
    import torch

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
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> Gram:
    """Multiply every row with every row.

    Parameters
    ----------
    known
        Of the first rows: only what is new is computed.
    panel_bytes
        Features to hold at a time.
    device
        Of torch, where the products are made; None: here, without torch.
    """
    n, d = vectors.shape
    start = 0 if known is None else len(known)
    exact = is_exact(n, n, d) and (known is None or known.exact)
    G, made = np.zeros((n, n)), products if device is None else DeviceProducts(device)
    if known is not None:
        G[:start, :start] = known.values
    report = progress or Silent()
    report.start("inner products", n - start)
    step = max(1, panel_bytes // (d * vectors.dtype.itemsize))
    for low in range(start, n, step):
        high = min(low + step, n)
        X = vectors.read(np.arange(low, high))
        made.add_gram(G[low:high, low:high], X, exact)
        others = np.concatenate([np.arange(start), np.arange(high, n)])
        for at, Y in parts(vectors, others):
            block = np.zeros((len(X), len(Y)))
            made.add_cross(block, X, Y, exact)
            G[low:high, others[at]] = block
            G[others[at], low:high] = block.T
        report.advance(high - low)
    report.finish()
    return Gram(G, exact)
