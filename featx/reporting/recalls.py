"""How well each class is recognised, with an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

if TYPE_CHECKING:
    from featx._types import Float64s, Ints


@dataclass(frozen=True, eq=False)
class Recalls:
    """(k,) numbers of each class; NaN where it has no image, or was never said.

    Attributes
    ----------
    recall, low, high
        Share of the class's images that were recognised, and the 95 % interval of Wilson (1927,
        JASA 22), which takes images as independent.
    precision
        Share of the images that were called so which are of the class.
    f1
        Harmonic mean of the two.
    """

    recall: Float64s
    low: Float64s
    high: Float64s
    precision: Float64s
    f1: Float64s


def recalls(counts: Ints) -> Recalls:
    """Compute them from a (k, k) confusion matrix, labels in its rows."""
    right, of_label, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision, f1 = right / of_label, right / said, 2 * right / (of_label + said)
    ends = [_wilson(int(k), int(n)) for k, n in zip(right, of_label, strict=True)]
    low, high = np.array(ends, dtype=np.float64).reshape(-1, 2).T
    return Recalls(recall, low, high, precision, f1)


def _wilson(k: int, n: int) -> tuple[float, float]:
    if n == 0:
        return np.nan, np.nan
    ends = binomtest(k, n).proportion_ci(method="wilson")
    return float(ends.low), float(ends.high)
