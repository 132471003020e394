"""A score with its spread and its intervals.

The first interval is a percentile bootstrap (Efron and Tibshirani 1993, *An Introduction to the
Bootstrap*, chapter 13) of the out-of-fold predictions: groups of rows are drawn with replacement,
each split's metric is computed anew from its rows that were drawn, and the mean over splits is
kept. Heads are not refitted, so the interval speaks of other test rows, not of other training
rows.

The second, the corrected resampled t, speaks of those too. The values of J splits are not
independent, for their training sets overlap, so ``s^2 / J`` is too small a variance of their mean;
``(1 / J + n_test / n_train) s^2`` with J - 1 degrees of freedom allows for it (Nadeau and Bengio
2003, *Inference for the generalization error*, Machine Learning 52; for repeated folds Bouckaert
and Frank 2004, *Evaluating the replicability of significance tests*). It is approximate, and wide
where there are few splits.

Where all that can be drawn scores the same, neither says how much other rows or splits would
differ, and an interval without width would claim certainty. If every tested row is right, or every
one wrong, there is the exact interval of a share in place of the bootstrap's (Clopper and Pearson
1934, *The use of confidence or fiducial limits illustrated in the case of the binomial*, Biometrika
26), of as many trials as units are drawn; else there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.special import stdtrit
from scipy.stats import binomtest

from featx._types import Array, Float64s, Ints, JsonObject
from featx._words import count
from featx.errors import TargetError
from featx.metrics import Metric, Outcome, mean_defined, metrics_for, ones

RESAMPLES = 1000
MIN_RESAMPLES = 200
_ROW_BUDGET = 5_000_000
_CHUNK = 100
_COUNTS = 20_000_000
"""Draws at a time, and most counts (units x draws) that are held at a time."""


@dataclass(frozen=True)
class Score:
    """One metric of one head.

    Attributes
    ----------
    mean, std
        Over the splits of the estimate; ``std`` (of the sample) is NaN for a single split.
    low, high
        Ends of the 95 % interval for other test rows; NaN where there is none.
    n
        Distinct tested rows.
    splits
        Splits where the metric is defined.
    how
        How that interval was made, or why there is no value.
    median, quarter, three_quarters
        Quartiles over the splits.
    corrected_low, corrected_high
        Ends of the 95 % interval for other training rows too; NaN where there is none.
    corrected_how
        How that interval was made, or why there is none.
    """

    mean: float
    std: float
    low: float
    high: float
    n: int
    splits: int
    how: str
    median: float = np.nan
    quarter: float = np.nan
    three_quarters: float = np.nan
    corrected_low: float = np.nan
    corrected_high: float = np.nan
    corrected_how: str = ""

    def to_json(self) -> JsonObject:
        """Give the score as JSON values, null for what is no finite number."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: None if _is_lost(value) else value for name, value in values.items()}


def _is_lost(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def score_splits(
    outcomes: Sequence[Outcome],
    rows: Sequence[Ints],
    metrics: Sequence[Metric],
    *,
    n_train: Sequence[int] | None = None,
    groups: Array | None = None,
    group_name: str = "row",
    seed: int = 0,
) -> dict[str, Score]:
    """Score the test rows of several splits.

    Parameters
    ----------
    outcomes, rows
        One a split: what came out, and the (m,) row numbers that it came out for.
    n_train
        One a split: rows that were fitted on. None where that is not known: then there are no
        corrected intervals.
    groups
        (n,) group of every row, n above every row number; None: each row is drawn alone.
    group_name
        What a group is called in `Score.how`.
    """
    unit, units = _units(rows, groups)
    tested = sum(len(r) for r in rows)
    resamples = int(np.clip(_ROW_BUDGET // max(tested, 1), MIN_RESAMPLES, RESAMPLES))
    values = _values(outcomes, unit, units, metrics, resamples, np.random.default_rng(seed))
    drawn = group_name if groups is not None else "row"
    how = (
        f"95 % percentile bootstrap: {resamples} resamples of {count(units, 'unit')} ({drawn}) "
        "of the predictions of tested rows, heads not refitted"
    )
    n = len(np.unique(np.concatenate(rows))) if rows else 0
    fitted = np.full(len(rows), np.nan) if n_train is None else np.asarray(n_train)
    shares = np.array([len(tested) for tested in rows]) / fitted
    scores = [_score(m, outcomes, values[m.name], n, how, shares) for m in metrics]
    exact = (
        f"95 % exact interval (Clopper and Pearson) of {count(units, 'unit')} ({drawn}), all of "
        "them right or all wrong, heads not refitted"
    )
    return {
        m.name: _with_width(score, m, units, exact)
        for m, score in zip(metrics, scores, strict=True)
    }


def score_once(
    y: Array,
    prediction: Array,
    scores: Float64s | None = None,
    classes: Array | None = None,
    *,
    groups: Array | None = None,
    group_name: str = "image",
    probabilities: bool = False,
    quality: bool = False,
    turned: bool = False,
    seed: int = 0,
) -> dict[str, Score]:
    """Score (m,) predictions of rows that no fit has seen.

    Parameters
    ----------
    y, prediction
        Labels that are in ``classes``, or numbers.
    scores
        (m, k) in the order of ``classes``; None for regression.
    classes
        (k,) labels; None for regression.
    quality
        Whether numbers are scored also after a logistic mapping.
    turned
        Low numbers of ``y`` mean what high ones of ``prediction`` do: predictions are turned
        around, and what needs them in the units of ``y`` is left out.

    Raises
    ------
    TargetError
        If a label is not in ``classes``.
    """
    outcome = outcome_of(y, -prediction if turned else prediction, scores, classes)
    ordered = classes is not None and np.asarray(classes).dtype.kind in "iuf"
    task = "regression" if classes is None else "classification"
    metrics = metrics_for(
        task, ordered=ordered, probabilities=probabilities, quality=quality, turned=turned
    )
    rows = [np.arange(len(outcome.y))]
    return score_splits([outcome], rows, metrics, groups=groups, group_name=group_name, seed=seed)


def outcome_of(
    y: Array, prediction: Array, scores: Float64s | None, classes: Array | None
) -> Outcome:
    """Number the labels by their place in ``classes``, or take the numbers as they are.

    Raises
    ------
    TargetError
        If a label is not in ``classes``.
    """
    if classes is None:
        return Outcome(np.asarray(y, np.float64), np.asarray(prediction, np.float64))
    place = {label: i for i, label in enumerate(np.asarray(classes).tolist())}
    said = [np.asarray(labels).tolist() for labels in (y, prediction)]
    if strange := sorted({str(label) for label in said[0] if label not in place}):
        raise TargetError(
            f"labels that the head was not fitted on: {', '.join(strange[:5])}; "
            f"it knows {', '.join(map(str, list(place)[:20]))}"
        )
    numbers = [np.array([place[label] for label in labels], dtype=np.int64) for labels in said]
    return Outcome(numbers[0], numbers[1], scores)


def _units(rows: Sequence[Ints], groups: Array | None) -> tuple[list[Ints], int]:
    """Number what is drawn (tested groups or rows) 0..u-1: its number for each split's rows."""
    everything = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    keys = everything if groups is None else np.asarray(groups)[everything]
    distinct, number = np.unique(keys, return_inverse=True)
    stops = np.cumsum([len(r) for r in rows])[:-1]
    return np.split(number, stops), len(distinct)


def _values(
    outcomes: Sequence[Outcome],
    unit: Sequence[Ints],
    units: int,
    metrics: Sequence[Metric],
    resamples: int,
    rng: np.random.Generator,
) -> Mapping[str, Float64s]:
    """Give (b,) means over splits of each metric for ``resamples`` draws, in chunks."""
    chunks: dict[str, list[Float64s]] = {metric.name: [] for metric in metrics}
    for counts in _draws(units, resamples, rng):
        weights = [counts[numbers].T for numbers in unit]
        for metric in metrics:
            if _resampled(metric, outcomes):
                pairs = zip(outcomes, weights, strict=True)
                each = [metric(outcome, W) for outcome, W in pairs]
                chunks[metric.name].append(mean_defined(np.stack(each, axis=1)))
    return {name: np.concatenate(v) if v else np.zeros(0) for name, v in chunks.items()}


def _draws(units: int, resamples: int, rng: np.random.Generator) -> Iterator[Float64s]:
    """Give how often each unit is drawn, (units, b) float64, some draws at a time."""
    chunk = int(np.clip(_COUNTS // max(units, 1), 1, _CHUNK))
    for start in range(0, resamples, chunk):
        b = min(chunk, resamples - start)
        picks = rng.integers(units, size=(b, units)) * b + np.arange(b)[:, None]
        counts = np.bincount(picks.ravel(), minlength=b * units)
        yield counts.reshape(units, b).astype(np.float64)


def _resampled(metric: Metric, outcomes: Sequence[Outcome]) -> bool:
    limit = metric.max_resampled
    return limit is None or all(len(outcome.y) <= limit for outcome in outcomes)


def _score(
    metric: Metric,
    outcomes: Sequence[Outcome],
    resampled: Float64s,
    n: int,
    how: str,
    shares: Float64s,
) -> Score:
    values = np.array([metric(outcome, ones(outcome))[0] for outcome in outcomes])
    there = ~np.isnan(values)
    values = values[there]
    if not len(values):
        nan = np.nan
        return Score(nan, nan, nan, nan, n, 0, f"undefined: {metric.undefined}")
    drawn = resampled[~np.isnan(resampled)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    if not len(resampled):
        how = f"no interval: a split has more than {metric.max_resampled} rows"
    std = values.std(ddof=1) if len(values) > 1 else np.nan
    quarter, median, three_quarters = np.percentile(values, [25, 50, 75]).tolist()
    score = Score(
        float(values.mean()),
        float(std),
        float(low),
        float(high),
        n,
        len(values),
        how,
        median,
        quarter,
        three_quarters,
    )
    return _with_corrected(score, metric, values, float(shares[there].mean()))


def _with_width(score: Score, metric: Metric, units: int, how: str) -> Score:
    """Give an exact interval, or none, in place of a bootstrap whose resamples are all alike."""
    if not np.isclose(score.low, score.high, rtol=1e-9, atol=1e-12):
        return score
    if metric.is_share and score.mean in (0, 1):
        ends = binomtest(round(score.mean * units), units).proportion_ci(method="exact")
        return replace(score, low=float(ends.low), high=float(ends.high), how=how)
    why = "no interval: all resamples score the same, which does not say how others would differ"
    return replace(score, low=np.nan, high=np.nan, how=why)


def _with_corrected(score: Score, metric: Metric, values: Float64s, share: float) -> Score:
    """Add the corrected interval, where there are several splits and ``share`` is known."""
    if len(values) < 2 or np.isnan(share):
        return replace(score, corrected_how="no corrected interval: it needs several splits")
    low, high = corrected_t(values, share)
    if np.isnan(low):
        return replace(
            score,
            corrected_how=f"no corrected interval: all {len(values)} splits scored the same, which "
            "does not say how much others would differ",
        )
    return replace(
        score,
        corrected_low=max(low, metric.least),
        corrected_high=min(high, metric.most),
        corrected_how=f"95 % corrected resampled t over {len(values)} splits with {share:.3g} test "
        "rows to a training row: allows for other training rows, too",
    )


def corrected_t(values: Float64s, share: float) -> tuple[float, float]:
    """Give the ends of the corrected resampled 95 % t interval of a mean over splits.

    NaN where all splits scored the same.

    Parameters
    ----------
    values
        (J,) one a split, J at least 2.
    share
        ``n_test / n_train``.
    """
    if np.allclose(values, values[0], rtol=1e-12, atol=0):
        return np.nan, np.nan
    J = len(values)
    half = stdtrit(J - 1, 0.975) * np.sqrt((1 / J + share) * values.var(ddof=1))
    return float(values.mean() - half), float(values.mean() + half)
