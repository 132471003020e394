"""What the figures are given, as arrays that agree with each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError
from featx.metrics import METRICS
from featx.plots.text import short

_GREATER = {m.name: m.greater_is_better for metrics in METRICS.values() for m in metrics}


def floats(*columns: ArrayLike) -> list[Float64s]:
    """Give columns as (n,) float64 arrays of one length.

    Raises
    ------
    UsageError
        If one is no column, or they differ in length.
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    shapes = [array.shape for array in arrays]
    if any(len(shape) != 1 for shape in shapes) or len(set(shapes)) > 1:
        raise UsageError(f"a figure needs columns of one length, not arrays of shapes {shapes}")
    return arrays


def named(names: Sequence[object] | Array, *columns: ArrayLike) -> tuple[list[object], list[Array]]:
    """Give names as a list, and a (n,) float64 column for each of the others.

    Raises
    ------
    UsageError
        If there are not as many names as numbers.
    """
    listed = list(names)
    arrays = floats(*columns)
    if arrays and len(arrays[0]) != len(listed):
        raise UsageError(f"{len(listed)} names for {len(arrays[0])} numbers: give one for each")
    return listed, arrays


def finite_pairs(y: ArrayLike, prediction: ArrayLike) -> tuple[Float64s, Float64s, str]:
    """Give the pairs that are both finite, and how many they are and how many are left out."""
    y, prediction = floats(y, prediction)
    there = np.isfinite(y) & np.isfinite(prediction)
    lost = int((~there).sum())
    counted = f"n = {there.sum():,}" + (f", {lost:,} without a value" if lost else "")
    return y[there], prediction[there], counted


def is_lower_better(metric: str) -> bool:
    """Say whether a metric of featx's is an error; others are taken for scores."""
    return not _GREATER.get(metric, True)


def axis_name(metric: str, longest: int = 40) -> str:
    """Give what stands beside the axis of a metric."""
    return short(metric, longest) + (" (less is better)" if is_lower_better(metric) else "")


def best_first(mean: Float64s, metric: str) -> Ints:
    """Give the (n,) places of values from the best to the worst, NaN last, equals as they came."""
    keys = mean if is_lower_better(metric) else -mean
    order: Ints = np.argsort(keys, kind="stable")
    return order
