"""Tell a classification from a regression by its target, and read the target for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx._types import Array
from featx.errors import TargetError

MAX_CLASSES = 20
"""Whole numbers with more distinct values than this are amounts."""


@dataclass(frozen=True)
class Target:
    """A target as a head takes it.

    Attributes
    ----------
    values
        (n,) class numbers 0..k-1, or float64.
    classes
        (k,) sorted labels; None for regression.
    why
        What the task was guessed from; empty where it was given.
    """

    task: str
    values: Array
    classes: Array | None
    why: str


def task_of(y: Array) -> tuple[str, str]:
    """Give the task of a target (n,), and why.

    Text and booleans are classes. Numbers are amounts if some are fractions, or if there are more
    than 20 distinct ones; else they are classes. Text that holds numbers only counts as numbers.

    Returns
    -------
    tuple of str
        ``"classification"`` or ``"regression"``, and the reason in words.
    """
    values = np.asarray(y)
    if values.dtype.kind == "b":
        return "classification", "the target is true or false"
    numbers = _numbers(values)
    if numbers is None:
        return "classification", "the target is text"
    distinct = len(np.unique(numbers))
    if np.any(numbers != np.round(numbers)):
        return "regression", "the target has fractions"
    if distinct > MAX_CLASSES:
        return "regression", f"the target has {distinct} distinct numbers"
    return "classification", f"the target has only {distinct} distinct whole numbers"


def read_target(y: Array, task: str | None = None) -> Target:
    """Read a target (n,): labels or numbers, or text that holds them.

    Raises
    ------
    TargetError
        If a regression is asked for and a value is no finite number, or there are no rows.
    """
    values = np.asarray(y)
    if values.ndim != 1 or not len(values):
        raise TargetError(f"the target has shape {values.shape}; expected one value a row")
    chosen, why = task_of(values) if task is None else (task, "")
    numbers = _numbers(values)
    if chosen == "regression":
        if numbers is None or not np.all(np.isfinite(numbers)):
            bad = [str(value) for value in values.tolist() if not _finite(value)][:5]
            raise TargetError(
                f"the target has values that are no number: {', '.join(map(repr, bad))}; leave "
                "those rows out with --missing, or classify with --task classification"
            )
        return Target(chosen, numbers, None, why)
    if numbers is not None and np.all(numbers == np.round(numbers)) and values.dtype.kind != "b":
        values = numbers.astype(np.int64)
    elif values.dtype.kind == "O":
        values = np.array([str(value) for value in values])
    classes, codes = np.unique(values, return_inverse=True)
    return Target(chosen, codes.astype(np.int64), classes, why)


def _numbers(values: Array) -> Array | None:
    """Give the values as float64, or None where one is no number."""
    if values.dtype.kind in "iuf":
        return values.astype(np.float64)
    try:
        return np.array([float(value) for value in values.tolist()])
    except (TypeError, ValueError):
        return None


def _finite(value: object) -> bool:
    try:
        return bool(np.isfinite(float(str(value))))
    except ValueError:
        return False
