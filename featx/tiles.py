"""Small pictures side by side in one: how numbers become grey levels, and where each tile lies."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np

from featx._types import Array

PAPER = 255
"""Grey level between tiles."""


def symmetric(values: Array, quantile: float = 1.0) -> tuple[float, float]:
    """Give the bounds ``(-m, m)`` that put zero in the middle; m is a quantile of |values|.

    Parameters
    ----------
    values
        Of any shape.
    quantile
        0 to 1; 1 for the largest. Where that quantile is 0, the largest is taken.
    """
    m = _quantile(np.abs(values), quantile)
    return -m, m


def from_least(values: Array, quantile: float = 1.0) -> tuple[float, float]:
    """Give the bounds ``(least value, quantile)``; what `symmetric` says holds here, too."""
    low = float(values.min(initial=0.0))
    return low, low + _quantile(values - low, quantile)


def _quantile(values: Array, quantile: float) -> float:
    largest = float(values.max(initial=0.0))
    return (float(np.quantile(values, quantile)) if largest else 0.0) or largest or 1.0


def to_grey(values: Array, low: float, high: float) -> Array:
    """Give ``255 (v - low) / (high - low)`` in whole numbers, clipped to 0 (black) and 255 (white).

    Parameters
    ----------
    values
        Of any shape. One scale for all tiles of a grid lets a person compare them.

    Returns
    -------
    uint8 of that shape
    """
    unit = (values.astype(np.float64) - low) / (high - low)
    return np.asarray(np.rint(255 * np.clip(unit, 0, 1)), dtype=np.uint8)


def columns_of(n: int) -> int:
    """Give the number of columns that makes a grid of ``n`` tiles about square."""
    return max(1, ceil(sqrt(n)))


def grid(tiles: Array, columns: int, scale: int = 1, gap: int = 1) -> Array:
    """Lay tiles out row by row, from the top left, on white.

    Parameters
    ----------
    tiles
        (n, height, width) or (n, height, width, 3) uint8.
    columns
        Of the grid.
    scale
        Pixels a side that each value becomes.
    gap
        Pixels between tiles, and around them.

    Returns
    -------
    (H, W) or (H, W, 3) uint8
    """
    rows = ceil(len(tiles) / columns)
    large = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = large.shape[1] + gap, large.shape[2] + gap
    out = np.full((rows * height + gap, columns * width + gap, *tiles.shape[3:]), PAPER, np.uint8)
    for i, tile in enumerate(large):
        top, left = (i // columns) * height + gap, (i % columns) * width + gap
        out[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return out


def scale_to(size: int, tile: int, columns: int, gap: int) -> int:
    """Give the whole number by which tiles are enlarged for a grid at most ``size`` pixels wide.

    Parameters
    ----------
    tile
        Width of a tile, in values.
    columns, gap
        See `grid`.
    """
    return max(1, ((size - gap) // columns - gap) // tile)
