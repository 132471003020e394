"""Runs side by side, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from featx._types import Array, Float64s
from featx.plots.columns import axis_name, best_first, named
from featx.plots.rows import dot_sign, dots, name_rows, row_height
from featx.plots.style import VERMILION, WIDTH, axes_of, finished, legend_below, styled
from featx.plots.text import score

NAME = 28
"""Columns of a name: those of runs are long."""
NUMBERED = 40
"""Most rows that have their value written."""


@styled()
def intervals(
    names: Sequence[object] | Array,
    mean: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    metric: str,
) -> Figure:
    """Draw a forest plot: a dot and an interval for each name, the best on top.

    A line goes down from the best mean. Intervals are those of each alone: whether two differ is
    told by a paired test, not by whether they overlap.

    Parameters
    ----------
    names : (n,)
        What is compared.
    mean, low, high : (n,) float
        The value and the ends of its 95 % interval; NaN where there is none.
    metric
        What it is; of the errors among featx's metrics less is better.
    """
    listed, columns = named(names, mean, low, high)
    order = best_first(columns[0], metric)
    shown = [column[order] for column in columns]
    n = len(order)
    axes = axes_of(WIDTH, max(n, 2) * row_height(n) + 1.2)
    name_rows(axes, [listed[i] for i in order], longest=NAME)
    dots(axes, *shown)
    signs = [dot_sign(metric)]
    if n and np.isfinite(shown[0][0]):
        dashes: Any = {"color": VERMILION, "linewidth": 1, "linestyle": (0, (4, 3))}
        signs.append(axes.axvline(shown[0][0], zorder=1, label="the best", **dashes))
    if n <= NUMBERED:
        _write(axes, shown[0])
    axes.set_xlabel(axis_name(metric, 48))
    legend_below(axes, signs)
    return finished(axes)


def _write(axes: Axes, mean: Float64s) -> None:
    """Write the values in a column at the right edge."""
    for place, value in enumerate(mean):
        axes.annotate(
            score(value),
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=9 if len(mean) <= 25 else 7,
            annotation_clip=False,
        )
