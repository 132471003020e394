"""What is taken for what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError
from featx.plots.style import DENSITY, INK, axes_of, figure_of, finished, styled
from featx.plots.text import longest_of, shorts
from featx.plots.ticks import turn

COUNTED = 15
"""Most classes for which counts are written into the cells."""
NAMED = 40
"""Most classes that are named."""

CELLS = 300
"""Most cells a side: of smaller ones a page has no pixels."""

_NORM = PowerNorm(0.5, 0, 1)
"""Errors are rare: with the root of the share as depth, 4 % is a fifth of the colour."""
_DEEP = 0.9
"""Depth above which white reads better on blue than a light page's text does."""
_SHARES = [0, 0.05, 0.25, 0.5, 1]


@styled()
def confusion_matrix(counts: ArrayLike, classes: Sequence[object] | Array) -> Figure:
    """Draw a confusion matrix.

    The colour of a cell is its share of the true class, ``counts[i, j] / sum_j counts[i, j]``. Up
    to 15 classes have their counts written; up to 40 are named, more are numbered. Of more than
    300, a cell stands for several classes, and shows the largest share of theirs.

    Parameters
    ----------
    counts : (k, k) int
        Row: the true class. Column: the predicted one.
    classes : (k,)
        Their names.

    Raises
    ------
    UsageError
        If the shape does not fit the classes.
    """
    table, names = np.asarray(counts), list(classes)
    k = len(names)
    if table.shape != (k, k):
        raise UsageError(f"a confusion matrix of {k} classes is ({k}, {k}), not {table.shape}")
    side = float(np.clip(0.44 * k, 2.2, 6.2))
    axes = axes_of(side + 1.6, side + 2.0)
    b = max(-(-k // CELLS), 1)
    cells = _largest(_shares(table), b)
    end = b * len(cells) - 0.5
    extent = (-0.5, end, end, -0.5)
    axes.imshow(cells, cmap=DENSITY, norm=_NORM, interpolation="nearest", extent=extent)
    axes.set(xlim=(-0.5, max(k, 1) - 0.5), ylim=(max(k, 1) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    axes.set(xlabel="predicted class", ylabel="true class")
    if k <= NAMED:
        _name(axes, names, side)
    else:
        _number(axes, k)
    if k <= COUNTED:
        _write(axes, table, side / max(k, 1))
    _bar(axes)
    return finished(axes)


def _shares(counts: Array) -> Float64s:
    """Give the share of each cell in its row; 0 in a row without images."""
    totals = counts.sum(axis=1, keepdims=True)
    shares: Float64s = counts / np.maximum(totals, 1)
    return shares


def _largest(shares: Float64s, b: int) -> Float64s:
    """Give the largest of each b by b shares."""
    missing = -len(shares) % b
    whole = np.pad(shares, (0, missing))
    blocks = whole.reshape(len(whole) // b, b, len(whole) // b, b)
    largest: Float64s = blocks.max(axis=(1, 3))
    return largest


def _name(axes: Axes, names: Sequence[object], side: float) -> None:
    k, shown = len(names), shorts(names)
    size = float(np.clip(72 * side / max(k, 1) * 0.7, 6.5, 9))
    steep = longest_of(shown) * size * 0.6 > 72 * side / max(k, 1)
    axes.set_yticks(range(k), labels=shown, fontsize=size)
    axes.set_xticks(range(k), labels=shown, fontsize=size)
    if steep:
        turn(axes, 45 if k <= 25 else 90)
    edges = np.arange(1, k) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", visible=True)
    axes.tick_params(which="both", length=0)


def _number(axes: Axes, k: int) -> None:
    """Number classes from 1, as few as read well."""
    step = next(s for s in (10, 20, 25, 50, 100, 200, 500, 10**9) if k / s <= 12)
    places = np.unique([1, *range(step, k + 1, step)])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(places - 1, labels=[str(place) for place in places])
    axes.set_title(f"{k} classes, numbered in their order")


def _write(axes: Axes, counts: Ints, cell: float) -> None:
    """Write counts into cells of ``cell`` inches; zeros are there, but stand back."""
    digits = len(str(counts.max(initial=0)))
    size = float(np.clip(72 * cell / (0.72 * digits + 0.4), 4, 9.5))
    depths = np.asarray(_NORM(_shares(counts)))
    for (i, j), count in np.ndenumerate(counts):
        axes.text(
            j,
            i,
            str(count),
            ha="center",
            va="center_baseline",
            fontsize=size,
            color="white" if depths[i, j] > _DEEP else INK,
            alpha=1.0 if count else 0.35,
        )


def _bar(axes: Axes) -> None:
    shades = ScalarMappable(_NORM, DENSITY)
    bar = figure_of(axes).colorbar(
        shades, ax=axes, location="bottom", shrink=0.8, aspect=28, pad=0.02, ticks=_SHARES
    )
    bar.ax.set_xticklabels([f"{share:.0%}" for share in _SHARES], fontsize=8)
    bar.set_label("share of the true class", fontsize=9)
    bar.ax.minorticks_off()
    bar.ax.grid(visible=False)
