"""Tell a classification from a regression by its target, and read the target for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx._types import Array
from featx.errors import TargetError
from featx.targets import as_amounts, as_labels, as_numbers, task_of


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
    if chosen == "regression":
        return Target(chosen, as_amounts(values, "y"), None, why)
    numbers = as_numbers(values)
    if values.dtype.kind in "OU" or (numbers is not None and numbers.dtype == np.int64):
        values = as_labels(values)
    classes, codes = np.unique(values, return_inverse=True)
    return Target(chosen, codes.astype(np.int64), classes, why)
