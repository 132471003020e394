"""What a solver gives back: a head in terms of its training rows, or of features."""

from __future__ import annotations

from dataclasses import dataclass

from featx._types import Array, Float64s


@dataclass(frozen=True)
class Solution:
    """Weights ``w = beta X`` over the training rows ``X`` (m, d), and how well they solve it.

    Attributes
    ----------
    beta
        (k, m) dual coefficients: a row for each class, or one for two classes or a regression.
    intercept
        (k,) float64.
    reached
        What the solver got down to, measured after it stopped: see ``measure``.
    measure
        ``duality gap`` or ``gradient norm`` or ``residual``; each relative to the size of the
        problem, as its solver says.
    n_iter
        Sweeps or steps.
    converged
        Whether the tolerance was met within the limit of iterations.
    """

    beta: Float64s
    intercept: Float64s
    reached: float
    measure: str
    n_iter: int
    converged: bool

    def decide(self, products: Array) -> Float64s:
        """Give (t, k) decision values from the inner ``products`` (m, t) with the training rows."""
        values: Float64s = (self.beta @ products).T + self.intercept
        return values


@dataclass(frozen=True)
class Linear:
    """Weights of features, and how well they solve it; see `Solution` for the rest.

    Attributes
    ----------
    coef
        (k, d) float64.
    intercept
        (k,) float64.
    """

    coef: Float64s
    intercept: Float64s
    reached: float
    measure: str
    n_iter: int
    converged: bool
