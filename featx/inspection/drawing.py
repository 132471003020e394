"""Draw filters and activation maps as grids, and write them as PNG files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx._files import replacing
from featx.tiles import columns_of, from_least, grid, scale_to, symmetric, to_grey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from featx._types import Array, Float32s, JsonObject

WIDTH = 1024
"""Pixels that a grid is as wide as, or somewhat less."""
BRIGHT = 0.995
"""Share of a grid's activations up to which grey levels reach; beyond it, few pixels would leave
none to the others."""
_GAP = 4
_RGB = 3


@dataclass(frozen=True, eq=False)
class Grid:
    """Tiles that are to be laid out, all on one scale.

    Attributes
    ----------
    shows
        What: ``filters``, ``before`` or ``after``.
    tiles
        (n, height, width) or (n, height, width, 3) uint8.
    columns
        Of the grid.
    black, white
        Values that these grey levels stand for; further ones are clipped.
    """

    shows: str
    tiles: Array
    columns: int
    black: float
    white: float

    def draw(self, width: int = WIDTH, gap: int = _GAP) -> Array:
        """Give the pixels: (H, W) or (H, W, 3) uint8, enlarged towards ``width`` pixels."""
        scale = scale_to(width, self.tiles.shape[2], self.columns, gap)
        return grid(self.tiles, self.columns, scale, gap)


@dataclass(frozen=True)
class Drawn:
    """A PNG file of a grid.

    Attributes
    ----------
    path
        Of the file.
    shows, black, white
        See `Grid`.
    """

    path: Path
    shows: str
    black: float
    white: float

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {**vars(self), "path": str(self.path)}


def filter_grid(weight: Float32s, rows: int) -> Grid:
    """Give the filters as tiles: middle grey is a weight of 0, black and white are -m and m.

    m is the largest weight of the grid, its sign left out. On three input channels (red, green and
    blue of an image) a filter is a tile in colour; on one, as of a depthwise convolution, a grey
    tile. Else each row is a filter and each column one of its input channels. A mean over channels
    would show a filter that is not there: weights of opposite signs cancel.

    Parameters
    ----------
    weight
        (filters, input channels, height, width) float32.
    rows
        How many filters, and of each how many input channels, are shown where each is a row.
    """
    n, channels = weight.shape[:2]
    if channels == _RGB:
        return _grid("filters", weight.transpose(0, 2, 3, 1), symmetric(weight), columns_of(n))
    if channels == 1:
        return _grid("filters", weight[:, 0], symmetric(weight), columns_of(n))
    part = weight[:rows, :rows]
    tiles = part.reshape(-1, *part.shape[2:])
    return _grid("filters", tiles, symmetric(part), part.shape[1])


def map_grids(before: Float32s, after: Float32s | None) -> list[Grid]:
    """Give the maps before and, where there is one, after the non-linearity.

    Before it middle grey is 0; after it black is the least value, which is 0 after a ReLU. The ends
    of the scale are those of 99.5 % of the grid's values.

    Parameters
    ----------
    before, after
        (maps, height, width) float32.
    """
    columns = columns_of(len(before))
    grids = [_grid("before", before, symmetric(before, BRIGHT), columns)]
    if after is not None:
        grids.append(_grid("after", after, from_least(after, BRIGHT), columns))
    return grids


def _grid(shows: str, values: Array, bounds: tuple[float, float], columns: int) -> Grid:
    return Grid(shows, to_grey(values, *bounds), columns, *bounds)


def write_all(grids: Iterator[tuple[str, Grid]], folder: Path) -> tuple[Drawn, ...]:
    """Write grids as PNG files, each whole or not at all.

    Parameters
    ----------
    grids
        (name, grid) of each; a name that comes again gets a number.
    folder
        Made where it is missing.

    Raises
    ------
    CacheWriteError
        If the folder cannot be written to.
    """
    written: dict[Path, Drawn] = {}
    for name, one in grids:
        path = _free(folder, _plain(name), written)
        _write(path, one.draw())
        written[path] = Drawn(path, one.shows, one.black, one.white)
    return tuple(written.values())


def _free(folder: Path, stem: str, taken: Mapping[Path, object]) -> Path:
    path, number = folder / f"{stem}.png", 2
    while path in taken:
        path, number = folder / f"{stem}-{number}.png", number + 1
    return path


def _write(path: Path, pixels: Array) -> None:
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG")


def _plain(text: str) -> str:
    """Give a name that every file system takes; of a long one, its end."""
    return re.sub(r"[^\w.-]+", "_", text)[-120:].strip(".") or "image"
