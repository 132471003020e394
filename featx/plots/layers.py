"""The score of each layer of a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from featx._types import Array
from featx.plots.columns import axis_name, best_first, named
from featx.plots.style import BLUE, GREEN, VERMILION, WIDTH, axes_of, finished, legend_below, styled
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
    default: object = None,
) -> Figure:
    """Draw a metric along the layers of a backbone; the best and the default one are marked.

    Parameters
    ----------
    layers : (n,)
        Their names, from shallow to deep.
    mean, low, high : (n,) float
        The metric and the ends of its interval; NaN where there is none.
    metric
        What it is.
    default
        One of ``layers``: where the backbone is cut unless said otherwise.
    """
    names, (means, lows, highs) = named(layers, mean, low, high)
    x = np.arange(len(names), dtype=np.float64)
    axes = axes_of(float(np.clip(0.3 * len(names), WIDTH, 9.0)), 4.0)
    names_at(axes, names)
    axes.vlines(x, lows, highs, color=BLUE, linewidth=1.4)
    axes.plot(x, means, "-o", color=BLUE, linewidth=1.4)
    best = _best(means, metric)
    if default in names:
        ring = {"color": GREEN, "markerfacecolor": "none", "markersize": 14, "markeredgewidth": 2}
        _mark(axes, "default", names, means, [names.index(default)], ring)
    if best:
        _mark(axes, "best", names, means, best, {"color": VERMILION, "markersize": 8})
        legend_below(axes)
    axes.set(xlabel="layer, from shallow to deep", ylabel=axis_name(metric))
    axes.grid(visible=False, axis="x")
    return finished(axes)


def _mark(
    axes: Axes,
    kind: str,
    names: Sequence[object],
    means: Array,
    places: Sequence[int],
    look: dict[str, Any],
) -> None:
    """Mark layers, and name the one, or say how many they are."""
    said = short(names[places[0]]) if len(places) == 1 else f"{len(places)} layers"
    axes.plot(places, means[list(places)], "o", label=f"{kind}: {said}", **look)


def _best(means: Array, metric: str) -> list[int]:
    """Give the places of the best mean: several where it is shared."""
    order = best_first(means, metric)
    if not len(order) or not np.isfinite(means[order[0]]):
        return []
    return [int(i) for i in order if np.isclose(means[i], means[order[0]], rtol=1e-9, atol=0)]
