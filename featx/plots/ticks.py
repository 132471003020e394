"""Ticks at the values that were tried, as many as can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from featx._types import Array, Float64s, Ints
from featx.plots.text import longest_of, shorts


def spaced(places: Float64s, apart: float) -> Ints:
    """Give the numbers of rising ``places`` (n,) that stand ``apart``, the last one among them.

    The last is that with all rows, or the highest value tried.
    """
    kept: list[int] = []
    for i in range(len(places) - 1, -1, -1):
        if not kept or places[kept[-1]] - places[i] >= apart:
            kept.append(i)
    return np.array(kept[::-1], dtype=np.int64)


def ticks_at(axes: Axes, values: Float64s, *, log: bool) -> None:
    """Put ticks at rising values (n,), of those that stand close together the last one."""
    places = np.log10(values) if log else values
    width = float(np.ptp(places)) if len(places) else 0.0
    labels = [f"{value:g}" for value in values]
    apart = 0.018 * max(longest_of(labels), 3) * width
    kept = spaced(places, apart)
    axes.xaxis.set_major_locator(FixedLocator(values[kept].tolist()))
    axes.set_xticks(values[kept], labels=[labels[i] for i in kept])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def names_at(axes: Axes, names: Sequence[object] | Array) -> None:
    """Write names at the places 0, 1, ... of the horizontal axis, aslant where they are long."""
    shown = shorts(names)
    dense = len(shown) > 24
    axes.set_xlim(-0.5, max(len(shown), 1) - 0.5)
    axes.set_xticks(np.arange(len(shown)), labels=shown, fontsize=7 if dense else 9)
    if longest_of(shown) * len(shown) > 70:
        turn(axes, 90 if dense else 40)


def turn(axes: Axes, degrees: float) -> None:
    """Turn the names below an axis; they end at their tick, whatever font the page has."""
    for label in axes.get_xticklabels():
        label.set(rotation=degrees, rotation_mode="anchor", horizontalalignment="right")
        label.set_verticalalignment("center" if degrees == 90 else "top")
