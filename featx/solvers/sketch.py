"""An approximate inverse of ``h X'X + I / C`` from some rows of ``X``, for conjugate gradients.

A few directions carry most of the variance of features, above all their mean where they are not
negative, and conjugate gradients pay for the ratio of variances. A sample of rows shows all
directions where features are few, else the long ones; the others are taken to be as long as the
shortest of these (Frangella, Tropp and Udell 2023, *Randomized Nystroem preconditioning*, equation
1.4, with rows in place of a random sketch). It decides how fast an answer is found, never the
answer, and knows no label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from featx._types import Array, Float32s, Float64s

_MANY_FEATURES = 4096
"""Features from which the directions of a sample of rows are sought, not of all features."""

_CLEAR = 1e-6
"""Share of the longest direction below which one is not told from rounding."""


@dataclass(frozen=True)
class Sketch:
    """The longest directions of features.

    Attributes
    ----------
    V
        (d, l) float32, orthonormal.
    variance
        (l,) falling: mean over rows of the square along each.
    """

    V: Float32s
    variance: Float64s

    def solve(self, R: Array, weight: Float64s, penalty: float) -> Array:
        """Give ``R (weight X'X / m + penalty I)^-1`` for ``R`` (k, d), ``weight`` (k, 1)."""
        Z = R @ self.V
        each = (weight * self.variance + penalty).astype(R.dtype)
        out: Array = (Z / each) @ self.V.T
        if self.V.shape[0] == self.V.shape[1]:
            return out
        left = R - Z @ self.V.T
        left -= (left @ self.V) @ self.V.T  # what rounding left would be divided by the smallest
        out += left / (weight * self.variance[-1] + penalty).astype(R.dtype)
        return out


def sample_rows(d: int) -> int:
    """Give how many rows of ``d`` features to look at: their decomposition takes a second or so."""
    return max(1024, 4 * d) if d <= _MANY_FEATURES else 2048


def make_sketch(X: Array) -> Sketch:
    """Look at a sample of rows (r, d), a column for the intercept included."""
    r, d = X.shape
    A = X.astype(np.float64)
    if d <= min(r, _MANY_FEATURES + 1):
        values, V = eigh(A.T @ A / r, driver="evd", overwrite_a=True, check_finite=False)
        values = np.maximum(values[::-1], _CLEAR**2 * max(values[-1], np.finfo(np.float64).tiny))
        return Sketch(np.ascontiguousarray(V[:, ::-1], dtype=np.float32), values)
    values, U = eigh(A @ A.T / r, driver="evd", overwrite_a=True, check_finite=False)
    kept = min(d, max(r // 2, 1))
    values, U = values[::-1][:kept], U[:, ::-1][:, :kept]
    clear = values > _CLEAR * max(values[0], np.finfo(np.float64).tiny)
    clear[0] = True
    values, U = values[clear], U[:, clear]
    V, _ = np.linalg.qr(A.T @ U)
    return Sketch(V.astype(np.float32), values)
