"""Put what the fits gave into a `LearningCurve`.

Where there are several splits, the interval of a point is the corrected resampled t of
`featx.scores` over one value a split, the mean of its draws. It takes the share of test rows from
the split that is cut, for small training sets too, whose overlap is less: it is wide rather than
narrow there. With a single split it is the bootstrap of the test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from featx._types import Float64s
from featx.curves.cuts import Cut, Size
from featx.curves.result import LearningCurve
from featx.curves.words import Point, verdict
from featx.evaluate import FoldResult, Setup
from featx.metrics import Outcome, mean_defined
from featx.paired import Difference, corrected_t
from featx.scores import Score, outcome_of, score_splits
from featx.scores import corrected_t as corrected_interval

_RESAMPLES = 1000
_LEAST_RESAMPLES = 200
_ROW_BUDGET = 5_000_000

Results = Sequence[Sequence[FoldResult]]
"""Of one size: folds of each draw."""


def describe(
    setup: Setup, cuts: Sequence[Cut], found: Results, notes: Sequence[str]
) -> LearningCurve:
    """Score every size, and say what more labels give. Names and seconds are left empty."""
    metric = setup.metrics[0]
    sizes: dict[Size, list[Sequence[FoldResult]]] = {}
    for cut, results in zip(cuts, found, strict=True):
        sizes.setdefault(cut.size, []).append(results)
    rows = [_row(setup, size, results) for size, results in sizes.items()]
    gains = _gains(setup, list(sizes.values()))
    points = [
        Point(_label(size, setup), row["rows"], row[metric.name], gain)
        for size, row, gain in zip(sizes, rows, gains, strict=True)
    ]
    told = verdict(points, metric)
    stopped = sum(not fold.converged for results in found for fold in results)
    if stopped:
        fits = sum(map(len, found))
        notes = [*notes, f"{stopped} of {fits} fits stopped before they converged"]
    return LearningCurve(
        head=setup.head.name,
        task=setup.target.task,
        metric=metric.name,
        n=setup.rows.n,
        table=pd.DataFrame(rows),
        fits=_fits(cuts, found, metric.name),
        verdict=told,
        how=_how(setup),
        notes=(*setup.plan.notes, *notes),
    )


def _row(setup: Setup, size: Size, results: Results) -> dict[str, Any]:
    name = setup.metrics[0].name
    values = _values(results, name)
    defined = values[~np.isnan(values)]
    low, high = _interval(setup, results, values)
    return {
        "size": "all" if size is None else str(size),
        "rows": float(np.mean([len(fold.train) for folds in results for fold in folds])),
        "draws": len(results),
        "fits": values.size,
        name: float(defined.mean()) if len(defined) else np.nan,
        f"{name}_std": float(defined.std(ddof=1)) if len(defined) > 1 else np.nan,
        f"{name}_low": low,
        f"{name}_high": high,
    }


def _values(results: Results, name: str) -> Float64s:
    """Give the (folds, draws) values of a size."""
    return np.array([[fold.metrics[name] for fold in folds] for folds in results]).T


def _share(setup: Setup) -> float:
    """Give the mean of test rows to training rows, before these are cut."""
    return float(np.mean([len(fold.test) / len(fold.train) for fold in setup.plan.folds]))


def _interval(setup: Setup, results: Results, values: Float64s) -> tuple[float, float]:
    metric = setup.metrics[0]
    if len(values) == 1:
        score = _bootstrapped(setup, results)
        return score.low, score.high
    each = mean_defined(values)
    each = each[~np.isnan(each)]
    if len(each) < 2:
        return np.nan, np.nan
    low, high = corrected_interval(each, _share(setup))
    return max(low, metric.least), min(high, metric.most)


def _bootstrapped(setup: Setup, results: Results) -> Score:
    """Score the draws of a single split, as `featx.fit` scores the one that takes all rows."""
    scores = score_splits(
        _outcomes(setup, results),
        [folds[0].test for folds in results],
        setup.metrics,
        groups=setup.rows.groups,
        seed=setup.spec.seed,
    )
    return scores[setup.metrics[0].name]


def _outcomes(setup: Setup, results: Results) -> list[Outcome]:
    """Give what came out for the test rows of a single split, one a draw."""
    y, classes = setup.target.values, setup.target.classes
    truth = y if classes is None else classes[y]
    folds = [draw[0] for draw in results]
    return [outcome_of(truth[f.test], f.prediction, f.scores, classes) for f in folds]


def _gains(setup: Setup, sizes: Sequence[Results]) -> list[Difference]:
    """Give what the last size has more than each, in the metric's own sign, paired by test rows."""
    if len(setup.plan.folds) == 1:
        return _bootstrapped_gains(setup, sizes)
    each = [mean_defined(_values(results, setup.metrics[0].name)) for results in sizes]
    return [_paired(each[-1] - one, _share(setup)) for one in each]


def _paired(differences: Float64s, share: float) -> Difference:
    there = differences[~np.isnan(differences)]
    if len(there) > 1:
        return corrected_t(there, share)
    value = float(there.mean()) if len(there) else np.nan
    return Difference(value, np.nan, np.nan, np.nan, "", len(there))


def _bootstrapped_gains(setup: Setup, sizes: Sequence[Results]) -> list[Difference]:
    """Draw the groups of test rows anew, the same for all sizes, and take percentiles."""
    metric, test = setup.metrics[0], setup.plan.folds[0].test
    unit = np.unique(setup.rows.units[test], return_inverse=True)[1]
    u = int(unit.max()) + 1
    B = int(np.clip(_ROW_BUDGET // len(test), _LEAST_RESAMPLES, _RESAMPLES))
    if metric.max_resampled is not None and len(test) > metric.max_resampled:
        B = 0
    drawn = np.random.default_rng(setup.spec.seed).multinomial(u, np.full(u, 1 / u), size=B)
    W = np.vstack([np.ones((1, len(test))), drawn[:, unit]])
    each = [
        mean_defined(np.stack([metric(outcome, W) for outcome in _outcomes(setup, results)], 1))
        for results in sizes
    ]
    return [_percentiles(each[-1] - one, u) for one in each]


def _percentiles(d: Float64s, units: int) -> Difference:
    """Read a difference that was seen, and those of the resamples after it."""
    resampled = d[1:][~np.isnan(d[1:])]
    low, high = np.percentile(resampled, [2.5, 97.5]) if len(resampled) else (np.nan, np.nan)
    return Difference(float(d[0]), float(low), float(high), np.nan, "paired bootstrap", units)


def _label(size: Size, setup: Setup) -> str:
    if size is None:
        return "all"
    return f"{size} rows" if setup.rows.codes is None else f"{size} a class"


def _fits(cuts: Sequence[Cut], found: Results, name: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "size": "all" if cut.size is None else str(cut.size),
            "draw": cut.draw,
            "fold": number,
            "rows": len(fold.train),
            "tested": len(fold.test),
            name: fold.metrics[name],
            "converged": fold.converged,
            **{f"param_{key}": value for key, value in fold.params.items()},
        }
        for cut, results in zip(cuts, found, strict=True)
        for number, fold in enumerate(results)
    )


def _how(setup: Setup) -> str:
    """Say how the points were estimated."""
    plan = setup.plan
    groups = "" if setup.rows.groups is None else f", groups ({setup.rows.group_name}) whole"
    chosen = f"; parameters chosen by {setup.solver.criterion.name} inside each training set"
    interval = (
        "bootstrap of the test rows, heads not refitted"
        if len(plan.folds) == 1
        else f"corrected resampled t over {len(plan.folds)} splits"
    )
    return (
        f"{plan.how}; each size is tested on the same rows, smaller training sets are parts of "
        f"larger ones{groups}{chosen if setup.searched else ''}; 95 %: {interval}"
    )
