"""Read a column that says which rows train, validate and test."""

from __future__ import annotations

import numpy as np

from featx._types import Array
from featx.errors import TargetError
from featx.folds.rows import Rows

_SIDES = {
    "train": {"train", "training", "tr", "fit"},
    "val": {"val", "valid", "validation", "dev"},
    "test": {"test", "testing", "holdout", "eval", "evaluation"},
}


def read_sides(split: Array, name: str = "split") -> Array:
    """Give (n,) ``train``, ``val`` or ``test`` for what a split column holds.

    Raises
    ------
    TargetError
        If a value is none of the words that are known for them.
    """
    words = {word: side for side, words in _SIDES.items() for word in words}
    values = [str(value).strip().lower() for value in split]
    if strange := sorted({value for value in values if value not in words}):
        raise TargetError(
            f"column {name!r} holds {', '.join(map(repr, strange[:5]))}; expected "
            f"{', '.join(sorted(words))} in every row that has a target"
        )
    return np.array([words[value] for value in values])


def is_split(values: Array) -> bool:
    """Say whether a column holds nothing but words for sides, train and test among them."""
    words = {word: side for side, words in _SIDES.items() for word in words}
    sides = {words.get(str(value).strip().lower()) for value in values}
    return None not in sides and {"train", "test"} <= sides


def groups_on_both(rows: Rows, sides: Array, name: str) -> tuple[str, ...]:
    """Say how many test groups are also among the other rows, if any."""
    if rows.groups is None:
        return ()
    test = np.unique(rows.groups[sides == "test"])
    shared = np.intersect1d(test, rows.groups[sides != "test"])
    if not len(shared):
        return ()
    are = "is" if len(shared) == 1 else "are"
    note = (
        f"{len(shared)} of {len(test)} test groups ({rows.group_name}) {are} also among the "
        f"training rows of column {name!r}: the scores are too high"
    )
    return (note,)
