"""Draw filters and activation maps as grids, and write them as PNG files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx._files import replacing
from featx.tiles import columns_of, grid, scale_to, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import Array, Float32s
    from featx.inspection.result import Inspected, Inspection

WIDTH = 896
"""Pixels that a grid is about as wide as."""
_GAP = 4
_RGB = 3


@dataclass(frozen=True, eq=False)
class Grid:
    """Tiles that are to be laid out.

    Attributes
    ----------
    name
        What they show: filters, before or after.
    tiles
        (n, height, width) or (n, height, width, 3) uint8.
    columns
        Of the grid.
    """

    name: str
    tiles: Array
    columns: int

    def draw(self, width: int = WIDTH, gap: int = _GAP) -> Array:
        """Give the pixels: (H, W) or (H, W, 3) uint8, enlarged towards ``width`` pixels."""
        scale = scale_to(width, self.tiles.shape[2], self.columns, gap)
        return grid(self.tiles, self.columns, scale, gap)


def filter_grid(found: Inspection) -> Grid:
    """Give the filters as tiles; the middle grey is a weight of zero.

    On three input channels (the image's red, green and blue) a filter is a tile in colour; on one,
    as of a depthwise convolution, a grey tile. Else each row is a filter and each column one of its
    input channels, both up to the number of maps: a mean over channels would show a filter that is
    not there, as weights of opposite signs cancel.
    """
    weight: Float32s = found.filters
    if weight.shape[1] == _RGB:
        return Grid("filters", signed(weight.transpose(0, 2, 3, 1)), columns_of(len(weight)))
    if weight.shape[1] == 1:
        return Grid("filters", signed(weight[:, 0]), columns_of(len(weight)))
    part = weight[: found.maps, : found.maps]
    return Grid("filters", signed(part.reshape(-1, *part.shape[2:])), part.shape[1])


def map_grids(image: Inspected) -> list[Grid]:
    """Give the maps before and, where there is one, after the non-linearity."""
    both = {"before": image.before, "after": image.after}
    return [Grid(n, signed(v), columns_of(len(v))) for n, v in both.items() if v is not None]


def write_all(found: Inspection, folder: Path) -> tuple[Path, ...]:
    """Write every grid, each whole or not at all, and give the files' names.

    Raises
    ------
    CacheWriteError
        If the folder cannot be written to.
    """
    written: dict[Path, None] = {}
    for stem, one in _named(found):
        path = folder / f"{stem}.png"
        number = 2
        while path in written:
            path, number = folder / f"{stem}-{number}.png", number + 1
        _write(path, one.draw())
        written[path] = None
    return tuple(written)


def _named(found: Inspection) -> Iterator[tuple[str, Grid]]:
    where = _plain(f"{found.backbone}-{found.layer}")
    yield f"{where}-filters", filter_grid(found)
    for image in found.images:
        item = f"-{image.item}" if image.item else ""
        for one in map_grids(image):
            yield f"{_plain(Path(image.path).stem)}{item}-{where}-{one.name}", one


def _write(path: Path, pixels: Array) -> None:
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG")


def _plain(text: str) -> str:
    """Give a name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", text)[:80].strip(".") or "image"
