"""Products with a centred ``K``, for solvers whose unknowns are coefficients of rows.

``K_c = P K P`` with ``P = I - 1 1' / m`` where there is an intercept, and ``K`` itself where there
is none. A search for coefficients takes its scalar products in ``N = K_c + sigma 1 1' / m``: the
place that centring leaves empty stands for the intercept. Without one sigma is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import lapack, solve_triangular

from featx._types import Array, Float32s, Float64s, Ints

_DEFINITE = 32
"""Smallest eigenvalue, in float32 roundings of ``|N|_F``, with which float32 is good enough."""


class Metric(Protocol):
    """Products of coefficients (k, m) with the inner products of rows."""

    @property
    def sigma(self) -> float:
        """What a constant is multiplied with."""

    def times(self, B: Float64s) -> Float64s:
        """Give ``B K_c`` (k, m), where the rows of ``B`` add up to 0, or there is no intercept."""

    def square(self, B: Float64s) -> float:
        """Give ``tr(B K_c B')``."""

    def search(self, B: Array) -> Array:
        """Give ``B N``, fast and about right."""

    def start(self, B: Float64s) -> Array:
        """Give a copy of ``B`` in the type of `search`."""

    def beta(self, B: Float64s) -> Float64s:
        """Give coefficients of the same weights, the smaller ones where there are several."""


@dataclass(frozen=True)
class Whole:
    """All rows are independent: ``K`` (m, m) float64 and ``N`` (m, m) float32."""

    K: Float64s
    N: Float32s
    sigma: float

    def times(self, B: Float64s) -> Float64s:
        """See `Metric`."""
        return centred(B @ self.K, self.sigma)

    def square(self, B: Float64s) -> float:
        """See `Metric`."""
        B = centred(B, self.sigma)
        return float(np.vdot(B, B @ self.K))

    def search(self, B: Array) -> Array:
        """See `Metric`."""
        return np.asarray(B @ self.N)

    def start(self, B: Float64s) -> Array:
        """See `Metric`."""
        return B.astype(np.float32)

    def beta(self, B: Float64s) -> Float64s:
        """See `Metric`."""
        return B


@dataclass(frozen=True)
class Spanned:
    """Some rows span all others, as where rows repeat or features are few.

    Coefficients then have a part that adds nothing to weights and may be as large as all else. To
    float32 products it is noise; those with ``Z`` do not see it, and with few columns cost less.

    Attributes
    ----------
    Z
        (m, r) ``K = Z Z'`` but for noise, then centred.
    pivots, L
        (r,) rows that span all others, and ``Z[pivots]`` before it was centred: a lower triangle.
    """

    Z: Float64s
    pivots: Ints
    L: Float64s
    sigma: float

    def times(self, B: Float64s) -> Float64s:
        """See `Metric`."""
        return np.asarray(B @ self.Z @ self.Z.T)

    def square(self, B: Float64s) -> float:
        """See `Metric`."""
        return float(np.linalg.norm(B @ self.Z) ** 2)

    def search(self, B: Array) -> Array:
        """See `Metric`."""
        return np.asarray(self.times(B) + self.sigma * B.mean(axis=1, keepdims=True))

    def start(self, B: Float64s) -> Array:
        """See `Metric`."""
        return B.copy()

    def beta(self, B: Float64s) -> Float64s:
        """See `Metric`."""
        out = np.zeros_like(B)
        out[:, self.pivots] = solve_triangular(self.L, (B @ self.Z).T, lower=True, trans="T").T
        return out


def make_metric(K: Array, fit_intercept: bool) -> Metric:
    """Choose between the two for ``K`` (m, m), float32 or float64.

    Eigenvalues below ``(eps(K) + m eps(float64)) |K|_F`` may be noise, as `ridge` says; a row adds
    to the span of others where more than that is left of it.
    """
    m, wide = len(K), K.astype(np.float64, copy=False)
    half = wide.mean(axis=0) if fit_intercept else np.zeros(m)
    half -= half.mean() / 2
    N = wide - half
    N -= half[:, None]
    noise = (float(np.finfo(K.dtype).eps) + m * float(np.finfo(np.float64).eps)) * float(
        np.linalg.norm(wide)
    )
    size = float(np.trace(N)) / m
    sigma = (size if size > noise else 1.0) if fit_intercept else 0.0
    N += sigma / m
    single = N.astype(np.float32)
    if _is_definite(single):
        return Whole(wide, single, sigma)
    Z, pivots = _pivoted(wide, noise)
    L = Z[pivots]
    if fit_intercept:
        Z = Z - Z.mean(axis=0) if size > noise else np.zeros_like(Z)
    return Spanned(Z, pivots, L, sigma)


def centred(B: Array, sigma: float) -> Array:
    """Take the mean off each row of ``B`` (k, m), unless ``sigma`` is 0."""
    return B - B.mean(axis=1, keepdims=True) if sigma else B


def _is_definite(N: Float32s) -> bool:
    """Say whether every eigenvalue is well above what float32 resolves."""
    shifted = N.copy()
    least = _DEFINITE * np.finfo(np.float32).eps * np.linalg.norm(N)
    shifted[np.diag_indices_from(shifted)] -= least
    return bool(lapack.spotrf(shifted.T, overwrite_a=1)[1] == 0)


def _pivoted(K: Float64s, noise: float) -> tuple[Float64s, Ints]:
    """Give ``Z`` (m, r), and r of its rows that are a lower triangle.

    By the pivoted Cholesky factorisation (Higham 2002, *Accuracy and stability of numerical
    algorithms*, section 10.3).
    """
    packed, order, rank, _ = lapack.dpstrf(K, lower=1, tol=noise)
    pivots = order.astype(np.int64) - 1
    Z = np.empty((len(K), rank))
    Z[pivots] = np.tril(packed)[:, :rank]
    return Z, pivots[:rank]
