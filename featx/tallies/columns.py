"""Columns of a table: what they hold, how often each class occurs, how numbers spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._types import Array, Float64s, JsonObject
from featx.targets import as_labels, as_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Column:
    """A column in brief.

    Attributes
    ----------
    kind
        ``text``, ``numbers``, ``whole numbers``, ``true or false``, ``nothing``.
    distinct, missing
        How many values are different, and how many rows have none.
    """

    name: str
    kind: str
    distinct: int
    missing: int

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {
            "column": self.name,
            "kind": self.kind,
            "distinct": self.distinct,
            "missing": self.missing,
        }


@dataclass(frozen=True)
class Classes:
    """How often each class of a column occurs.

    Attributes
    ----------
    n, missing
        Rows that have a class, and that have none.
    counts
        Rows of each class, the most frequent first; none where no row has one.
    """

    column: str
    n: int
    missing: int
    counts: Mapping[str, int]

    @property
    def frequent(self) -> tuple[str, int]:
        """The most frequent class and its rows."""
        return next(iter(self.counts.items()))

    @property
    def rare(self) -> tuple[str, int]:
        """The rarest class and its rows."""
        return list(self.counts.items())[-1]

    def to_json(self) -> JsonObject:
        """Give it as a JSON object; shares are of the rows that have a class."""
        ends = {}
        if self.n:
            pairs = {"most_frequent": self.frequent, "rarest": self.rare}
            ends = {
                key: {"class": name, "rows": rows, "share": rows / self.n}
                for key, (name, rows) in pairs.items()
            }
        about = {"column": self.column, "task": "classification", "rows": self.n}
        return {**about, "missing": self.missing, **ends, "counts": dict(self.counts)}


@dataclass(frozen=True)
class Amounts:
    """How the numbers of a column spread.

    Attributes
    ----------
    n, missing
        Rows that have a number, and that have nothing.
    strange
        Values that are no number, and how often each occurs.
    mean, std
        The standard deviation is that of a sample (n - 1); NaN where there is one row.
    quartiles
        (5,) least, lower quartile, median, upper quartile, greatest (Hyndman and Fan's type 7).
    """

    column: str
    n: int
    missing: int
    strange: Mapping[str, int]
    mean: float
    std: float
    quartiles: tuple[float, ...]

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        names = ("min", "q1", "median", "q3", "max")
        about = {"column": self.column, "task": "regression", "rows": self.n}
        return {
            **about,
            "missing": self.missing,
            "no_number": dict(self.strange),
            "mean": self.mean,
            "std": self.std,
            **dict(zip(names, self.quartiles, strict=True)),
        }


def describe_column(name: str, values: Array, there: NDArray[np.bool_]) -> Column:
    """Describe (n,) values, of which ``there`` says which rows have one."""
    present = values[there]
    distinct = len({str(value) for value in present})
    return Column(name, _kind(present), distinct, int(len(values) - len(present)))


def describe_target(
    name: str, values: Array, there: NDArray[np.bool_], numbers: Float64s | None
) -> Classes | Amounts:
    """Describe what a head would predict.

    Parameters
    ----------
    values
        (n,) as the table holds them.
    there
        (n,) which rows have a value.
    numbers
        (n,) where they are amounts: the values, NaN where a row has none or no number; None where
        they are classes.
    """
    missing = int(len(values) - there.sum())
    if numbers is None:
        counts = Counter(str(label) for label in as_labels(values[there]).tolist())
        order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return Classes(name, len(values) - missing, missing, dict(order))
    known = np.isfinite(numbers)
    x = numbers[known]
    strange = Counter(str(value) for value in values[there & ~known])
    std = float(x.std(ddof=1)) if len(x) > 1 else float("nan")
    quartiles = np.percentile(x, [0, 25, 50, 75, 100]).tolist()
    return Amounts(
        name, len(x), missing, dict(strange.most_common()), float(x.mean()), std, tuple(quartiles)
    )


def _kind(present: Array) -> str:
    if not len(present):
        return "nothing"
    if all(isinstance(value, bool | np.bool_) for value in present):
        return "true or false"
    numbers: Array | None = as_numbers(present)
    if numbers is None:
        return "text"
    kinds: dict[Any, str] = {"i": "whole numbers", "f": "numbers"}
    return kinds[numbers.dtype.kind]
