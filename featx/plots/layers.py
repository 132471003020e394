"""The score of each layer of a backbone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from featx._types import Array
from featx.plots.columns import best_first, is_lower_better, named
from featx.plots.style import BLUE, GREEN, VERMILION, axes_of, finished, styled
from featx.plots.text import short
from featx.plots.ticks import names_at


@styled()
def layer_scores(
    layers: Sequence[object] | Array,
    mean: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    metric: str,
    chosen: object = None,
) -> Figure:
    """Draw a metric along the layers of a backbone; the best one and the chosen one are marked.

    Parameters
    ----------
    layers : (n,)
        Their names, from shallow to deep.
    mean, low, high : (n,) float
        The metric and the ends of its interval; NaN where there is none.
    metric
        What it is.
    chosen
        One of ``layers``, for example the default one.
    """
    names, (means, lows, highs) = named(layers, mean, low, high)
    x = np.arange(len(names), dtype=np.float64)
    axes = axes_of(float(np.clip(0.3 * len(names), 6.2, 9.0)), 4.4)
    names_at(axes, names)
    axes.vlines(x, lows, highs, color=BLUE, alpha=0.55, linewidth=2)
    axes.plot(x, means, "-o", color=BLUE, linewidth=1.4)
    best = _best(means, metric)
    if chosen in names:
        _mark(axes, names, means, names.index(chosen), "chosen")
    if best is not None:
        _mark(axes, names, means, best, "best")
    lower = " (less is better)" if is_lower_better(metric) else ""
    axes.set(xlabel="layer, from shallow to deep", ylabel=f"{short(metric, 40)}{lower}")
    axes.grid(visible=False, axis="x")
    if best is not None:
        axes.legend(loc="best")
    return finished(axes)


def _mark(axes: Axes, names: Sequence[object], means: Array, place: int, kind: str) -> None:
    """Draw a ring or a dot around one of the layers."""
    (mark,) = axes.plot(place, means[place], "o", label=f"{kind}: {short(names[place])}")
    if kind == "best":
        mark.set(color=VERMILION, markersize=8)
    else:
        mark.set(color=GREEN, markerfacecolor="none", markersize=14, markeredgewidth=2)


def _best(means: Array, metric: str) -> int | None:
    order = best_first(means, metric)
    return int(order[0]) if len(order) and np.isfinite(means[order[0]]) else None
