"""Metrics of numbers, those of image-quality assessment among them.

PLCC and RMSE of quality models are customarily taken after a logistic mapping of the predictions to
the scale of the scores (`featx.mapping`), which is fitted to the very test rows. So with 5
parameters they are never worse than those of the best straight line, and a falling mapping turns
predictions around that are the wrong way round, where SROCC is below 0. Resamples keep the mapping
of all test rows of a split: at a least-squares fit the error does not change with the parameters to
first order, so fitting it anew would hardly change a resample's value.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from featx._types import Float64s, Ints
from featx.metrics.outcome import Outcome, mean, ratio
from featx.metrics.ranking import tie_starts

MOST_PAIRED = 5000
"""Rows up to which all pairs are looked at, and Kendall's correlation is resampled."""

_ROUNDING = 1e-13
"""Variation, as a share of the largest value, that is none."""


def mae(o: Outcome, W: Float64s) -> Float64s:
    """Mean absolute error."""
    return mean(W, np.abs(o.y - o.prediction))


def rmse(o: Outcome, W: Float64s) -> Float64s:
    """Root of the mean squared error."""
    return np.sqrt(mean(W, (o.y - o.prediction) ** 2))


def r2(o: Outcome, W: Float64s) -> Float64s:
    """``1 - sum (y - p)^2 / sum (y - mean y)^2``."""
    spread = _variance(W, o.y)
    return 1 - ratio(mean(W, (o.y - o.prediction) ** 2), spread)


def _variance(W: Float64s, x: Float64s) -> Float64s:
    """Weighted variance (b,) of ``x`` (m,), exactly 0 where it is lost in rounding."""
    centred = x - x.mean()
    square = centred**2
    variance = mean(W, square) - mean(W, centred) ** 2
    floor = 1e-12 * square.mean() + (1e-13 * np.abs(x).max()) ** 2
    return np.where(variance <= floor, 0.0, variance)


def plcc(o: Outcome, W: Float64s) -> Float64s:
    """Pearson's linear correlation."""
    x, p = o.y - o.y.mean(), o.prediction - o.prediction.mean()
    covariance = mean(W, x * p) - mean(W, x) * mean(W, p)
    spread = _variance(W, o.y) * _variance(W, o.prediction)
    return ratio(covariance, np.sqrt(spread))


def srocc(o: Outcome, W: Float64s) -> Float64s:
    """Spearman's rank correlation: Pearson's of the mean ranks."""
    by_row = np.ascontiguousarray(W.T)
    centre = (by_row.sum(axis=0) + 1) / 2
    x, p = (_ranks(_steady(v), by_row) - centre for v in (o.y, o.prediction))
    weighted = by_row * x
    spread = (weighted * x).sum(axis=0) * (by_row * p**2).sum(axis=0)
    return ratio((weighted * p).sum(axis=0), np.sqrt(spread))


def _steady(x: Float64s) -> Float64s:
    """Give ``x`` (m,), all equal where it varies by no more than rounding: that has no ranks."""
    return np.zeros_like(x) if np.ptp(x) <= _ROUNDING * np.abs(x).max() else x


def _ranks(x: Float64s, by_row: Float64s) -> Float64s:
    """Mean rank (m, b) of each row in the resamples that the weights (m, b) describe."""
    group = np.unique(x, return_inverse=True)[1]
    weight = _grouped(x, by_row)
    ranks: Float64s = (np.cumsum(weight, axis=0) - (weight - 1) / 2)[group]
    return ranks


def _grouped(x: Float64s, by_row: Float64s) -> Float64s:
    """Weight (g, b) of each distinct value of ``x``, rising."""
    order = np.argsort(x, kind="stable")
    weight: Float64s = np.add.reduceat(by_row[order], tie_starts(x[order]), axis=0)
    return weight


def krocc(o: Outcome, W: Float64s) -> Float64s:
    """Kendall's tau-b: (concordant - discordant) / sqrt(pairs untied in y x pairs untied in p)."""
    o = Outcome(_steady(o.y), _steady(o.prediction))
    if len(o.y) > MOST_PAIRED:
        return np.array([_tau(o, weights) for weights in W.astype(np.int64)])
    by_row = np.ascontiguousarray(W.T)
    untied = [
        (by_row.sum(axis=0) ** 2 - (_grouped(x, by_row) ** 2).sum(axis=0)) / 2
        for x in (o.y, o.prediction)
    ]
    return ratio(_concordance(o.y, o.prediction, W), np.sqrt(untied[0] * untied[1]))


def _tau(o: Outcome, counts: Ints) -> float:
    """Sort and count inversions: slower than pairs for many resamples, faster for many rows."""
    y, p = np.repeat(o.y, counts), np.repeat(o.prediction, counts)
    return float(stats.kendalltau(y, p).statistic)


def _concordance(x: Float64s, y: Float64s, W: Float64s) -> Float64s:
    """``sum_(i<j) w_i w_j sign(x_i - x_j) sign(y_i - y_j)``, 512 columns of the pairs at a time."""
    small, total = W.astype(np.float32), np.zeros(len(W))
    p, q = (np.unique(v, return_inverse=True)[1].astype(np.float32) for v in (x, y))
    for start in range(0, len(x), 512):
        at = slice(start, start + 512)
        agree = np.sign(p[:, None] - p[at]) * np.sign(q[:, None] - q[at])
        total += np.einsum("bi,bi->b", small @ agree, W[:, at])
    return total / 2


def plcc_logistic4(o: Outcome, W: Float64s) -> Float64s:
    """Pearson's correlation after the 4-parameter logistic mapping."""
    return plcc(Outcome(o.y, o.mapped4), W)


def plcc_logistic5(o: Outcome, W: Float64s) -> Float64s:
    """Pearson's correlation after the 5-parameter logistic mapping."""
    return plcc(Outcome(o.y, o.mapped5), W)


def rmse_logistic4(o: Outcome, W: Float64s) -> Float64s:
    """Root of the mean squared error after the 4-parameter logistic mapping."""
    return rmse(Outcome(o.y, o.mapped4), W)


def rmse_logistic5(o: Outcome, W: Float64s) -> Float64s:
    """Root of the mean squared error after the 5-parameter logistic mapping."""
    return rmse(Outcome(o.y, o.mapped5), W)
