"""Logistic mappings of predicted quality to the scale of subjective scores.

Quality models are compared after a mapping of their outputs x to the scores y, fitted by least
squares to the very rows that are scored. With 4 parameters (VQEG 2003, *Final report from the Video
Quality Experts Group on the validation of objective models of video quality assessment, phase II*):

``f(x) = b2 + (b1 - b2) / (1 + exp(-(x - b3) / |b4|))``

and with 5 (Sheikh, Sabir and Bovik 2006, *A statistical evaluation of recent full reference image
quality assessment algorithms*, IEEE Trans. Image Processing 15(11)), which holds every straight
line and may be less than monotonic:

``f(x) = b1 (1/2 - 1 / (1 + exp(b2 (x - b3)))) + b4 x + b5``

Written with ``e = 1 / (1 + exp(-s (x - c)))`` the first is ``a + b e`` and the second
``a + b e + h x``. So two parameters alone, slope s and centre c, enter in a curved way, and the
others follow from them (variable projection, Golub and Pereyra 1973): with ' for what a regression
on the constant (and on x) leaves over, ``b = (e'.y') / (e'.e')``, and ``(e'.y')^2 / (e'.e')`` is
what the mapping takes off the sum of squares. Fitting all parameters at once, as is usual, runs
along a valley without an end where the relation is nearly straight, which it is for a good head.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from featx._types import Float64s

SLOPES = (1 / 30, 30.0)
"""Least and most s, per standard deviation of x: beyond lie a straight line and a step."""

_OUTSIDE = 3.0
"""How far c may lie outside the range of x, in its standard deviations."""

_STARTS = tuple(product((0.5, 1.0, 4.0), (0.0, -1.0, 1.0, -3.0, 3.0)))
"""Slopes and centres; customary are those with c = 0 (the mean) and s = 1 or 4."""

_SPREAD = 1e-9
"""Standard deviation, relative to the largest value, up to which values count as constant."""


def fit_mapping(x: Float64s, y: Float64s, parameters: int) -> Float64s:
    """Give ``f(x)`` (m,) of the mapping with 4 or 5 parameters that fits y (m,) best.

    The best of a few slopes and centres is improved by L-BFGS-B.

    Returns
    -------
    ndarray
        All NaN where x or y is constant, or x has no more distinct values than there are
        parameters.
    """
    if len(np.unique(x)) <= parameters or _constant(x) or _constant(y):
        return np.full(len(y), np.nan)
    problem = _Projected.of((x - x.mean()) / x.std(), (y - y.mean()) / y.std(), parameters == 5)
    start = min(_STARTS, key=lambda at: problem.loss(np.array(at))[0])
    bounds = [SLOPES, (problem.x.min() - _OUTSIDE, problem.x.max() + _OUTSIDE)]
    found = minimize(problem.loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(y.mean() + y.std() * problem.value(found.x))


def _constant(x: Float64s) -> bool:
    return bool(x.std() <= _SPREAD * np.abs(x).max())


@dataclass(frozen=True)
class _Projected:
    """The fit of one family as a problem of slope and centre alone.

    Attributes
    ----------
    x
        (m,) with mean 0 and variance 1.
    line
        (m,) what the constant (and x) explain of y.
    rest
        (m,) the rest of y.
    straight
        Whether x is among the terms of the family.
    """

    x: Float64s
    line: Float64s
    rest: Float64s
    straight: bool

    @classmethod
    def of(cls, x: Float64s, y: Float64s, straight: bool) -> _Projected:
        """Take x and y with mean 0 and variance 1."""
        line = (x @ y / len(x)) * x if straight else np.zeros(len(x))
        return cls(x, line, y - line, straight)

    def curve(self, at: Float64s) -> tuple[Float64s, Float64s]:
        """Give ``e`` at slope and centre ``at``, and e'."""
        e: Float64s = expit(at[0] * (self.x - at[1]))
        left = e - e.mean()
        return e, left - (self.x @ left / len(left)) * self.x if self.straight else left

    def loss(self, at: Float64s) -> tuple[float, Float64s]:
        """Give the mean squared error at slope and centre ``at``, and its gradient.

        The gradient of ``-(e'.y')^2 / (e'.e')`` is ``-2 b de.(y' - b e')``.
        """
        e, left = self.curve(at)
        b = self._scale(left)
        error = self.rest - b * left
        bell = e * (1 - e) * error
        slope = np.array([(self.x - at[1]) @ bell, -at[0] * bell.sum()])
        return float(error @ error) / len(e), -2 * b * slope / len(e)

    def value(self, at: Float64s) -> Float64s:
        """Give the mapped x (m,) at slope and centre ``at``."""
        _, left = self.curve(at)
        return self.line + self._scale(left) * left

    def _scale(self, left: Float64s) -> float:
        """Give b; 0 where nothing but rounding is left of e."""
        square = float(left @ left)
        return float(left @ self.rest) / square if square > 1e-24 * len(left) else 0.0
