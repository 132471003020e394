"""Small pictures side by side in one: how numbers become grey levels, and where each tile lies."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np

from featx._types import Array

PAPER = 255
"""Grey level between tiles."""


def signed(values: Array) -> Array:
    """Give grey levels of which the middle one is zero: ``128 + 127 v / m``, m the largest |v|.

    Parameters
    ----------
    values
        Of any shape; all are scaled by the one ``m``, so that tiles of a grid can be compared.

    Returns
    -------
    uint8 of that shape
    """
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    return np.rint(128 + 127 * (values / largest)).astype(np.uint8)


def columns_of(n: int) -> int:
    """Give the number of columns that makes a grid of ``n`` tiles about square."""
    return max(1, ceil(sqrt(n)))


def grid(tiles: Array, columns: int | None = None, scale: int = 1, gap: int = 1) -> Array:
    """Lay tiles out row by row, from the top left, on white.

    Parameters
    ----------
    tiles
        (n, height, width) or (n, height, width, 3) uint8.
    columns
        Of the grid; None for about as many as rows.
    scale
        Pixels a side that each value becomes.
    gap
        Pixels between tiles, and around them.

    Returns
    -------
    (H, W) or (H, W, 3) uint8
    """
    columns = columns_of(len(tiles)) if columns is None else columns
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
