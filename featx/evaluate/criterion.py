"""Which candidate is best, and whether the grid was wide enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names

from featx._types import Float64s
from featx.errors import UsageError, unknown_name
from featx.evaluate.result import Params
from featx.evaluate.work import Criterion
from featx.metrics import METRICS, Metric, mean_defined

DEFAULT = {"classification": "accuracy", "regression": "rmse"}


def read_criterion(name: str | None, task: str, metrics: Sequence[Metric]) -> Criterion:
    """Give the criterion of that name; ours where we have it, else scikit-learn's.

    Parameters
    ----------
    metrics
        Those that the head's outputs and the classes allow.

    Raises
    ------
    UnknownNameError
        If neither has it.
    UsageError
        If it is one of ours that the task, the classes or the head do not allow.
    """
    name = name or DEFAULT[task]
    for metric in metrics:
        if metric.name == name:
            return Criterion(name, metric, metric.greater_is_better)
    ours = [metric.name for table in METRICS.values() for metric in table]
    if name in ours:
        raise UsageError(
            f"scoring {name!r} does not fit this {task} with this head; "
            f"those that do: {', '.join(metric.name for metric in metrics)}"
        )
    scorers = get_scorer_names()
    if name in scorers:
        return Criterion(name, None, True)
    raise unknown_name("scoring", name, {*ours, *scorers}, "featx or scikit-learn must know it")


def summarize(values: Float64s) -> tuple[Float64s, Float64s]:
    """Give mean and standard deviation over splits of values (candidates, splits), NaN left out."""
    mean = mean_defined(values)
    square = mean_defined((values - mean[:, None]) ** 2)
    return mean, np.sqrt(square)


def best(values: Float64s, criterion: Criterion) -> int:
    """Give the best candidate by its mean over splits; the first of equals.

    Parameters
    ----------
    values
        (candidates, splits); a candidate that is undefined everywhere is never chosen over
        another.
    """
    mean = summarize(values)[0]
    signed = mean if criterion.greater_is_better else -mean
    return int(np.argmax(np.where(np.isnan(signed), -np.inf, signed)))


def edges(
    grid: Mapping[str, Sequence[Any]],
    params: Sequence[Params],
    chosen: int,
    values: Float64s,
    criterion: Criterion,
) -> list[str]:
    """Say which chosen numbers lie at an end of three or more, and are better than those between.

    On a plateau the first of equals is chosen, which may be an end: a wider grid promises nothing.

    Parameters
    ----------
    values
        (candidates, splits) of the search.
    """
    signed = values if criterion.greater_is_better else -values
    notes = []
    for name, options in grid.items():
        numbers = [v for v in options if isinstance(v, int | float) and not isinstance(v, bool)]
        if not len(numbers) == len(options) >= 3:
            continue
        ends = min(numbers), max(numbers)
        between = [row for row, p in zip(signed, params, strict=True) if p[name] not in ends]
        best = params[chosen][name]
        if best in ends and all(_is_better(signed[chosen], other) for other in between):
            notes.append(
                f"the best {name}, {best:g}, lies at the edge of its grid "
                f"({ends[0]:g} to {ends[1]:g}): a wider one may be better"
            )
    return notes


def _is_better(one: Float64s, other: Float64s) -> bool:
    """Whether a candidate's scores on the same splits are higher, by more than a standard error."""
    difference = (one - other)[np.isfinite(one - other)]
    n = len(difference)
    if not n:
        return True  # the other is undefined
    error = np.std(difference, ddof=1) / np.sqrt(n) if n > 1 else 0.0
    rounding = 1e-9 * np.abs(one[np.isfinite(one)]).max()
    return bool(difference.mean() > max(error, rounding))
