"""Features scaled by what some rows say of each: mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx._types import Array, Float64s, Ints
from featx.gram.vectors import Vectors, parts
from featx.products import as_kind, is_exact, single

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler

_COLUMNS = 2**12

_STRIP_ROWS = 512

_UNSURE = 1e-4
"""Variance, as a share of the square of what was subtracted too little, that is made again."""


@dataclass(frozen=True, eq=False)
class ScaledVectors:
    """``(x - mean) / size`` of every row, made as it is read.

    Attributes
    ----------
    mean, size
        (d,) float64.
    """

    vectors: Vectors
    mean: Float64s
    size: Float64s

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.vectors.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """float64 where products will be exact, else float32."""
        n, d = self.shape
        return np.dtype(np.float64 if is_exact(n, n, d) else np.float32)

    def read(self, rows: Ints) -> Array:
        """Give (m, d) scaled features."""
        kind = np.float64 if self.dtype == np.float64 else np.float32
        X = as_kind(self.vectors.read(rows), kind)
        out: Array = X - self.mean.astype(kind)
        out /= self.size.astype(kind)
        return out


@dataclass(frozen=True, eq=False)
class UnitVectors:
    """Every row divided by its length as it is read; a row of zeros stays."""

    vectors: Vectors

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.vectors.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """float64 of what is float64, else float32."""
        return np.result_type(self.vectors.dtype, np.float32)

    def read(self, rows: Ints) -> Array:
        """Give (m, d) features of length 1."""
        X = self.vectors.read(rows)
        X = single(X) if X.dtype == np.float16 else X.astype(self.dtype)
        length = np.sqrt(np.einsum("ij,ij->i", X, X, dtype=np.float64))[:, None]
        out: Array = X / np.where(length == 0, 1.0, length).astype(X.dtype)
        return out


@dataclass(frozen=True, eq=False)
class SomeVectors:
    """Some of the rows, in an order of their own."""

    vectors: Vectors
    rows: Ints

    @property
    def shape(self) -> tuple[int, int]:
        """(m, d)."""
        return len(self.rows), self.vectors.shape[1]

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """As they are."""
        return self.vectors.dtype

    def read(self, rows: Ints) -> Array:
        """Give features of these."""
        return self.vectors.read(self.rows[rows])


def fit_scaler(vectors: Vectors, rows: Ints) -> StandardScaler:
    """Give scikit-learn's scaler of ``rows``, fitted part by part in float64.

    Sums are taken of differences to the first part's means, so that they lose nothing to features
    that are far from zero.
    """
    d = vectors.shape[1]
    shift, first, second = np.zeros(d), np.zeros(d), np.zeros(d)
    for at, X in parts(vectors, rows):
        for start in range(0, d, _COLUMNS):
            c = slice(start, min(start + _COLUMNS, d))
            x = single(X[:, c]).astype(np.float64) if X.dtype == np.float16 else X[:, c]
            x = x.astype(np.float64, copy=False)
            if at[0] == 0:
                shift[c] = x.mean(axis=0)
            x = x - shift[c]
            first[c] += x.sum(axis=0)
            second[c] += np.einsum("ij,ij->j", x, x)
    return _scaler(shift, first, second, len(rows))


def _scaler(shift: Float64s, first: Float64s, second: Float64s, m: int) -> StandardScaler:
    """Give the scaler of ``m`` rows from sums of differences to ``shift``, and of their squares."""
    from sklearn.preprocessing import StandardScaler  # 0.7 s to import, and extracting needs none

    scaler = StandardScaler()
    scaler.mean_ = shift + first / m
    scaler.var_ = np.maximum(second / m - (first / m) ** 2, 0.0)
    scaler.scale_ = _sizes(scaler.mean_, scaler.var_, m)
    scaler.n_samples_seen_, scaler.n_features_in_ = m, len(shift)
    return scaler


def fit_scalers(vectors: Vectors, sets: Sequence[Ints]) -> list[StandardScaler]:
    """Give what `fit_scaler` gives of each set of rows, in one pass over all rows.

    Differences are taken to the first rows' means, whatever the set; where a feature of a set
    varies far less than it is away from that, the set is read once more by itself.
    """
    n, d = vectors.shape
    inside = np.zeros((len(sets), n), bool)
    for own, rows in zip(inside, sets, strict=True):
        own[rows] = True
    shift, first, second = np.zeros(d), np.zeros((len(sets), d)), np.zeros((len(sets), d))
    for at, X in parts(vectors):
        for start in range(0, len(X), _STRIP_ROWS):
            x = as_kind(X[start : start + _STRIP_ROWS], np.float64)
            if at[start] == 0:
                shift = x.mean(axis=0)
            x = x - shift
            T = inside[:, at[start : start + _STRIP_ROWS]].astype(np.float64)
            first += T @ x
            x *= x
            second += T @ x
    scalers = []
    for rows, one, two in zip(sets, first, second, strict=True):
        scaler = _scaler(shift, one, two, len(rows))
        away = np.abs(scaler.mean_ - shift)
        rounding = n * np.finfo(np.float64).eps * np.abs(shift)
        unsure = (scaler.var_ < _UNSURE * away**2) & (away > rounding)
        scalers.append(fit_scaler(vectors, rows) if unsure.any() else scaler)
    return scalers


def _sizes(mean: Float64s, var: Float64s, m: int) -> Float64s:
    """Give standard deviations, 1 for what is constant up to rounding, as scikit-learn does.

    Constant is a variance below what rounding alone makes of m equal values (Chan, Golub and
    LeVeque 1983, *Algorithms for computing the sample variance*).
    """
    eps = np.finfo(np.float64).eps
    constant = var <= m * eps * var + (m * mean * eps) ** 2
    sizes: Float64s = np.where(constant, 1.0, np.sqrt(var))
    return sizes
