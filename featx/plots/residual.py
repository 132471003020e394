"""Where predictions of numbers are too high, and where too low."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from featx._types import Float64s, Ints
from featx.plots.cloud import cloud
from featx.plots.columns import finite_pairs
from featx.plots.style import GREY, VERMILION, WIDTH, axes_of, finished, legend_below, styled
from featx.plots.text import short

PARTS = 25
"""Most medians along the target."""


@styled()
def residuals(y: ArrayLike, prediction: ArrayLike, *, target: str) -> Figure:
    """Draw residuals, ``prediction - y``, against the target.

    The running median is that of up to 25 parts of the rows along the target, equally many each;
    of a target with few distinct values, that of each value. Heads that are pulled towards the
    mean, as a ridge is, have it above zero for low values and below for high ones.

    Parameters
    ----------
    y, prediction : (n,) float
        In the units of the target. Pairs with a NaN are left out, and counted in the title.
    target
        What is predicted.
    """
    y, prediction, counted = finite_pairs(y, prediction)
    residual = prediction - y
    name = short(target, 40)
    axes = axes_of(WIDTH, 4.0)
    cloud(axes, y, residual)
    axes.axhline(0, color=GREY, linestyle=(0, (4, 3)), linewidth=1.2)
    middle = running_median(y, residual)
    axes.plot(*middle, "-o", color=VERMILION, markersize=3, label="running median")
    axes.set(xlabel=f"{name}, true", ylabel="predicted less true")
    axes.set_title(counted)
    legend_below(axes)
    return finished(axes)


def running_median(x: Float64s, values: Float64s) -> tuple[Float64s, Float64s]:
    """Give the median of ``x`` and of ``values`` (n,) in each part of the rows along ``x``."""
    part = _parts(x)
    there = np.unique(part)
    middles = [(np.median(x[part == p]), np.median(values[part == p])) for p in there]
    pairs = np.array(middles, dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _parts(x: Float64s) -> Ints:
    """Give the number of each row's part."""
    levels, level = np.unique(x, return_inverse=True)
    parts = int(np.clip(np.sqrt(len(x)) / 1.5, 1, PARTS))
    if len(levels) <= parts:
        return np.asarray(level, dtype=np.int64)
    edges = np.unique(np.quantile(x, np.linspace(0, 1, parts + 1)[1:-1]))
    return np.asarray(np.searchsorted(edges, x, side="right"), dtype=np.int64)
