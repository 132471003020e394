"""How many rows each class has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from featx._types import Array, Float64s
from featx.plots.columns import named
from featx.plots.rows import name_rows, row_height
from featx.plots.style import BLUE, axes_of, finished, styled

NAMED = 50
"""Most bars that have a name."""


@styled()
def bars(names: Sequence[object] | Array, counts: ArrayLike) -> Figure:
    """Draw a bar for each name, in the order that they are in.

    More than 50 are too many to name: their counts are drawn from the largest to the smallest.

    Parameters
    ----------
    names : (k,)
        For example classes.
    counts : (k,) int
        Rows of each.
    """
    listed, (values,) = named(names, counts)
    k = len(listed)
    if k > NAMED:
        return _ranked(values)
    axes = axes_of(6.6, max(k, 2) * row_height(k) + 0.7)
    axes.barh(np.arange(k), values, height=0.7, color=BLUE)
    name_rows(axes, listed)
    _write(axes, values)
    axes.set_xlabel("rows")
    axes.margins(x=0.1)
    axes.set_xlim(left=0)
    return finished(axes)


def _write(axes: Axes, counts: Float64s) -> None:
    for place, count in enumerate(counts):
        axes.annotate(
            f"{count:,.0f}",
            (count, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=9 if len(counts) <= 25 else 7,
        )


def _ranked(counts: Float64s) -> Figure:
    falling = np.sort(counts)[::-1]
    k = len(falling)
    axes = axes_of(6.6, 3.6)
    axes.stairs(falling, np.arange(k + 1) + 0.5, fill=True, color=BLUE)
    axes.set(xlabel="class, the largest first", ylabel="rows", xlim=(0.5, k + 0.5))
    axes.set_ylim(bottom=0)
    low, middle, high = np.percentile(falling, [0, 50, 100])
    axes.set_title(f"{k:,} classes with {low:,.0f} to {high:,.0f} rows, median {middle:,.0f}")
    return finished(axes)
