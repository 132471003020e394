"""Coordinates for a network, whose steps depend on the axes.

A network gets the training rows centred and divided by one number, and where there are more
features than rows on their principal axes, all of which is folded into its first layer afterwards.
So it is scikit-learn's network on those coordinates, not the one that scikit-learn would train on
the raw features, and what a test row has outside the axes does not reach it.

With the training rows centred, ``K_c = H K H = U L U^T``, the coordinates are ``U L^(1/2)``, those
of other rows ``K_c(t, m) U L^(-1/2)``, and the axes themselves ``X^T H U L^(-1/2)`` (Schoelkopf,
Smola and Mueller 1998, *Nonlinear component analysis as a kernel eigenvalue problem*).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from featx._types import Float64s
from featx.errors import UsageError


@dataclass(frozen=True)
class Axes:
    """What turns rows into coordinates, and weights of coordinates into weights of rows.

    Attributes
    ----------
    Z, T
        Training rows (m, q) and test rows (t, q).
    back
        (m, q) weights of coordinates times ``back^T`` are weights of training rows.
    inner
        (m, m) products of the training rows.
    """

    Z: Float64s
    T: Float64s
    back: Float64s
    inner: Float64s

    def lift(self, weights: Float64s) -> tuple[Float64s, Float64s]:
        """Give (k, m) weights of rows and (k,) offsets for ``weights`` (q, k) of coordinates.

        The offset is what centring takes from each output.
        """
        beta = (self.back @ weights).T
        return beta, -(beta @ self.inner).mean(axis=1)


def principal_axes(inner: Float64s, cross: Float64s, components: int) -> Axes:
    """Turn training rows to their principal axes.

    Parameters
    ----------
    inner, cross
        (m, m) products of the training rows, (m, t) with test rows.
    components
        Axes to keep, the longest.

    Raises
    ------
    UsageError
        If the training rows are all the same.
    """
    m = len(inner)
    column = inner.mean(axis=0)
    centred = inner - column - column[:, None] + column.mean()
    wanted = (m - components, m - 1) if components < m else None
    values, U = eigh(centred, subset_by_index=wanted, check_finite=False)
    kept = values > values[-1] * m * np.finfo(np.float64).eps
    if not values[-1] > 0:
        raise UsageError("every feature is constant in the training rows: nothing to learn")
    values, U = values[kept][::-1], U[:, kept][:, ::-1]
    root, size = np.sqrt(values), np.sqrt(values.sum() / (m * len(values)))
    U *= np.sign(U[np.abs(U).argmax(axis=0), np.arange(len(values))])  # a sign of their own
    back = U / root
    back -= back.mean(axis=0)
    T = (cross - column[:, None]).T @ back
    return Axes(U * (root / size), T / size, back / size, inner)


@dataclass(frozen=True)
class Centred:
    """``(x - mean) / size``: the features as they are, centred, in one unit for all."""

    mean: Float64s
    size: float

    @classmethod
    def of(cls, Z: Float64s) -> Centred:
        """Take both from training rows (m, d): mean square 1 a feature."""
        mean = Z.mean(axis=0)
        square = float(((Z - mean) ** 2).mean())
        return cls(mean, np.sqrt(square) if square > 0 else 1.0)

    def apply(self, X: Float64s) -> Float64s:
        """Centre and divide rows (m, d)."""
        out: Float64s = (X - self.mean) / self.size
        return out

    def fold(self, weights: Float64s) -> tuple[Float64s, Float64s]:
        """Give weights (d, k) of features and offsets (k,) for ``weights`` (d, k)."""
        own = weights / self.size
        return own, -(self.mean @ own)
