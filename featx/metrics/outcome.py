"""What a metric is, and what it is taken of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featx._types import Array, Float64s
from featx.mapping import fit_mapping
from featx.metrics.ranking import Ranking


@dataclass(frozen=True)
class Outcome:
    """What was true and what was predicted, for m test rows.

    Attributes
    ----------
    y, prediction
        (m,) class numbers 0..k-1, or float64 values.
    scores
        (m, k) probabilities or decision values; None for regression.
    """

    y: Array
    prediction: Array
    scores: Float64s | None = None

    @property
    def k(self) -> int:
        """Number of classes."""
        return 0 if self.scores is None else self.scores.shape[1]

    @cached_property
    def rankings(self) -> list[Ranking]:
        """Rows by falling score of each class against the rest; of the last class alone of two."""
        if self.scores is None:
            raise ValueError("this metric ranks rows by scores, and the outcome has none")
        classes = [1] if self.k == 2 else range(self.k)
        return [Ranking.of(self.scores[:, c], self.y == c) for c in classes]

    @cached_property
    def mapped4(self) -> Float64s:
        """(m,) predictions after the 4-parameter logistic mapping; NaN where there is none."""
        return fit_mapping(self.prediction, self.y, 4)

    @cached_property
    def mapped5(self) -> Float64s:
        """(m,) predictions after the 5-parameter logistic mapping; NaN where there is none."""
        return fit_mapping(self.prediction, self.y, 5)


@dataclass(frozen=True)
class Metric:
    """A named metric.

    Attributes
    ----------
    undefined
        Why there is no value where it is NaN.
    least, most
        No value lies outside these.
    is_share
        It is a share of the rows, each of which is right or wrong.
    ordered, probabilities
        Defined only for classes that are numbers; only for probabilities.
    same_units
        Defined only for predictions in the units of the target.
    max_resampled
        Most rows of a split for which resampling is worth its time.
    """

    name: str
    function: Callable[[Outcome, Float64s], Float64s]
    greater_is_better: bool
    undefined: str
    least: float = 0.0
    most: float = 1.0
    is_share: bool = False
    ordered: bool = False
    probabilities: bool = False
    same_units: bool = False
    max_resampled: int | None = None

    def __call__(self, outcome: Outcome, W: Float64s) -> Float64s:
        """Give (b,) values for weights ``W`` (b, m)."""
        return self.function(outcome, W)


def ones(outcome: Outcome) -> Float64s:
    """Give the weights (1, m) that count every row once."""
    return np.ones((1, len(outcome.y)))


def ratio(top: Float64s, bottom: Float64s) -> Float64s:
    """Divide, NaN where the divisor is 0."""
    out = np.full(np.broadcast(top, bottom).shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom != 0)
    return out


def mean_defined(values: Float64s) -> Float64s:
    """Give the mean over the last axis of what is not NaN; NaN where nothing is left."""
    there = ~np.isnan(values)
    total: Float64s = np.where(there, values, 0.0).sum(axis=-1)
    return ratio(total, there.sum(axis=-1).astype(np.float64))


def mean(W: Float64s, values: Float64s) -> Float64s:
    """Give the (b,) weighted means of ``values`` (m,)."""
    return ratio(W @ values, W.sum(axis=1))
