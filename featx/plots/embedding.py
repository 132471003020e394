"""Vectors of images as points of a plane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from featx._types import Array, Float64s
from featx.errors import UsageError
from featx.plots.style import (
    COLOURS,
    GREY,
    MARKERS,
    VALUES,
    WIDTH,
    axes_of,
    figure_of,
    finished,
    legend_below,
    styled,
)
from featx.plots.text import longest_of, short, shorts

CLASSES = 20
"""Most classes with a colour and sign of their own."""
OTHER = "other"
NONE = "(no value)"


@styled()
def embedding_map(
    xy: ArrayLike,
    labels_or_values: Sequence[object] | Array,
    *,
    target: str,
    kind: Literal["classes", "values"] | None = None,
    axis_names: tuple[str, str] = ("", ""),
) -> Figure:
    """Draw points of a plane in the colour of their class or of their number.

    The axes have no ticks: maps such as t-SNE's or UMAP's have no units. Points are one image.

    Parameters
    ----------
    xy : (n, 2) float
        Rows with a NaN are left out.
    labels_or_values : (n,)
        Classes, of which each has a colour and a sign; of more than 20, the 19 with most points,
        and ``other``. Or numbers, which have a colour bar.
    target
        What they are.
    kind
        Which of both; None: floating-point numbers are values, and so are whole ones with more than
        20 different values.

    axis_names
        What the two coordinates are, where they have a name.

    Raises
    ------
    UsageError
        If there is not one label or value a row.
    """
    points, given = np.asarray(xy, dtype=np.float64), np.asarray(labels_or_values)
    if points.ndim != 2 or points.shape[1] != 2 or given.shape != (len(points),):
        raise UsageError(
            f"a map needs (n, 2) places and n labels, not {points.shape} and {given.shape}"
        )
    there = np.isfinite(points).all(axis=1)
    points, given = points[there], given[there]
    axes = axes_of(WIDTH, 4.8)
    across, up = (short(name, 48) if name else "" for name in axis_names)
    axes.set(xticks=[], yticks=[], xlabel=across, ylabel=up)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_alpha(0.4)
    if (kind or _kind(given)) == "values":
        _draw_values(axes, points, given.astype(np.float64), target)
    else:
        _draw_classes(axes, points, given, target)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(f"n = {len(points):,}")
    return finished(axes)


def _kind(given: Array) -> Literal["classes", "values"]:
    whole = given.dtype.kind in "iu" and len(np.unique(given)) > CLASSES
    return "values" if whole or given.dtype.kind == "f" else "classes"


def _size(n: int) -> float:
    """Give the area of a point in square points, less where there are many."""
    return float(np.interp(np.log10(max(n, 1)), [2, 3, 4, 5], [34, 18, 7, 2.2]))


def _draw_values(axes: Axes, points: Float64s, values: Float64s, target: str) -> None:
    told = np.isfinite(values)
    size = _size(len(points))
    if not told.all():
        x, y = points[~told].T
        axes.scatter(x, y, s=size, c=GREY, alpha=0.5, linewidths=0, rasterized=True)
    x, y = points[told].T
    dots = axes.scatter(
        x, y, s=size, c=values[told], cmap=VALUES, alpha=0.85, linewidths=0, rasterized=True
    )
    if told.any():
        bar = figure_of(axes).colorbar(dots, ax=axes, shrink=0.7, aspect=24, pad=0.02)
        bar.set_label(short(target, 40))
        bar.ax.grid(visible=False)
    if not told.all():
        legend_below(axes, [_sign(GREY, "o", NONE)])


def _draw_classes(axes: Axes, points: Float64s, labels: Array, target: str) -> None:
    """Draw the largest class first, so that no small one lies under it."""
    names = [NONE if _is_none(label) else str(label) for label in labels.tolist()]
    groups = _groups(names)
    shown = np.array([name if name in groups else OTHER for name in names], dtype=object)
    handles = []
    rest = [name for name in groups if name in (OTHER, NONE)]
    for name in [*rest, *(name for name in groups if name not in rest)]:
        colour, marker = groups[name]
        x, y = points[shown == name].T
        axes.scatter(
            x, y, s=_size(len(points)), c=colour, marker=marker, alpha=0.8, linewidths=0,
            rasterized=True,
        )  # fmt: skip
        handles.append(_sign(colour, marker))
    ordered = [*handles[len(rest) :], *handles[: len(rest)]]
    _legend(axes, ordered, [name for name in groups if name not in rest] + rest, target)


def _sign(colour: str, marker: str, label: str = "") -> Line2D:
    """Give what stands for a class in a legend."""
    return Line2D([], [], color=colour, marker=marker, linewidth=0, markersize=6, label=label)


def _is_none(label: object) -> bool:
    return label is None or label != label  # NaN is not itself


def _groups(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Give the colour and sign of each class that has its own, by falling number of points."""
    counts = Counter(name for name in names if name != NONE)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    own = ranked if len(ranked) <= CLASSES else ranked[: CLASSES - 1]
    kinds = [(colour, marker) for marker in MARKERS for colour in COLOURS]
    groups = dict(zip(own, kinds, strict=False))
    if len(own) < len(ranked):
        groups[OTHER] = (GREY, "o")
    if NONE in names:
        groups[NONE] = (GREY, "s")
    return groups


def _legend(axes: Axes, handles: Sequence[Line2D], names: Sequence[str], target: str) -> None:
    """Name the classes below the map; a name that begins with ``_`` is one, too."""
    if not handles:
        return
    shown, figure = shorts(names), figure_of(axes)
    n = int(np.clip(56 // (longest_of(shown) + 4), 1, 5))
    figure.set_figheight(4.4 + 0.18 * -(-len(names) // n))
    legend = figure.legend(
        handles,
        [str(i) for i in range(len(handles))],
        loc="outside lower center",
        ncols=n,
        title=short(target, 28),
        fontsize=8.5,
        alignment="left",
    )
    for text, name in zip(legend.get_texts(), shown, strict=True):
        text.set_text(name)
