"""What the columns beside the images say: classes, numbers, and which rows train."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx.errors import TargetError
from featx.tallies import describe_column, describe_target
from featx.targets import as_numbers, check_column, has_value, task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from featx._types import Array, Float64s
    from featx.tallies import Amounts, Classes, Column

MOST_SIDES = 20
"""A column with more values than this is not looked at for words such as train and test."""


def target_names(frame: pd.DataFrame, asked: Sequence[str]) -> list[str]:
    """Give the columns to count: those asked for, else ``label`` where it is there.

    Raises
    ------
    UnknownNameError
        If one is not there.
    """
    columns = [str(column) for column in frame.columns]
    for name in asked:
        check_column(columns, name)
    return list(dict.fromkeys(asked)) or [name for name in columns if name == "label"]


def describe_targets(
    frame: pd.DataFrame, names: Sequence[str], missing: Sequence[str]
) -> list[tuple[Classes | Amounts, list[str | None]]]:
    """Describe columns, and give the values of each as text that is the same for equal ones."""
    found = []
    for name in names:
        values = frame[name].to_numpy(dtype=object)
        there = has_value(values, missing)
        numbers = _amounts(values, there)
        texts = _texts(values, there, numbers)
        found.append((describe_target(name, values, there, numbers), texts))
    return found


def describe_columns(frame: pd.DataFrame, missing: Sequence[str]) -> list[Column]:
    """Describe every column in brief."""
    columns = [(str(name), frame[name].to_numpy(dtype=object)) for name in frame.columns]
    return [describe_column(name, values, has_value(values, missing)) for name, values in columns]


def find_split(
    frame: pd.DataFrame, asked: str | None, targets: Sequence[str]
) -> tuple[str | None, list[str | None], str]:
    """Find the column that says which rows train.

    Returns
    -------
    name
        None where there is none, or several that might be meant.
    sides
        (n,) ``train``, ``val``, ``test``, or None.
    note
        What to know; empty as a rule.

    Raises
    ------
    UnknownNameError, TargetError
        If the column asked for is not there, holds other words, or has no row that trains.
    """
    columns = [str(column) for column in frame.columns]
    nothing: list[str | None] = [None] * len(frame)
    if asked is not None:
        check_column(columns, asked)
        sides = _sides(frame, asked)
        if "train" not in sides:
            raise TargetError(f"no row of column {asked!r} trains; expected train in some of them")
        return asked, sides, ""
    found = [name for name in columns if name not in targets and _is_split(frame, name)]
    chosen = [name for name in found if name == "split"] or found
    if len(chosen) > 1:
        names = ", ".join(map(repr, chosen))
        return None, nothing, f"columns {names} say which rows train: choose one with --split"
    return (chosen[0], _sides(frame, chosen[0]), "") if chosen else (None, nothing, "")


def _sides(frame: pd.DataFrame, name: str) -> list[str | None]:
    from featx.folds import read_sides  # which loads scikit-learn

    values = frame[name].to_numpy(dtype=object)
    rows = np.flatnonzero(has_value(values, ()))
    sides: list[str | None] = [None] * len(values)
    for row, side in zip(rows.tolist(), read_sides(values[rows], name).tolist(), strict=True):
        sides[row] = side
    return sides


def _is_split(frame: pd.DataFrame, name: str) -> bool:
    values = frame[name].to_numpy(dtype=object)
    words = set(values[has_value(values, ())].astype(str).tolist())
    if not 2 <= len(words) <= MOST_SIDES or not any(word.strip()[:1] in "tTfF" for word in words):
        return False
    try:
        return "train" in _sides(frame, name)
    except TargetError:
        return False


def _amounts(values: Array, there: Array) -> Float64s | None:
    """Give (n,) float64, NaN for what is no number, where a head would take them for amounts."""
    rows = np.flatnonzero(there)
    known, numbers = _numbers(values[rows])
    if not len(numbers) or 2 * len(numbers) < len(rows):
        return None
    if task_of(numbers)[0] != "regression":
        return None
    amounts = np.full(len(values), np.nan)
    amounts[rows[known]] = numbers
    return amounts


def _numbers(values: Array) -> tuple[Array, Array]:
    """Give (n,) bool, which values are numbers, and these numbers."""
    every = as_numbers(values)
    if every is not None:
        return np.ones(len(values), dtype=bool), every
    each = [as_numbers(values[i : i + 1]) for i in range(len(values))]
    found = [number for number in each if number is not None]
    known = np.array([number is not None for number in each], dtype=bool)
    return known, np.concatenate([*found, np.zeros(0, dtype=np.int64)])


def _texts(values: Array, there: Array, numbers: Float64s | None) -> list[str | None]:
    same = values if numbers is None else np.where(np.isfinite(numbers), numbers, values)
    return [str(value).strip() if known else None for value, known in zip(same, there, strict=True)]
