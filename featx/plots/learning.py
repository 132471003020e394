"""The score with fewer training rows."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from featx._types import Float64s
from featx.plots.columns import axis_name, floats
from featx.plots.style import BLUE, WIDTH, axes_of, finished, legend_below, styled
from featx.plots.ticks import ticks_at


@styled()
def learning_curve(
    rows: ArrayLike,
    mean: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    metric: str,
    std: ArrayLike | None = None,
) -> Figure:
    """Draw a metric against the number of training rows, on a logarithmic axis.

    Parameters
    ----------
    rows : (n,) float
        Training rows, in the mean over folds.
    mean, low, high : (n,) float
        The metric and the ends of the 95 % interval of its mean; NaN where there is none.
    metric
        What it is.
    std : (n,) float
        Over folds and draws: what a single training set may be off by.
    """
    x, means, lows, highs, *rest = floats(
        *(c for c in (rows, mean, low, high, std) if c is not None)
    )
    order = np.argsort(x, kind="stable")
    x, means, lows, highs = (column[order] for column in (x, means, lows, highs))
    axes = axes_of(WIDTH, 3.8)
    axes.set_xscale("log")
    for spread in rest:
        _band(axes, x, means - spread[order], means + spread[order])
    _interval(axes, x, means, lows, highs)
    ticks_at(axes, x, log=True)
    axes.set(xlabel="training rows", ylabel=axis_name(metric))
    legend_below(axes)
    return finished(axes)


def _band(axes: Axes, x: Float64s, low: Float64s, high: Float64s) -> None:
    said = "± std: one training set"
    axes.fill_between(x, low, high, color=BLUE, alpha=0.25, linewidth=0, label=said)


def _interval(axes: Axes, x: Float64s, mean: Float64s, low: Float64s, high: Float64s) -> None:
    """Draw the curve and its intervals, which need not lie around it."""
    axes.vlines(x, low, high, color=BLUE, linewidth=1.4)
    axes.plot(x, mean, "-o", color=BLUE, label="mean and its 95 % interval")
