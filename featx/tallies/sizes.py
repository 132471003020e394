"""Widths, heights and proportions of many images, from how often each size occurs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from featx._types import Float64s, Ints, JsonObject

MOST_SHOWN = 5
"""Frequent sizes that are named."""


@dataclass(frozen=True)
class Spread:
    """The least, the middle and the greatest of some values."""

    least: float
    median: float
    greatest: float

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {"min": self.least, "median": self.median, "max": self.greatest}


@dataclass(frozen=True)
class Sizes:
    """How large images are.

    Attributes
    ----------
    width, height
        In pixels, of the upright image.
    aspect
        Width by height.
    distinct
        How many sizes there are.
    frequent
        (width, height, images) of the most frequent ones, the most frequent first.
    """

    width: Spread
    height: Spread
    aspect: Spread
    distinct: int
    frequent: tuple[tuple[int, int, int], ...]

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        names = ("width", "height", "images")
        return {
            "width": self.width.to_json(),
            "height": self.height.to_json(),
            "aspect": self.aspect.to_json(),
            "distinct": self.distinct,
            "frequent": [dict(zip(names, one, strict=True)) for one in self.frequent],
        }


def describe_sizes(counts: Mapping[tuple[int, int], int]) -> Sizes | None:
    """Describe sizes, of which ``counts`` says for each (width, height) how often it occurs."""
    if not counts:
        return None
    sizes = np.array(list(counts), dtype=np.int64)
    n = np.fromiter(counts.values(), dtype=np.int64, count=len(counts))
    width, height = sizes.T
    frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_SHOWN]
    return Sizes(
        _spread(width.astype(np.float64), n),
        _spread(height.astype(np.float64), n),
        _spread(width / height, n),
        len(counts),
        tuple((w, h, k) for (w, h), k in frequent),
    )


def _spread(values: Float64s, n: Ints) -> Spread:
    """Describe values of which each occurs ``n`` times, as if each were written out."""
    order = np.argsort(values)
    values, ends = values[order], np.cumsum(n[order])
    total = int(ends[-1])
    middle: Sequence[int] = ((total - 1) // 2, total // 2)
    low, high = (float(values[np.searchsorted(ends, k, side="right")]) for k in middle)
    return Spread(float(values[0]), (low + high) / 2, float(values[-1]))
