"""Add up what was seen of each file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from featx.surveying.result import Failed
from featx.tallies import NO_PIXELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx.surveying.reading import File, Seen


class Tally:
    """The counts so far. Pixels count once for each row that names their file.

    Attributes
    ----------
    kinds
        Files of each format and mode.
    sizes
        Pages, of files, of each (width, height).
    pixels, train
        Of all rows, and of those that train.
    bytes_of, pixels_of
        For each file, the digest of its bytes and of its pixels; None where there is none.
    """

    def __init__(self, sides: Sequence[str | None]) -> None:
        self.kinds: Counter[str] = Counter()
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.pixels = self.train = NO_PIXELS
        self.size_bytes: int | None = None
        self.failed: list[tuple[int, Failed]] = []
        self.bytes_of: list[bytes | None] = []
        self.pixels_of: list[bytes | None] = []
        self._sides = sides

    def add(self, file: File, seen: Seen) -> None:
        """Count one file."""
        self.bytes_of.append(seen.digest)
        self.pixels_of.append(seen.look.digest if seen.look else None)
        if seen.size_bytes is not None:
            self.size_bytes = (self.size_bytes or 0) + seen.size_bytes
        if seen.look is None:
            bad = Failed(file.entry.path, seen.reason, seen.option)
            self.failed += [(row, bad) for row in file.rows]
            return
        self.kinds.update({f"{seen.look.format} {mode}" for mode in seen.look.modes})
        self.sizes.update(seen.look.sizes)
        self.pixels += seen.look.pixels.times(len(file.rows))
        training = sum(self._sides[row] == "train" for row in file.rows)
        if training:
            self.train += seen.look.pixels.times(training)
