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
    task_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import Array

MOST_ROWS = 20_000
"""Rows of a column that are looked at, evenly over the table."""
LEAST = 5
"""Rows that a class needs: so many folds has a fit unless others are asked for."""


def roles(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """Give what each column could serve for: ``classification``, ``regression`` or ``split``.

    Columns that serve for nothing are left out: names, numbers of rows, a single class, classes
    of fewer than five rows.
    """
    found = {name: _role(name, frame[name]) for name in columns}
    return {name: role for name, role in found.items() if role is not None}


def _role(name: str, column: pd.Series[Any]) -> str | None:
    values = column.iloc[:: max(1, len(column) // MOST_ROWS)].to_numpy(dtype=object)
    values = values[has_value(values, ())]
    if not len(values):
        return None
    sides = {SPLITS.get(str(value).strip().lower()) for value in values}
    if None not in sides and {"train", "test"} <= sides:
        return "split"
    if mostly_amounts(values):
        usable = as_numbers(values) is not None and not called_identity(name)
        return task_of(values)[0] if usable and len(set(values)) > 1 else None
    try:
        refuse_decimal_commas(values, name)
    except TargetError:
        return None
    return "classification" if _are_classes(as_labels(values)) else None


def _are_classes(labels: Array) -> bool:
    counts = np.unique(labels, return_counts=True)[1]
    return len(counts) > 1 and int(counts.min()) >= LEAST
