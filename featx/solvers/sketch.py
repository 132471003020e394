"""An approximate inverse of ``h X'X + I / C`` from some rows of ``X``, for conjugate gradients.

A few directions carry most of the variance of features, above all their mean where they are not
negative, and conjugate gradients pay for the ratio of variances. A sample of rows shows the long
directions; the others are taken to be as long as the shortest of these (Frangella, Tropp and Udell
2023, *Randomized Nystroem preconditioning*, equation 1.4, with rows in place of a random sketch).
It decides how fast an answer is found, never the answer, and knows no label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx._types import Array, Float32s, Float64s

SAMPLE_ROWS = 1024
"""Rows that are looked at: their decomposition takes about a second."""

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
        rest = (weight * self.variance[-1] + penalty).astype(R.dtype)
        each = (weight * self.variance + penalty).astype(R.dtype)
        out: Array = R / rest + (Z * (1 / each - 1 / rest)) @ self.V.T
        return out


def make_sketch(X: Array) -> Sketch:
    """Look at a sample of rows (r, d), a column for the intercept included."""
    r, d = X.shape
    A = X.astype(np.float64)
    values, U = np.linalg.eigh(A @ A.T / r)
    kept = min(d, max(r // 2, 1))
    values, U = values[::-1][:kept], U[:, ::-1][:, :kept]
    clear = values > _CLEAR * max(values[0], np.finfo(np.float64).tiny)
    clear[0] = True
    values, U = values[clear], U[:, clear]
    V, _ = np.linalg.qr(A.T @ U)
    return Sketch(V.astype(np.float32), values)
