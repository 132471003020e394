"""Rows that pass by in strips, as often as they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx._types import Array, Float64s, Ints
from featx.gram import Vectors, parts
from featx.products import as_kind

if TYPE_CHECKING:
    from featx.solvers.tall import Kind

_STRIP_VALUES, _STRIP_ROWS = 2**20, 512
"""Features that are multiplied at a time: 4 MiB in float32, but at least so many rows."""


@dataclass(frozen=True)
class TallRows:
    """Rows, as `featx.solvers.tall` reads them.

    Attributes
    ----------
    least
        Rows to give at a time, at least; None: those of a strip.
    """

    vectors: Vectors
    least: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.vectors.shape

    def blocks(self, kind: Kind, start: int, stop: int) -> Iterator[tuple[slice, Array]]:
        """Yield places of rows, rising, and their (b, d) features."""
        step = max(self.least or _STRIP_ROWS, _STRIP_VALUES // self.vectors.shape[1])
        for at, X in parts(self.vectors, np.arange(start, stop)):
            for low in range(0, len(X), step):
                strip = as_kind(X[low : low + step], kind)
                first = start + int(at[0]) + low
                yield slice(first, first + len(strip)), strip


def sample(rows: TallRows, count: int) -> Array:
    """Read some rows, drawn from all."""
    n = rows.shape[0]
    chosen = np.random.default_rng(0).choice(n, min(n, count), replace=False)
    return rows.vectors.read(np.sort(chosen))


def decide(
    rows: TallRows, tests: Sequence[Ints], weights: Sequence[Float64s]
) -> list[list[Float64s]]:
    """Give decision values of test rows: for each set, for each candidate, (t, k).

    Parameters
    ----------
    weights
        For each set (candidates, k, d + 1), of features as they are.
    """
    orders = [np.argsort(test, kind="stable") for test in tests]
    out = [np.empty((len(test), *w.shape[:2])) for test, w in zip(tests, weights, strict=True)]
    for at, X in rows.blocks(np.float64, 0, rows.shape[0]):
        for test, order, w, decision in zip(tests, orders, weights, out, strict=True):
            low, high = np.searchsorted(test, [at.start, at.stop], sorter=order)
            places = order[low:high]
            flat = w.reshape(-1, w.shape[-1])
            found = X[test[places] - at.start] @ flat[:, :-1].T + flat[:, -1]
            decision[places] = found.reshape(-1, *w.shape[:2])
    return [list(decision.swapaxes(0, 1)) for decision in out]
