"""Axes with a name a row: what bars, dots and intervals have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from featx._types import Float64s
from featx.plots.style import BLUE
from featx.plots.text import LONGEST, short, shorts

ROW = 0.24
"""Height of a row in inches, where there are few."""
_DENSE = 0.165


def row_height(rows: int) -> float:
    """Give the height of a row in inches: less where there are many."""
    return ROW if rows <= 25 else _DENSE


def name_rows(axes: Axes, names: Sequence[object], longest: int = LONGEST) -> None:
    """Write a name beside each of the places 0, 1, ..., the first one on top."""
    size = 9 if len(names) <= 25 else 7
    axes.set_yticks(np.arange(len(names)), labels=shorts(names, longest), fontsize=size)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def dots(axes: Axes, mean: Float64s, low: Float64s, high: Float64s) -> None:
    """Draw a dot a row, and its interval where there is one; `dot_sign` explains them.

    Parameters
    ----------
    mean, low, high
        (n,) in the order of the rows; NaN is not drawn.
    """
    places = np.arange(len(mean))
    thick = 1.4 if len(mean) <= 25 else 1.0
    axes.hlines(places, low, high, color=BLUE, linewidth=thick)
    axes.plot(mean, places, "o", color=BLUE, markersize=5.5 if len(mean) <= 25 else 4)


def dot_sign(metric: str) -> Line2D:
    """Give what stands for `dots` in a legend."""
    said = f"{short(metric, 28)} and its 95 % interval"
    return Line2D([], [], color=BLUE, marker="o", linewidth=1.4, label=said)
