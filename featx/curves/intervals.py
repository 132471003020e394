"""Intervals of the points of a learning curve, and of what more labels give.

Where there are several splits, both are the corrected resampled t (`featx.scores`,
`featx.paired`) over one value a split, the mean of its draws. It takes the share of test rows from
the split before it is cut, for small training sets too, whose overlap is less: it is wide rather
than narrow there.

With a single split there is a bootstrap (Efron and Tibshirani 1993, *An Introduction to the
Bootstrap*): groups of test rows are drawn with replacement, the same for all sizes, and so are the
draws of each size. Heads are not refitted, so for a size that is drawn once it speaks of its one
training set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from featx._types import Float64s
from featx.evaluate import FoldResult, Setup
from featx.metrics import Outcome, mean_defined, ratio
from featx.paired import Difference, corrected_t
from featx.scores import corrected_t as corrected_interval
from featx.scores import outcome_of, score_splits

_RESAMPLES = 1000
_LEAST_RESAMPLES = 200
_ROW_BUDGET = 5_000_000

Results: TypeAlias = Sequence[Sequence[FoldResult]]
"""Of one size: the folds of each draw."""
Ends: TypeAlias = tuple[float, float]


def intervals(setup: Setup, sizes: Sequence[Results]) -> tuple[list[Ends], list[Difference]]:
    """Give, one a size, the ends of the 95 % interval, and what the last size has more.

    Differences are paired by test rows, and in the metric's own sign. What cannot be given is NaN.
    """
    if len(setup.plan.folds) == 1:
        return _of_one_split(setup, sizes)
    metric, share = setup.metrics[0], _share(setup)
    each = [mean_defined(values_of(results, metric.name)) for results in sizes]
    ends = [_interval(values, share, metric.least, metric.most) for values in each]
    return ends, [_paired(each[-1] - values, share) for values in each]


def values_of(results: Results, name: str) -> Float64s:
    """Give the (folds, draws) values of a size."""
    return np.array([[fold.metrics[name] for fold in folds] for folds in results]).T


def _share(setup: Setup) -> float:
    """Give the mean of test rows to training rows, before these are cut."""
    return float(np.mean([len(fold.test) / len(fold.train) for fold in setup.plan.folds]))


def _interval(values: Float64s, share: float, least: float, most: float) -> Ends:
    there = values[~np.isnan(values)]
    if len(there) < 2:
        return np.nan, np.nan
    low, high = np.clip(corrected_interval(there, share), least, most).tolist()
    return low, high


def _paired(differences: Float64s, share: float) -> Difference:
    there = differences[~np.isnan(differences)]
    if len(there) > 1:
        return corrected_t(there, share)
    value = float(there.mean()) if len(there) else np.nan
    return Difference(value, np.nan, np.nan, np.nan, "", len(there))


def _of_one_split(setup: Setup, sizes: Sequence[Results]) -> tuple[list[Ends], list[Difference]]:
    test, rng = setup.plan.folds[0].test, np.random.default_rng(setup.spec.seed)
    unit = np.unique(setup.rows.units[test], return_inverse=True)[1]
    u, limit = int(unit.max()) + 1, setup.metrics[0].max_resampled
    B = int(np.clip(_ROW_BUDGET // len(test), _LEAST_RESAMPLES, _RESAMPLES))
    B = B if limit is None or len(test) <= limit else 0
    drawn = rng.multinomial(u, np.full(u, 1 / u), size=B)
    W = np.vstack([np.ones((1, len(test))), drawn[:, unit]])
    each = [_resampled(setup, results, W, rng) for results in sizes]
    ends = [
        _as_a_fit(setup, results) if len(results) == 1 else _with_width(_percentiles(values))
        for results, values in zip(sizes, each, strict=True)
    ]
    gains = [each[-1] - values for values in each]
    return ends, [
        Difference(float(gain[0]), *_percentiles(gain), np.nan, "paired bootstrap", u)
        for gain in gains
    ]


def _resampled(setup: Setup, results: Results, W: Float64s, rng: np.random.Generator) -> Float64s:
    """Give the mean over draws as it was seen, and (B,) for other rows of ``W`` and other draws."""
    metric, outcomes = setup.metrics[0], _outcomes(setup, results)
    values = np.stack([metric(outcome, W) for outcome in outcomes], axis=1)
    D = len(outcomes)
    times = np.vstack([np.ones((1, D)), rng.multinomial(D, np.full(D, 1 / D), size=len(W) - 1)])
    times = np.where(np.isnan(values), 0.0, times)
    return ratio((times * np.nan_to_num(values)).sum(axis=1), times.sum(axis=1))


def _percentiles(values: Float64s) -> Ends:
    """Read the resamples that come after what was seen."""
    resampled = values[1:][~np.isnan(values[1:])]
    if not len(resampled):
        return np.nan, np.nan
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)


def _with_width(ends: Ends) -> Ends:
    """Give none where all resamples score the same: see `featx.scores`."""
    return ends if ends[0] < ends[1] else (np.nan, np.nan)


def _as_a_fit(setup: Setup, results: Results) -> Ends:
    """Give the interval that `featx.fit` gives, from the same resamples."""
    score = score_splits(
        _outcomes(setup, results),
        [setup.plan.folds[0].test],
        setup.metrics,
        groups=setup.rows.groups,
        seed=setup.spec.seed,
    )[setup.metrics[0].name]
    return score.low, score.high


def _outcomes(setup: Setup, results: Results) -> list[Outcome]:
    """Give what came out for the test rows of a single split, one a draw."""
    y, classes = setup.target.values, setup.target.classes
    truth = y if classes is None else classes[y]
    folds = [draw[0] for draw in results]
    return [outcome_of(truth[f.test], f.prediction, f.scores, classes) for f in folds]
