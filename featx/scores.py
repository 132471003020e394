"""A score with its spread and its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from featx._types import JsonObject


@dataclass(frozen=True)
class Score:
    """One metric of one head.

    Attributes
    ----------
    mean, std
        Over the splits of the estimate; ``std`` is NaN for a single split.
    low, high
        Ends of the 95 % interval; NaN where there is none.
    n
        Tested rows.
    splits
        Splits where the metric is defined.
    how
        How the interval was made, or why there is no value.
    """

    mean: float
    std: float
    low: float
    high: float
    n: int
    splits: int
    how: str

    def to_json(self) -> JsonObject:
        """Give the score as JSON values, null for NaN."""
        numbers = {"mean": self.mean, "std": self.std, "low": self.low, "high": self.high}
        return {
            **{k: v if math.isfinite(v) else None for k, v in numbers.items()},
            "n": self.n,
            "splits": self.splits,
            "how": self.how,
        }
