"""How well each class is told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from featx._types import Array, Float64s, Ints
from featx.plots.columns import best_first, named
from featx.plots.rows import dot_sign, dots, name_rows, row_height
from featx.plots.style import WIDTH, Drawing, finished, legend_below, styled
from featx.plots.text import short

COLUMN = 50
"""Most classes one above the other."""


@styled()
def class_scores(
    classes: Sequence[object] | Array,
    values: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    metric: str,
) -> Figure:
    """Draw a score of each class with its interval, the worst on top.

    More than 50 classes stand in two columns; of more than 100, the 50 worst and the 50 best.

    Parameters
    ----------
    classes : (k,)
        Their names.
    values, low, high : (k,) float
        The score and the ends of its 95 % interval; NaN where there is none.
    metric
        What it is: ``recall``, ``f1``.
    """
    names, columns = named(classes, values, low, high)
    order = best_first(columns[0], metric)
    order = np.concatenate([_known(order, columns[0])[::-1], _unknown(order, columns[0])])
    parts = _parts(order)
    figure = Drawing(
        figsize=(WIDTH if len(parts) == 1 else 7.0, _height(max(map(len, parts)))),
        layout="constrained",
    )
    grid = figure.subplots(1, len(parts), sharex=True, squeeze=False)[0]
    for axes, part in zip(grid, parts, strict=True):
        name_rows(axes, [names[i] for i in part])
        dots(axes, *(column[part] for column in columns))
        axes.set_xlabel(short(metric, 48))
    _head(grid, len(order))
    _limit(grid[0], columns)
    legend_below(grid[0], [dot_sign(metric)])
    return finished(grid[0])


def _known(order: Ints, values: Float64s) -> Ints:
    return order[~np.isnan(values[order])]


def _unknown(order: Ints, values: Float64s) -> Ints:
    return order[np.isnan(values[order])]


def _height(rows: int) -> float:
    return max(rows, 2) * row_height(rows) + 1.1


def _parts(order: Ints) -> list[Ints]:
    """Cut the classes into columns."""
    k = len(order)
    if k <= COLUMN:
        return [order]
    if k <= 2 * COLUMN:
        return [order[: -(-k // 2)], order[-(-k // 2) :]]
    return [order[:COLUMN], order[-COLUMN:]]


def _head(grid: Sequence[Axes], k: int) -> None:
    """Say what is left out."""
    if k > 2 * COLUMN:
        grid[0].set_title(f"the {COLUMN} worst of {k} classes")
        grid[1].set_title(f"the {COLUMN} best")


def _limit(axes: Axes, columns: Sequence[Float64s]) -> None:
    """End the axis of shares at 1, and begin it at the tenth below the lowest."""
    values = np.concatenate(columns)
    values = values[np.isfinite(values)]
    if len(values) and values.min() >= 0 and 0.3 < values.max() <= 1:
        left = min(np.floor(values.min() * 10) / 10, 0.9)
        axes.set_xlim(left - 0.02 * (1 - left), 1 + 0.02 * (1 - left))
