"""Tell whether the difference between two heads, tested on the same rows, is more than chance.

Each test gives a `Difference`: what was seen, a 95 % interval around it, and a p value. `holm`
makes the p values of several differences safe to be read together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from featx._types import Array, Float64s, Ints

_LEVEL = 0.95
_NO_SPREAD = 1e-9
"""Standard deviation, as a share of the largest difference, that is rounding and no spread."""
_RESAMPLES = 5000
_LEAST_RESAMPLES = 1000
_ROW_BUDGET = 20_000_000
_CHUNK = 100
"""Draws at a time: one for each of a few hundred rows stays in the processor's cache."""


@dataclass(frozen=True)
class Difference:
    """What one head has more than another, and how sure that is.

    Attributes
    ----------
    value
        In the units of the metric.
    low, high
        Ends of the 95 % interval of this difference alone; NaN where there is none.
    p
        Two-sided, of this difference alone; NaN where the test cannot tell.
    test
        Its name.
    n
        What was counted: splits, rows, or groups of rows.
    """

    value: float
    low: float
    high: float
    p: float
    test: str
    n: int


def corrected_t(differences: Float64s, ratio: float) -> Difference:
    """Test the differences of J splits whose training sets overlap.

    The splits share training rows, so the variance ``s^2`` of their differences is too small for a
    plain t-test, which then finds differences where there are none. The corrected resampled t-test
    (Nadeau and Bengio 2003, *Inference for the generalization error*, Machine Learning 52) puts the
    share of test rows in::

        t = mean / sqrt((1 / J + n_test / n_train) s^2),    J - 1 degrees of freedom

    For k folds drawn anew r times J is k r (Bouckaert and Frank 2004, *Evaluating the replicability
    of significance tests for comparing learning algorithms*).

    Parameters
    ----------
    differences
        (J,) of the metric, one a split, J at least 2.
    ratio
        ``n_test / n_train``.
    """
    d = np.asarray(differences, dtype=np.float64)
    J, mean, s = len(d), float(d.mean()), float(d.std(ddof=1))
    name = "corrected resampled t-test"
    if s <= _NO_SPREAD * float(np.abs(d).max()):
        # Without spread t is infinite or 0/0, which would claim certainty from a handful of splits.
        return Difference(mean, np.nan, np.nan, np.nan if mean else 1.0, name, J)
    error = np.sqrt(1 / J + ratio) * s
    p = float(2 * stats.t.sf(abs(mean) / error, J - 1))
    half = float(stats.t.ppf((1 + _LEVEL) / 2, J - 1) * error)
    return Difference(mean, mean - half, mean + half, p, name, J)


def mcnemar(first: Array, second: Array) -> Difference:
    """Test the difference of two accuracies on the same rows, each row alone.

    McNemar's test, exact: of the rows that one head alone gets right, each would come from either
    head with probability 1/2 (a binomial test). The interval is that of `paired_proportions`.

    Parameters
    ----------
    first, second
        (m,) bool: whether each head is right on a row.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    table = [[int(np.sum((a == x) & (b == y))) for y in (True, False)] for x in (True, False)]
    only_a, only_b = table[0][1], table[1][0]
    p = float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    low, high = paired_proportions(table)
    return Difference((only_a - only_b) / len(a), low, high, p, "McNemar's exact test", len(a))


def paired_proportions(table: list[list[int]]) -> tuple[float, float]:
    """Give the 95 % interval of the difference of two paired proportions.

    Method 10 of Newcombe (1998, *Improved confidence intervals for the difference between binomial
    proportions based on paired data*, Statistics in Medicine 17)::

        low  = D - sqrt((p1 - l1)^2 + (u2 - p2)^2 - 2 phi (p1 - l1) (u2 - p2))
        high = D + sqrt((u1 - p1)^2 + (p2 - l2)^2 - 2 phi (u1 - p1) (p2 - l2))

    with ``D = p1 - p2``, the score intervals ``(l, u)`` of Wilson, and the correlation
    ``phi = C / sqrt(A)`` of the table, where ``A`` is the product of its four sums and ``C`` is
    ``ef - gh`` brought ``n / 2`` nearer to 0, but not past it, where it is positive. Unlike that of
    a bootstrap it has a width even where both heads are right on the same rows.

    Parameters
    ----------
    table
        Rows that ``[[both, the first alone], [the second alone, neither]]`` get right.
    """
    (both, one), (other, neither) = table
    n = both + one + other + neither
    p1, p2 = (both + one) / n, (both + other) / n
    (l1, u1), (l2, u2) = (_wilson(both + count, n) for count in (one, other))
    A = (both + one) * (other + neither) * (both + other) * (one + neither)
    product = both * neither - one * other
    C = min(product, 0) + max(product - n / 2, 0)
    phi = C / np.sqrt(A) if A else 0.0
    below, above = (p1 - l1, u2 - p2), (u1 - p1, p2 - l2)
    return p1 - p2 - _together(*below, phi), p1 - p2 + _together(*above, phi)


def _wilson(successes: int, n: int) -> tuple[float, float]:
    found = stats.binomtest(successes, n).proportion_ci(_LEVEL, method="wilson")
    return float(found.low), float(found.high)


def _together(x: float, y: float, phi: float) -> float:
    return float(np.sqrt(max(x**2 + y**2 - 2 * phi * x * y, 0.0)))


def bootstrap(difference: Callable[[Float64s], Float64s], unit: Ints, seed: int = 0) -> Difference:
    """Test a difference of any metric on the same rows, by drawing groups of rows anew.

    Groups are drawn with replacement, the same ones for both heads, and the difference is computed
    anew. The interval is that of the percentiles (Efron and Tibshirani 1993, *An Introduction to
    the Bootstrap*, chapter 13), and p is the level at which it would begin to hold 0:
    ``2 min(1 + #(d <= 0), 1 + #(d >= 0)) / (B + 1)`` of B draws.

    Parameters
    ----------
    difference
        Gives (b,) differences for weights (b, m), which say how often each row was drawn.
    unit
        (m,) numbers 0..u-1: the group of each row.
    """
    m, u = len(unit), int(unit.max()) + 1
    seen = float(difference(np.ones((1, m)))[0])
    B = int(np.clip(_ROW_BUDGET // m, _LEAST_RESAMPLES, _RESAMPLES))
    rng = np.random.default_rng(seed)
    sizes = [min(_CHUNK, B - start) for start in range(0, B, _CHUNK)]
    drawn = (rng.multinomial(u, np.full(u, 1 / u), size=b)[:, unit] for b in sizes)
    d = np.concatenate([difference(counts.astype(np.float64)) for counts in drawn])
    d = d[~np.isnan(d)]
    name = "paired bootstrap"
    if np.isnan(seen) or not len(d):
        return Difference(seen, np.nan, np.nan, np.nan, name, u)
    low, high = np.percentile(d, [100 * (1 - _LEVEL) / 2, 100 * (1 + _LEVEL) / 2])
    tail = 1 + min(int(np.sum(d <= 0)), int(np.sum(d >= 0)))
    return Difference(seen, float(low), float(high), min(1.0, 2 * tail / (len(d) + 1)), name, u)


def holm(p: Float64s) -> Float64s:
    """Adjust (m,) p values that are read together; NaN is no test, and stays.

    With them ordered, ``p_i <- max over j <= i of min(1, (m - j + 1) p_j)`` (Holm 1979, *A simple
    sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6). However
    they depend on each other, the chance of one false difference or more stays below the level.
    """
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: int(np.sum(~np.isnan(p)))]  # NaN comes last
    m = len(order)
    steps = np.minimum(1.0, (m - np.arange(m)) * p[order])
    adjusted[order] = np.maximum.accumulate(steps) if m else steps
    return adjusted
