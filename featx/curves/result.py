"""The learning curve: a table and a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from featx import _html

if TYPE_CHECKING:
    from featx._types import JsonObject


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """How good a head is with fewer labels.

    Attributes
    ----------
    metric
        What is shown.
    n
        Rows that have a target.
    table
        One size a row, the smallest first: ``size`` (training rows of each class, or of all for a
        regression; ``all``), ``rows`` (training rows in the mean), ``draws``, ``fits``, the metric
        (the mean over folds and draws) with its ``_std`` (over folds and draws: what a single
        training set may be off by), ``_low`` and ``_high`` (95 %, of the mean).
    fits
        One fit a row: ``size``, ``draw``, ``fold``, ``rows``, ``tested``, the metric,
        ``converged`` and what was chosen.
    verdict
        What more labels give.
    how, notes
        How it was estimated, and what to know of it.
    origin
        What it was made from, and the command that repeats it; see `featx.origin`.
    """

    head: str
    task: str
    metric: str
    n: int
    table: pd.DataFrame
    fits: pd.DataFrame
    verdict: str
    how: str
    notes: tuple[str, ...]
    target: str = ""
    features: str = ""
    data: str = ""
    seconds: float = 0.0
    origin: JsonObject = field(default_factory=dict, repr=False)

    @property
    def unit(self) -> str:
        """What a size counts."""
        return "rows a class" if self.task == "classification" else "rows"

    def cells(self, plus_minus: str = "±") -> list[list[str]]:
        """Give the table as it is shown, its header first."""
        sizes = "a class" if self.task == "classification" else "size"
        rows = [
            [
                row["size"],
                f"{row['rows']:.0f}",
                f"{row['fits']}",
                _number(row[self.metric]) + _spread(row[f"{self.metric}_std"], plus_minus),
                _interval(row[f"{self.metric}_low"], row[f"{self.metric}_high"]),
            ]
            for row in self.table.to_dict(orient="records")
        ]
        return [[sizes, "training rows", "fits", f"{self.metric} {plus_minus} std", "95 %"], *rows]

    def to_csv(self) -> str:
        """Give the table as CSV, numbers in full."""
        text: str = self.table.to_csv(index=False, lineterminator="\n")
        return text

    def to_json(self) -> JsonObject:
        """Give everything as a JSON object, null for what there is not."""
        return {
            "head": self.head,
            "task": self.task,
            "target": self.target,
            "data": self.data,
            "features": self.features,
            "n": self.n,
            "metric": self.metric,
            "unit": self.unit,
            "points": _records(self.table),
            "fits": _records(self.fits),
            "verdict": self.verdict,
            "how": self.how,
            "notes": list(self.notes),
            "seconds": self.seconds,
            "origin": self.origin,
        }

    def _shown(self) -> pd.DataFrame:
        header, *rows = self.cells()
        return pd.DataFrame(rows, columns=header)

    def __repr__(self) -> str:
        return "\n".join([self._shown().to_string(index=False), self.verdict, self.how])

    def _repr_html_(self) -> str:
        header, *rows = self.cells()
        shown = _html.table(header, rows, right=range(len(header)))
        verdict = _html.lines([self.verdict], bold=True)
        return shown + verdict + _html.lines((self.how, *self.notes))


def _number(value: float) -> str:
    decimals = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 3
    return "-" if math.isnan(value) else f"{value:,.{decimals}f}"


def _spread(value: float, plus_minus: str) -> str:
    return "" if math.isnan(value) else f" {plus_minus} {_number(value)}"


def _interval(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{_number(low)} to {_number(high)}"


def _records(table: pd.DataFrame) -> list[JsonObject]:
    rows = table.to_dict(orient="records")
    return [{str(k): None if _is_lost(v) else v for k, v in row.items()} for row in rows]


def _is_lost(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
