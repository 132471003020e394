"""Inner products of rows with many features, in float32 and exact enough.

A block of columns is multiplied in float32 and added up in float64, so that errors do not grow with
the number of features: the product of two float16 values is exact in float32, what remains is the
rounding of sums within a block. Measured on 2,344 x 25,088 features of VGG16 the largest error of
an entry is 1.5e-7 of it, and the error matrix has a spectral norm of 2e-9 times that of ``G``.
Where it costs next to nothing, products are made in float64 as well.
"""

from __future__ import annotations

import numpy as np

from featx._types import Array, Float32s, Float64s

EXACT_PRODUCTS = 2**33
"""Products of two values up to which everything is done in float64: a fraction of a second."""

_BLOCK_VALUES = 2**23
"""Values of a block of columns: 32 MiB in float32."""

_MIN_COLUMNS = 2048
"""Narrower blocks cost more in adding up than in products."""

_STRIP_ROWS = 256

_HALF_SCALE = np.float32(2.0**112)
"""float16 has its exponent's zero at 15, float32 at 127."""


def is_exact(n: int, m: int, d: int) -> bool:
    """Say whether products of n with m rows of d features are made in float64."""
    return n * m * d <= EXACT_PRODUCTS


def column_blocks(n: int, d: int) -> list[slice]:
    """Cut ``d`` columns for ``n`` rows: 32 MiB of float32 each, but at least 2,048 columns."""
    width = max(_MIN_COLUMNS, _BLOCK_VALUES // max(n, 1))
    return [slice(start, min(start + width, d)) for start in range(0, d, width)]


def add_gram(G: Float64s, X: Array, exact: bool) -> None:
    """Add ``X X^T`` to ``G`` (n, n), in place; ``X`` is (n, d) float16, float32 or float64."""
    n, d = X.shape
    from scipy.linalg import blas  # 0.3 s to import, and extracting needs none

    kind, syrk = (np.float64, blas.dsyrk) if exact else (np.float32, blas.ssyrk)
    total, part = np.zeros((n, n), order="F"), np.zeros((n, n), kind, order="F")
    blocks = column_blocks(n, d)
    memory = np.empty(n * max(c.stop - c.start for c in blocks), kind)  # once: fresh pages are slow
    for columns in blocks:
        block = memory[: n * (columns.stop - columns.start)].reshape(n, -1)
        _fill(block, X[:, columns])
        part = syrk(1.0, block.T, 0.0, part, trans=1, lower=1, overwrite_c=1)
        total += part
    _add_symmetric(G, total.T)


def _add_symmetric(G: Float64s, upper: Float64s) -> None:
    """Add the symmetric matrix whose upper half is that of ``upper``, some rows at a time."""
    for start in range(0, len(G), 256):
        stop = start + 256
        rows = upper[start:stop]
        half = np.triu(rows[:, start:stop])
        G[start:stop, start:stop] += half + np.triu(half, 1).T
        G[start:stop, stop:] += rows[:, stop:]
        G[stop:, start:stop] += rows[:, stop:].T


def add_cross(G: Float64s, X: Array, Y: Array, exact: bool) -> None:
    """Add ``X Y^T`` to ``G`` (n, m), in place."""
    kind = np.float64 if exact else np.float32
    for columns in column_blocks(len(X) + len(Y), X.shape[1]):
        x, y = (as_kind(rows[:, columns], kind) for rows in (X, Y))
        G += x @ y.T


def as_kind(X: Array, kind: type[np.float32] | type[np.float64]) -> Array:
    """Give ``X`` in float32 or float64."""
    if kind is np.float32:
        return single(X)
    return (single(X) if X.dtype == np.float16 else X).astype(np.float64)


def single(X: Array) -> Float32s:
    """Give finite ``X`` (n, d) as contiguous float32."""
    if X.dtype != np.float16:
        return np.ascontiguousarray(X, dtype=np.float32)
    out = np.empty(X.shape, np.float32)
    _fill(out, X)
    return out


def _fill(out: Array, X: Array) -> None:
    """Write finite ``X`` into ``out``, which is float32 or float64.

    float16 is read as integers and its bits moved to where float32 has them: as exact as
    ``astype`` and seven times as fast as NumPy's, which converts value by value.
    """
    if X.dtype != np.float16:
        out[...] = X
        return
    step = max(1, 2**17 // max(X.shape[1], 1))
    for start in range(0, len(X), step):
        strip, halves = out[start : start + step], X[start : start + step].view(np.int16)
        bits = halves.astype(np.int32)  # the sign fills the upper bits
        bits <<= 13
        bits &= np.int32(-0x70002000)  # 0x8FFFE000: sign, exponent, fraction
        np.multiply(bits.view(np.float32), _HALF_SCALE, out=strip)


def unit_gram(G: Float64s) -> Float64s:
    """Give the Gram matrix of the rows divided by their length; a row of zeros stays."""
    length = np.sqrt(np.diag(G))
    length = np.where(length == 0, 1.0, length)
    unit: Float64s = G / np.outer(length, length)
    return unit
