"""Points by the hundred, by the thousand and by the hundred thousand."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from featx._types import Float64s
from featx.plots.style import BLUE, DENSITY, figure_of

RASTERISED = 2000
"""Points above which they are one image: an SVG of each would take megabytes."""
COUNTED = 20_000
"""Points above which cells are counted: as points they would hide each other."""
CELLS = 90


def cloud(axes: Axes, x: Float64s, y: Float64s) -> None:
    """Draw (n,) points; of very many, how many fall into each of 90 by 90 cells."""
    if len(x) > COUNTED:
        _count(axes, x, y)
        return
    n = len(x)
    (points,) = axes.plot(
        x,
        y,
        "o",
        color=BLUE,
        markeredgewidth=0,
        markersize=float(np.interp(n, [50, 2000, 20_000], [5.5, 3.5, 2.2])),
        alpha=float(np.interp(n, [50, 2000, 20_000], [0.75, 0.45, 0.25])),
    )
    points.set_rasterized(n > RASTERISED)


def _count(axes: Axes, x: Float64s, y: Float64s) -> None:
    """Draw a 2-D histogram, its colour by the logarithm of the count."""
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=CELLS)
    image = axes.imshow(
        np.ma.masked_equal(counts.T, 0),
        cmap=DENSITY,
        norm=LogNorm(0.3, max(counts.max(), 10)),
        interpolation="nearest",
        zorder=1,
        origin="lower",
        aspect="auto",
        extent=(x_edges[0], x_edges[-1], y_edges[0], y_edges[-1]),
    )
    bar = figure_of(axes).colorbar(image, ax=axes, shrink=0.6, aspect=22, pad=0.02)
    powers = 10 ** np.arange(1 + int(np.log10(max(counts.max(), 10))))
    bar.ax.set_ylim(1, None)
    bar.set_ticks(powers.tolist(), labels=[f"{power:,}" for power in powers])
    bar.set_label("rows in a cell")
    bar.ax.minorticks_off()
    bar.ax.grid(visible=False)
