"""How far what a graph says lies from what featx says of the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx._words import count
from featx.errors import NumericsError

if TYPE_CHECKING:
    from featx._types import Array, JsonObject

TOLERANCE = 1e-3
"""Of the largest difference. Two runtimes that sum float32 in other orders differ by 1e-6 to 1e-4,
growing with depth; vectors rounded to float16 for storage move scores by some 1e-4 themselves; a
forgotten mean, another order of channels or a wrong layer moves them by 1e-1 and more."""


@dataclass(frozen=True)
class Parity:
    """What a comparison over ``images`` images gave.

    Attributes
    ----------
    origin
        What the images are.
    difference
        The largest ``|graph - reference|`` over images and columns, divided by the root mean
        square of the reference's; the reference is torch in fp32 and the scikit-learn head.
    stored_difference
        The same where the reference's vectors are rounded as the cache stores them, which is what
        `featx predict` does.
    same_labels
        Share of images with the reference's label; None for a regression.
    """

    images: int
    origin: str
    difference: float
    stored_difference: float
    same_labels: float | None

    def check(self) -> None:
        """Raise where the difference is out of tolerance.

        Raises
        ------
        NumericsError
            Then.
        """
        if not self.difference <= TOLERANCE:  # NaN is none either
            raise NumericsError(
                f"what the graph says differs from featx by {self.difference:.2g} of its size "
                f"over {count(self.images, 'image')} ({self.origin}), expected at most "
                f"{TOLERANCE:g}: nothing was written; try the other format of --to"
            )

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {
            "images": self.images,
            "origin": self.origin,
            "largest_difference": self.difference,
            "largest_difference_to_stored": self.stored_difference,
            "tolerance": TOLERANCE,
            "same_labels": self.same_labels,
        }


def difference(values: Array, reference: Array) -> float:
    """Give ``max |values - reference| / sqrt(mean reference^2)``; NaN where one is not finite."""
    size = np.sqrt(np.mean(np.square(reference, dtype=np.float64)))
    worst = np.max(np.abs(values.astype(np.float64) - reference))
    return float(worst / max(size, np.finfo(np.float32).tiny))
