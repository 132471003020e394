"""Which columns beside the images a head could predict, as far as their values say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from featx.errors import TargetError
from featx.sources.folder import SPLITS
from featx.targets import (
    as_labels,
    as_numbers,
    called_identity,
    has_value,
    mostly_amounts,
    refuse_decimal_commas,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import JsonObject

MOST_ROWS = 20_000
"""Rows of a column that are looked at, evenly over the table."""
LEAST = 5
"""Rows that a class needs: so many folds has a fit unless others are asked for."""


_NO_VALUE = {"nan", "na", "n/a", "#n/a", "null", "none", "nil", "-", "?", "."}
"""What stands for a missing number in many tables; a fit takes it for one where it is told to."""


def roles(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, JsonObject]:
    """Give what each column could serve for.

    ``{"role": "classification"}``, ``"regression"`` or ``"split"``; of classes also ``least``, the
    rows of the smallest one, of numbers ``missing``, the texts that stand for none. Columns that
    serve for nothing are left out: names, numbers of rows, a single class, and, unless the column
    is called ``label``, classes of fewer than five rows.
    """
    found = {name: _role(name, frame[name]) for name in columns}
    return {name: role for name, role in found.items() if role is not None}


def _role(name: str, column: pd.Series[Any]) -> JsonObject | None:
    values = column.iloc[:: max(1, len(column) // MOST_ROWS)].to_numpy(dtype=object)
    values = values[has_value(values, ())]
    if not len(values):
        return None
    sides = {SPLITS.get(str(value).strip().lower()) for value in values}
    if None not in sides and {"train", "test"} <= sides:
        return {"role": "split"}
    if mostly_amounts(values):
        marks = sorted({v for v in map(str, values) if v.strip().casefold() in _NO_VALUE})
        values = values[has_value(values, marks)]
        usable = as_numbers(values) is not None and not called_identity(name)
        if not usable or len(set(values)) < 2:
            return None
        return {"role": "regression"} | ({"missing": marks} if marks else {})
    try:
        refuse_decimal_commas(values, name)
    except TargetError:
        return None
    counts = np.unique(as_labels(values), return_counts=True)[1]
    if int((counts >= (1 if name == "label" else LEAST)).sum()) < 2:
        return None
    return {"role": "classification", "least": int(counts.min())}
