"""Tell a classification from a regression by its target."""

from __future__ import annotations

import numpy as np

from featx._types import Array

MAX_CLASSES = 20
"""Whole numbers with more distinct values than this are amounts."""


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


def _numbers(values: Array) -> Array | None:
    """Give the values as float64, or None where one is no number."""
    if values.dtype.kind in "iuf":
        return values.astype(np.float64)
    try:
        return np.array([float(value) for value in values.tolist()])
    except (TypeError, ValueError):
        return None
