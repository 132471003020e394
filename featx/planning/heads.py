"""Which heads can be fitted on vectors that are not there yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import FeatxError
from featx.planning.result import PlannedHead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import Array
    from featx.evaluate import Task
    from featx.sources import Source

USUAL = ("svm", "svr", "ridge", "logreg", "mlp")
"""Those that are looked at unless others are named, where they suit the target."""

ASSUMED_CLASSES = 10
"""Where no target is known; fewer where images are too few for folds of so many."""

ROWS_A_CLASS = 10


@dataclass(frozen=True)
class Target:
    """What heads would be fitted to.

    Attributes
    ----------
    y
        (n,) the targets of the images that have one; made up where none is known.
    task
        Of the column; None where there is none: each head then does what it can.
    words
        For the user.
    """

    y: Array
    task: Task | None
    words: str


def read_asked(
    source: Source, heads: Sequence[str], column: str | None
) -> tuple[Target, list[str]]:
    """Find the target column, and the heads that suit it.

    Parameters
    ----------
    heads
        Names; empty for `USUAL`.
    column
        None for ``label``.

    Raises
    ------
    UnknownNameError, HeadTaskError
        If a head that was named is not known, or does not fit the column.
    """
    from featx.heads import HEADS, check_head, head_for

    for head in heads:
        check_head(head)
    asked = _asked(source, column)
    if asked.task is None:
        return asked, list(dict.fromkeys(heads)) or [name for name in USUAL if name != "svr"]
    for head in heads:
        head_for(head, asked.task)
    suit = [name for name in USUAL if asked.task in HEADS[name].tasks]
    return asked, list(dict.fromkeys(heads)) or suit


def _asked(source: Source, named: str | None) -> Target:
    from featx.heads import read_target
    from featx.targets import has_value

    column = named or "label"
    there = np.array([entry.failure is None for entry in source.entries], dtype=bool)
    if column in source.frame:
        values = source.frame[column].to_numpy(dtype=object)[there]
        values = values[has_value(values, ())]
        if len(values):
            target = read_target(values)
            task: Task = "regression" if target.classes is None else "classification"
            k = 0 if target.classes is None else len(target.classes)
            what = {0: "numbers", 1: "1 class"}.get(k, f"{k} classes")
            words = f"{what} of column {column!r}"
            return Target(values, task, words)
    n = int(there.sum())
    k = max(2, min(ASSUMED_CLASSES, n // ROWS_A_CLASS))
    where = f"in a column {named!r}" if named else "known"
    made_up = np.arange(max(n, k * ROWS_A_CLASS)) % k
    return Target(made_up, None, f"no labels {where}: as for {k} classes")


@dataclass(frozen=True)
class Vectors:
    """What heads would be fitted on.

    Attributes
    ----------
    parts
        Pages or channels of a file: each has a row of the target, and is scored.
    views
        Of each of these: rows that are scored as one.
    dim, dtype
        Of the vectors.
    """

    parts: float
    views: int
    dim: int
    dtype: str


def plan_heads(
    heads: Sequence[str], asked: Target, vectors: Vectors, free: int
) -> tuple[PlannedHead, ...]:
    """Ask for each head whether a fit with 5 folds finds the memory that it takes.

    Parameters
    ----------
    free
        Bytes of memory.
    """
    y = np.repeat(asked.y, max(1, round(vectors.parts)))
    shape = (len(y) * vectors.views, vectors.dim)
    return tuple(_head(head, asked.task, y, shape, vectors.dtype, free) for head in heads)


def _head(
    head: str, task: Task | None, y: Array, shape: tuple[int, int], dtype: str, free: int
) -> PlannedHead:
    from featx.evaluate import Spec, foresee
    from featx.heads import HEADS

    if task is None and "classification" not in HEADS[head].tasks:
        y = np.arange(len(y)) / max(1, len(y))
    try:
        found = foresee(shape, dtype, y, Spec(head, task=task, cv="5"), free=free)
    except FeatxError as error:  # a class with fewer images than folds, say
        return PlannedHead(head, None, str(error))
    return PlannedHead(head, found.size_bytes, found.why)
