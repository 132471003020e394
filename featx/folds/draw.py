"""Draw splits that keep classes in proportion and groups together."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from featx._types import Ints, Split
from featx.errors import TargetError, UsageError
from featx.folds import advice
from featx.folds.rows import Rows


def fold_splits(rows: Rows, k: int, seed: int) -> list[Split]:
    """Cut the rows into ``k`` folds, each tested once by what the others train."""
    kinds = {
        (True, True): StratifiedGroupKFold,
        (True, False): StratifiedKFold,
        (False, True): GroupKFold,
        (False, False): KFold,
    }
    kind = kinds[rows.codes is not None, rows.groups is not None]
    splitter = kind(n_splits=k, shuffle=True, random_state=seed)
    parts = splitter.split(np.zeros(rows.n), rows.codes, rows.groups)
    return checked(rows, [(train.astype(np.int64), test.astype(np.int64)) for train, test in parts])


def random_splits(rows: Rows, count: int, fraction: float, seed: int) -> list[Split]:
    """Draw ``count`` splits with that fraction of test rows."""
    if rows.codes is not None and rows.groups is not None:
        rng, codes = np.random.default_rng(seed), rows.codes
        drawn = [_stratified_groups(codes, rows.groups, fraction, rng) for _ in range(count)]
        return checked(rows, drawn)
    kind = ShuffleSplit if rows.codes is None else StratifiedShuffleSplit
    kind = kind if rows.groups is None else GroupShuffleSplit
    splitter = kind(n_splits=count, test_size=fraction, random_state=seed)
    try:
        parts = list(splitter.split(np.zeros(rows.n), rows.codes, rows.groups))
    except ValueError as error:
        raise TargetError(
            f"{rows.n} rows cannot be split with a test fraction of {fraction}: {error}"
        ) from error
    return checked(rows, [(np.sort(train), np.sort(test)) for train, test in parts])


def _stratified_groups(
    codes: Ints, groups: Ints, fraction: float, rng: np.random.Generator
) -> Split:
    """Take groups in random order into the test rows while that brings the class counts nearer."""
    numbers = np.unique(groups, return_inverse=True)[1]
    table = np.zeros((numbers.max() + 1, codes.max() + 1))
    np.add.at(table, (numbers, codes), 1)
    missing = fraction * table.sum(axis=0)
    taken = np.zeros(len(table), dtype=bool)
    for group in rng.permutation(len(table)):
        left = missing - table[group]
        if (left**2).sum() < (missing**2).sum():
            missing, taken[group] = left, True
    return np.flatnonzero(~taken[numbers]), np.flatnonzero(taken[numbers])


def inner_splits(
    rows: Rows, train: Ints, k: int, seed: int, without: str = advice.NO_SEARCH
) -> tuple[Split, ...]:
    """Cut training rows into inner folds: ``k``, or as many as the smallest class allows.

    Parameters
    ----------
    without
        The option that does without.

    Raises
    ------
    TargetError
        If a class has a single row or group there, so that nothing can be chosen.
    """
    part = rows.take(train)
    units = part.units_per_class()
    if units.min() < 2:
        n = int(units.min())
        what = f"class {part.names[int(units.argmin())]!r} has" if part.names else "there is"
        raise TargetError(
            f"{what} {rows.said(n)} among the training rows of a split, so nothing can be chosen "
            f"inside it; do without, by {without}, {advice.others(part, 2)}"
        )
    splits = fold_splits(part, int(min(k, units.min())), seed)
    return tuple((train[inside], train[outside]) for inside, outside in splits)


def cut_per_class(
    rows: Rows, train: Ints, per_class: int | None, seed: int, without: str | None = None
) -> Ints:
    """Draw ``per_class`` of the training rows of each class.

    Parameters
    ----------
    without
        The option that does without inner splits; None where there are none.

    Raises
    ------
    UsageError
        If the target is a number to regress on, or ``per_class`` is below 1.
    TargetError
        If a class has fewer training rows.
    """
    if per_class is None:
        return train
    if rows.codes is None or per_class < 1:
        raise UsageError(f"train_per_class is {per_class}: it needs classes, and 1 or more of each")
    rng = np.random.default_rng(seed)
    kept = []
    for code, name in enumerate(rows.names):
        members = train[rows.codes[train] == code]
        if len(members) < per_class:
            n = len(members)
            rest = f" {without}" if n == 1 and without else ""
            raise TargetError(
                f"class {name!r} has {n} training row{'' if n == 1 else 's'}, fewer than "
                f"{per_class} a class; use --train-per-class {n}{rest}"
            )
        kept.append(rng.choice(members, per_class, replace=False))
    return np.sort(np.concatenate(kept))


def check_classes(rows: Rows) -> None:
    """Raise `TargetError` where there is one class, or none."""
    if rows.codes is not None and len(rows.names) < 2:
        what = f"only one class, {rows.names[0]!r}" if rows.names else "no rows"
        raise TargetError(f"the target has {what}; a classifier needs two: choose another --target")


def check_folds(rows: Rows, k: int, needed: str, without: str | None) -> None:
    """Raise `TargetError` where a class, or the groups, are fewer than ``k``.

    ``without`` is the option that does without inner splits; None where there are none.
    """
    units = rows.units_per_class()
    smallest = int(units.min())
    if smallest >= k:
        return
    there = "there is" if smallest == 1 else "there are"
    what = f"class {rows.names[int(units.argmin())]!r} has" if rows.names else there
    raise TargetError(
        f"{what} {rows.said(smallest)}, fewer than {needed}; {advice.for_folds(rows, k, without)}"
    )


def checked(rows: Rows, splits: list[Split], instead: str = "use another --seed") -> list[Split]:
    """Raise `TargetError` where a side is empty or a class has no training row.

    ``instead`` says what may give other sides.
    """
    for train, test in splits:
        if not len(train) or not len(test):
            raise TargetError(
                f"a split has {len(train)} training and {len(test)} test rows; use fewer folds or "
                "another test fraction"
            )
        if rows.codes is not None and len(np.unique(rows.codes[train])) < len(rows.names):
            lacking = sorted(set(range(len(rows.names))) - set(rows.codes[train].tolist()))
            raise TargetError(
                f"class {rows.names[lacking[0]]!r} has no training row in a split (its "
                f"{'rows' if rows.groups is None else 'groups'} are all on the other side); "
                f"{instead}, label more of it, or leave it out"
            )
    return splits
