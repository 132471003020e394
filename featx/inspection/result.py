"""What was found inside a backbone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from featx.inspection.drawing import Drawn, Grid, filter_grid, map_grids, write_all
from featx.inspection.words import lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import Array, Float32s, JsonObject, PathLike


@dataclass(frozen=True)
class Guess:
    """One class that the network sees in an image.

    Attributes
    ----------
    category
        Its name, as the weights have it.
    probability
        Softmax of the scores over all classes, 0 to 1.
    index
        Of the class, from 0.
    """

    category: str
    probability: float
    index: int

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return vars(self).copy()


@dataclass(frozen=True, eq=False)
class Inspected:
    """What one image does inside the network.

    Attributes
    ----------
    path
        As it was given.
    item
        Page, channel or frame of that file; 0 as a rule.
    pixels
        (height, width, 3) what the network saw, before normalisation.
    top
        The most probable classes, falling; empty where the network names none.
    before
        (maps, height, width) float32: what the convolution gives.
    after
        The same maps after the non-linearity; None where none follows.
    """

    path: str
    item: int
    pixels: Array = field(repr=False)
    top: tuple[Guess, ...]
    before: Float32s = field(repr=False)
    after: Float32s | None = field(repr=False)

    def to_json(self) -> JsonObject:
        """Give it as a JSON object, maps left out."""
        return {"path": self.path, "item": self.item, "top": [g.to_json() for g in self.top]}

    def map_grids(self) -> list[Grid]:
        """Give the maps as tiles; see `featx.inspection.drawing.map_grids`."""
        return map_grids(self.before, self.after)


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """A convolution of a backbone, and what images do there and at the end.

    Attributes
    ----------
    backbone, weights
        Names.
    layer
        Node of the convolution.
    filters
        (filters, input channels, height, width) float32: all of its weights.
    groups
        Of channels that are convolved apart.
    through
        What stands between it and the non-linearity, as ``LAYER (OPERATION)``.
    nonlinearity, operation
        Node of the non-linearity that follows, and what it is; empty where none does.
    instead
        What comes where none follows, in words.
    maps
        How many activation maps are kept, the first ones.
    images
        One for each image, or item of it, in order.
    failed
        (path, reason) of images that could not be read.
    why_no_top
        Why no class is named; empty where classes are.
    notes
        How images were prepared, and what was assumed.
    files
        The grids that were written, and which values their black and white stand for.
    """

    backbone: str
    weights: str
    layer: str
    filters: Float32s
    groups: int
    through: tuple[str, ...]
    nonlinearity: str
    operation: str
    instead: str
    maps: int
    images: tuple[Inspected, ...]
    failed: tuple[tuple[str, str], ...] = ()
    why_no_top: str = ""
    notes: tuple[str, ...] = ()
    files: tuple[Drawn, ...] = ()

    def __repr__(self) -> str:
        return "\n".join(lines(self.to_json()))

    def to_json(self) -> JsonObject:
        """Give it as a JSON object: names and numbers, no filters and maps."""
        filters, channels, height, width = self.filters.shape
        return {
            "backbone": self.backbone,
            "weights": self.weights,
            "layer": self.layer,
            "filters": filters,
            "input_channels": channels,
            "kernel": [height, width],
            "groups": self.groups,
            "through": list(self.through),
            "nonlinearity": self.nonlinearity or None,
            "operation": self.operation or None,
            "instead": self.instead or None,
            "maps": self.maps,
            "map_size": list(self.images[0].before.shape[1:]),
            "images": [image.to_json() for image in self.images],
            "failed": [{"path": path, "reason": reason} for path, reason in self.failed],
            "why_no_top": self.why_no_top or None,
            "notes": list(self.notes),
            "files": [file.to_json() for file in self.files],
        }

    def save(self, folder: PathLike) -> Inspection:
        """Write the grids of filters and maps as PNG files; give the same, with their names.

        Parameters
        ----------
        folder
            Made where it is missing. Files of the same names are replaced.

        Raises
        ------
        CacheWriteError
            If the folder cannot be written to.
        """
        return replace(self, files=write_all(self._named(), Path(folder)))

    def filter_grid(self) -> Grid:
        """Give the filters as tiles; see `featx.inspection.drawing.filter_grid`."""
        return filter_grid(self.filters, self.maps)

    def _named(self) -> Iterator[tuple[str, Grid]]:
        where = f"{self.backbone}-{self.layer}"
        yield f"{where}-filters", self.filter_grid()
        for image in self.images:
            item = f"-{image.item}" if image.item else ""
            for one in image.map_grids():
                yield f"{Path(image.path).stem}{item}-{where}-{one.shows}", one
