"""Score each group's mean in place of its rows: a patient's, a reference image's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx._types import Array, Float64s, Ints
from featx.errors import TargetError, UsageError
from featx.folds import Rows
from featx.metrics import Outcome


@dataclass(frozen=True)
class GroupSplits:
    """What came out for groups of test rows, one entry a split.

    Attributes
    ----------
    outcomes
        Of the groups: mean prediction against mean target; for classes the mean of the scores and
        the class where it is highest, against the group's one label.
    groups
        (g,) numbers of the tested groups.
    n_train
        Groups that were trained on.
    """

    outcomes: list[Outcome]
    groups: list[Ints]
    n_train: list[int]


def check_aggregate(aggregate: str | None, rows: Rows) -> None:
    """Check that groups can be scored.

    Raises
    ------
    UsageError
        If ``aggregate`` is neither None nor ``group``.
    TargetError
        If there are no groups of several rows, or none whose rows have one label.
    """
    if aggregate is None:
        return
    if aggregate != "group":
        raise UsageError(f"aggregate is {aggregate!r}; expected group")
    if rows.groups is None:
        raise TargetError(
            "no two rows share a group, so there are no means of groups to score: name the column "
            "that holds them with --group, or leave out --aggregate"
        )
    if mixed_groups(rows).all():
        raise TargetError(
            f"every group ({rows.group_name}) has rows of different labels, so none has a label "
            "to score: name another --group, or leave out --aggregate"
        )


def mixed_groups(rows: Rows) -> Array:
    """Give (g,) whether the rows of each group differ in label; never for a regression."""
    groups = rows.units
    mixed = np.zeros(groups.max() + 1, dtype=bool)
    if rows.codes is not None:
        pairs = np.unique(np.stack([groups, rows.codes]), axis=1)
        mixed = np.bincount(pairs[0]) > 1
    return mixed


def group_splits(
    outcomes: Sequence[Outcome], tests: Sequence[Ints], trains: Sequence[Ints], rows: Rows
) -> GroupSplits:
    """Take the means of groups in each split; one that holds no group with one label is left out.

    Parameters
    ----------
    outcomes, tests, trains
        One a split: what came out for the (m,) row numbers ``tests``, and the rows trained on.
    """
    groups, mixed = rows.units, mixed_groups(rows)
    splits = GroupSplits([], [], [])
    for outcome, test, train in zip(outcomes, tests, trains, strict=True):
        kept = ~mixed[groups[test]]
        if kept.any():
            numbers, outcome_of_groups = _means(outcome, groups[test], kept)
            splits.outcomes.append(outcome_of_groups)
            splits.groups.append(numbers)
            splits.n_train.append(len(np.unique(groups[train])))
    return splits


def _means(outcome: Outcome, groups: Ints, kept: Array) -> tuple[Ints, Outcome]:
    """Give the numbers (g,) of the groups among the kept rows, and what came out for them."""
    numbers, first, place = np.unique(groups[kept], return_index=True, return_inverse=True)
    if outcome.scores is None:
        y, prediction = (_mean(v[kept], place) for v in (outcome.y, outcome.prediction))
        return numbers, Outcome(y, prediction)
    columns = [_mean(column, place) for column in outcome.scores[kept].T]
    scores = np.stack(columns, axis=1)
    return numbers, Outcome(outcome.y[kept][first], scores.argmax(axis=1), scores)


def _mean(values: Array, place: Ints) -> Float64s:
    out: Float64s = np.bincount(place, values) / np.bincount(place)
    return out
