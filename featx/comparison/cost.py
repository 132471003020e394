"""What a run took, and what each point took that it gained over its own baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featx.metrics import METRICS, Metric

if TYPE_CHECKING:
    from featx._types import JsonObject
    from featx.comparison.run import Run

NAN = float("nan")


def cost_columns(run: Run, metric: Metric) -> JsonObject:
    """Give seconds and points of a run, NaN where they are not known.

    Returns
    -------
    dict
        ``fit_s``; ``extract_s``, 0 for a run that has no cached features; ``total_s``, both;
        ``gain`` in points, see `points_gained`; ``s_per_point``, NaN where nothing was gained.
    """
    seconds = run.record.get("seconds") or {}
    fit_s = float(sum(seconds.values())) if seconds else NAN
    total_s = fit_s + run.extract_s
    baseline = (run.record.get("baseline") or {}).get(metric.name, {}).get("mean")
    gain = points_gained(run.score(metric.name), NAN if baseline is None else baseline, metric)
    return {
        "fit_s": fit_s,
        "extract_s": run.extract_s,
        "total_s": total_s,
        "gain": gain,
        "s_per_point": total_s / gain if gain > 0 else NAN,
    }


def points_gained(value: float, baseline: float, metric: Metric) -> float:
    """Give by how many points a score is better than its baseline.

    Where more is better, a point is 0.01: 100 (value - baseline). An error has no upper end and
    the units of the target; its point is a hundredth of the baseline's error:
    100 (baseline - value) / baseline. NaN where the baseline has no value, or no error.
    """
    if metric.greater_is_better:
        return 100 * (value - baseline)
    return 100 * (baseline - value) / baseline if baseline > 0 else NAN


def cost_words(name: str) -> str:
    """Say what the column of costs shows, for a metric of featx."""
    metric = next(m for metrics in METRICS.values() for m in metrics if m.name == name)
    point = (
        f"percentage point of {name} above the run's own baseline"
        if metric.greater_is_better
        else f"percent of its own baseline's {name} that the run takes away"
    )
    return (
        f"s/point: seconds of extraction and fit, cross-validation included, for each {point}; - "
        "where it is not better, or the seconds are not known"
    )
