"""What was found in a set of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx import _html

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featx._types import JsonObject
    from featx.tallies import Amounts, Clash, Classes, Column, Pixels, Sizes


@dataclass(frozen=True)
class Failed:
    """An image that could not be read.

    Attributes
    ----------
    option
        Whether it could be read with an option, which ``reason`` names.
    """

    path: str
    reason: str
    option: bool

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {"path": self.path, "reason": self.reason, "needs_option": self.option}


@dataclass(frozen=True)
class Sides:
    """Which rows train, and what their pixels come to.

    Attributes
    ----------
    column
        That says it; ``split`` of train, val and test folders.
    counts
        Rows of each side, unreadable ones among them; those of none are not counted.
    train
        Of the rows that train; None where none of them can be read.
    """

    column: str
    counts: Mapping[str, int]
    train: Pixels | None

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        train = None if self.train is None else self.train.to_json()
        return {"column": self.column, "rows": dict(self.counts), "train_pixels": train}


@dataclass(frozen=True)
class Copies:
    """Images that occur more than once.

    Attributes
    ----------
    same_bytes
        Paths of files with the same bytes, the largest group first.
    same_pixels
        Paths of files that show the same pixels, not all of them with the same bytes.
    contradicting
        For each target, the images whose rows have different values.
    across
        The images that are on several sides of the split.
    paths
        (n,) of all rows, which the rows of a clash count.
    """

    same_bytes: tuple[tuple[str, ...], ...]
    same_pixels: tuple[tuple[str, ...], ...]
    contradicting: Mapping[str, tuple[Clash, ...]]
    across: tuple[Clash, ...]
    paths: tuple[str, ...]

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {
            "same_bytes": [list(group) for group in self.same_bytes],
            "same_pixels": [list(group) for group in self.same_pixels],
            "contradicting": {
                column: [clash.to_json(self.paths) for clash in found]
                for column, found in self.contradicting.items()
            },
            "across_split": [clash.to_json(self.paths) for clash in self.across],
        }


@dataclass(frozen=True)
class Stats:
    """What a set of images is like.

    Attributes
    ----------
    data, description
        Name of the data set, and where it came from.
    images, files, ignored
        Rows; files that they name; other files of a folder, which have no image extension.
    size_bytes
        Of all files that could be read; None for images in memory and in arrays.
    failed
        One for each row whose image could not be read, in order.
    kinds
        Files of each format and mode, the most frequent first.
    sizes
        Of every page that was read; None where nothing was.
    pixels
        Of all rows; None where nothing was read.
    sides
        None where no column says which rows train.
    targets, columns
        Columns that a head may predict, and all columns in brief.
    copies
        Images that occur more than once.
    notes
        What to know.
    """

    data: str
    description: str
    images: int
    files: int
    ignored: int
    size_bytes: int | None
    failed: tuple[Failed, ...]
    kinds: Mapping[str, int]
    sizes: Sizes | None
    pixels: Pixels | None
    sides: Sides | None
    targets: tuple[Classes | Amounts, ...]
    columns: tuple[Column, ...]
    copies: Copies
    notes: tuple[str, ...]

    @property
    def normalize(self) -> Pixels | None:
        """What to normalize with: of the rows that train where that is said, else of all."""
        return self.pixels if self.sides is None else self.sides.train

    def to_json(self) -> JsonObject:
        """Give everything as a JSON object, null for what there is not."""
        sizes, pixels, sides = (
            None if part is None else part.to_json()
            for part in (self.sizes, self.pixels, self.sides)
        )
        return {
            "data": self.data,
            "description": self.description,
            "images": self.images,
            "files": self.files,
            "ignored": self.ignored,
            "bytes": self.size_bytes,
            "failed": [one.to_json() for one in self.failed],
            "kinds": dict(self.kinds),
            "sizes": sizes,
            "pixels": pixels,
            "split": sides,
            "targets": [target.to_json() for target in self.targets],
            "columns": [column.to_json() for column in self.columns],
            "copies": self.copies.to_json(),
            "notes": list(self.notes),
        }

    def _facts(self) -> list[tuple[str, str]]:
        facts = [("images", f"{self.images:,}"), ("failed", f"{len(self.failed):,}")]
        if self.sizes is not None:
            w, h = self.sizes.width, self.sizes.height
            facts += [("width", f"{w.least:g} to {w.greatest:g}, median {w.median:g}")]
            facts += [("height", f"{h.least:g} to {h.greatest:g}, median {h.median:g}")]
        if self.normalize is not None:
            whose = "" if self.sides is None else " of the training rows"
            facts += [(f"mean{whose}", _three(self.normalize.mean))]
            facts += [(f"std{whose}", _three(self.normalize.std))]
        facts += [("groups with the same bytes", f"{len(self.copies.same_bytes):,}")]
        facts += [("groups with the same pixels only", f"{len(self.copies.same_pixels):,}")]
        return facts

    def __repr__(self) -> str:
        facts = "; ".join(f"{name} {value}" for name, value in self._facts())
        return f"<Stats of {self.data}: {facts}>"

    def _repr_html_(self) -> str:
        return _html.lines([self.data], bold=True) + _html.facts(dict(self._facts()))


def _three(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
