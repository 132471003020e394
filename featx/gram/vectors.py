"""Rows of features that are read when they are needed, as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError
from featx.products import single
from featx.store import FeatureStore

READ_BYTES = 2**28
"""What is read at a time where rows are worked through."""

_STRIP_VALUES = 2**21
"""Values that are worked on at a time, in a core's reach."""


class Vectors(Protocol):
    """n rows of d features."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of what `read` gives."""

    def read(self, rows: Ints) -> Array:
        """Give (m, d) finite features of these rows."""


@dataclass(frozen=True, eq=False)
class ArrayVectors:
    """Rows of an array in memory."""

    X: Array

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        n, d = self.X.shape
        return n, d

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of the array."""
        return self.X.dtype

    def read(self, rows: Ints) -> Array:
        """Give (m, d) features; a view of the array where the rows follow one another."""
        first = int(rows[0]) if len(rows) else 0
        if np.array_equal(rows, np.arange(first, first + len(rows))):
            return self.X[first : first + len(rows)]
        return self.X[rows]


@dataclass(frozen=True, eq=False)
class StoreVectors:
    """Rows of a feature store, read block by block, every one checked.

    Attributes
    ----------
    rows
        (n,) where they lie in the store; several may be the same.
    """

    store: FeatureStore
    rows: Ints

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return len(self.rows), self.store.dim

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """As stored."""
        return np.dtype(self.store.recipe.dtype)

    def read(self, rows: Ints) -> Array:
        """Give (m, d) features.

        Raises
        ------
        CorruptStoreError
            If what is stored is damaged; the message names the file.
        """
        return self.store.read(self.rows[rows])


def as_vectors(X: Array | Vectors) -> Vectors:
    """Give an array as vectors, once it is known to be finite numbers.

    Raises
    ------
    UsageError
        If it is no table of numbers, or a value is not finite.
    """
    if not isinstance(X, np.ndarray):
        return X
    if X.ndim != 2 or not X.shape[1]:
        raise UsageError(f"the features have shape {X.shape}; expected (rows, features)")
    if X.dtype.kind not in "fiu":
        raise UsageError(f"the features are {X.dtype}; expected numbers")
    vectors = ArrayVectors(X)
    for _, part in parts(vectors):
        if not _is_finite(part):
            raise UsageError("the features hold values that are not finite: NaN or infinity")
    return vectors


def _is_finite(X: Array) -> bool:
    """Say whether every value of ``X`` (m, d) is finite.

    A row with a value that is not has a sum that is not: one quick product finds the rows that
    have to be looked at.
    """
    if X.dtype.kind != "f":
        return True
    if X.dtype == np.float16:
        return all(bool(np.isfinite(row).all()) for row in X)
    with np.errstate(over="ignore", invalid="ignore"):
        doubtful = ~np.isfinite(X @ np.ones(X.shape[1], X.dtype))
    return bool(np.isfinite(X[doubtful]).all())


def parts(vectors: Vectors, rows: Ints | None = None) -> Iterator[tuple[Ints, Array]]:
    """Yield positions (m,) in ``rows`` (None: all) with their features, 256 MiB at a time."""
    n, d = vectors.shape
    rows = np.arange(n) if rows is None else rows
    step = max(1, READ_BYTES // (d * vectors.dtype.itemsize))
    for start in range(0, len(rows), step):
        at = np.arange(start, min(start + step, len(rows)))
        yield at, vectors.read(rows[at])


def combine(vectors: Vectors, rows: Ints, c: Float64s) -> Float64s:
    """Give ``c X[rows]`` (k, d) for ``c`` (k, m), in float64; rows without weight are not read."""
    used = np.flatnonzero(c.any(axis=0))
    out = np.zeros((len(c), vectors.shape[1]))
    step = max(1, _STRIP_VALUES // vectors.shape[1])
    for at, X in parts(vectors, rows[used]):
        weights = c[:, used[at]]
        for start in range(0, len(X), step):
            strip = slice(start, start + step)
            out += weights[:, strip] @ single(X[strip]).astype(np.float64)
    return out


def row_sums(vectors: Vectors) -> Float64s:
    """Give the sum of each row (n,), in float64."""
    out = np.zeros(vectors.shape[0])
    for at, X in parts(vectors):
        out[at] = single(X).sum(axis=1, dtype=np.float64)
    return out
