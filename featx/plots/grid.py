"""The score along a parameter that was searched."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from featx._types import Array, Float64s
from featx.plots.columns import named
from featx.plots.style import BLUE, VERMILION, WIDTH, axes_of, finished, styled
from featx.plots.text import short
from featx.plots.ticks import names_at, ticks_at

DECADES = 2
"""Positive values that span more have a logarithmic axis."""


@styled()
def grid_curve(
    values: Sequence[object] | Array,
    mean: ArrayLike,
    std: ArrayLike,
    *,
    parameter: str,
    metric: str,
    chosen: object,
    lower_is_better: bool = False,
) -> Figure:
    """Draw the score of each value of a parameter, and mark the one that was chosen.

    An optimum at the edge of what was tried is said to be there: a wider grid may find a better
    one.

    Parameters
    ----------
    values : (n,)
        Each once. Numbers are put in order, and on a logarithmic axis where they are positive and
        span more than 2 decades (with a 0 among them, side by side); others stand side by side in
        the order that they are in.
    mean, std : (n,) float
        The criterion over the splits of the search; NaN where it is not known.
    parameter, metric
        What was searched, and what chose.
    chosen
        One of ``values``; None: the best mean is marked.
    lower_is_better
        Whether the metric is an error.
    """
    listed, (means, stds) = named(values, mean, std)
    x = _numbers(listed)
    if x is not None:
        order = np.argsort(x, kind="stable")
        listed, x, means, stds = [listed[i] for i in order], x[order], means[order], stds[order]
    axes = axes_of(WIDTH, 3.6)
    places = _scale(axes, listed, x)
    _draw(axes, places, means, stds, joined=x is not None)
    name = short(parameter, 40)
    found = _place(listed, chosen)
    best = _best(means, lower_is_better) if found is None else found
    if best is not None:
        _mark(axes, places[best], means[best])
        said = _said(name, listed, best, ordered=x is not None)
        axes.set_title(f"{'best' if found is None else 'chosen'}: {said}")
    lower = " (less is better)" if lower_is_better else ""
    axes.set(xlabel=name, ylabel=f"{short(metric, 40)}{lower}")
    return finished(axes)


def _numbers(values: Sequence[object]) -> Float64s | None:
    """Give values as (n,) numbers, or None where one of them is none."""
    kinds = (int, float, np.integer, np.floating)
    if not values or any(isinstance(v, bool) or not isinstance(v, kinds) for v in values):
        return None
    numbers = np.array(values, dtype=np.float64)
    return numbers if np.isfinite(numbers).all() else None


def _scale(axes: Axes, values: Sequence[object], x: Float64s | None) -> Float64s:
    """Set the scale, and give the (n,) places of the values on it."""
    if x is None:
        names_at(axes, values)
        return np.arange(len(values), dtype=np.float64)
    positive = x[x > 0]
    wide = len(positive) > 0 and bool(positive[-1] / positive[0] > 10**DECADES)
    if wide and len(positive) < len(x):
        names_at(axes, [f"{value:g}" for value in x])
        return np.arange(len(x), dtype=np.float64)
    if wide:
        axes.set_xscale("log")
    ticks_at(axes, x, log=wide)
    return x


def _draw(axes: Axes, x: Float64s, mean: Float64s, std: Float64s, *, joined: bool) -> None:
    if joined:
        axes.fill_between(x, mean - std, mean + std, color=BLUE, alpha=0.25, linewidth=0)
        axes.plot(x, mean, "-o", color=BLUE)
    else:
        axes.errorbar(x, mean, std, fmt="o", color=BLUE, capsize=3, elinewidth=1.2)


def _place(values: Sequence[object], chosen: object) -> int | None:
    """Find what was chosen."""
    for i, value in enumerate(values):
        if chosen is not None and (value == chosen or str(value) == str(chosen)):
            return i
    return None


def _best(mean: Float64s, lower_is_better: bool) -> int | None:
    """Find the best mean."""
    if not np.isfinite(mean).any():
        return None
    return int(np.nanargmin(mean) if lower_is_better else np.nanargmax(mean))


def _mark(axes: Axes, x: float, mean: float) -> None:
    axes.axvline(x, color=VERMILION, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    if math.isfinite(mean):
        axes.plot([x], [mean], "o", color=VERMILION, markersize=8, zorder=4)


def _said(name: str, values: Sequence[object], best: int, *, ordered: bool) -> str:
    """Say what is marked, and whether it is at the edge."""
    shown = f"{values[best]:g}" if ordered else short(values[best])
    said = f"{name} = {shown}"
    if not ordered or len(values) < 2 or 0 < best < len(values) - 1:
        return said
    end = "lowest" if best == 0 else "highest"
    return f"{said}, the {end} tried"
