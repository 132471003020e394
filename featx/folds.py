"""Which rows train and which are tested.

A plan holds the splits that the score comes from (each with its inner splits, where parameters are
chosen), and the rows and splits of the final model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

from featx._types import Array, Ints, Split
from featx.errors import TargetError, UsageError

INNER_FOLDS = 5
_SIDES = {
    "train": {"train", "training", "tr", "fit"},
    "val": {"val", "valid", "validation", "dev"},
    "test": {"test", "testing", "holdout", "eval", "evaluation"},
}


@dataclass(frozen=True)
class Rows:
    """What splitting needs to know of n rows.

    Attributes
    ----------
    codes
        (n,) class numbers; None for regression.
    names
        Of the classes.
    groups
        (n,) rows that must stay together have the same value; None where every row is alone.
    group_name
        What a group is called.
    """

    n: int
    codes: Ints | None
    names: tuple[str, ...] = ()
    groups: Ints | None = None
    group_name: str = "image"

    def take(self, rows: Ints) -> Rows:
        """Give the same for some of the rows."""
        return Rows(
            len(rows),
            None if self.codes is None else self.codes[rows],
            self.names,
            None if self.groups is None else self.groups[rows],
            self.group_name,
        )

    @property
    def units(self) -> Ints:
        """(n,) groups, or row numbers where there are none."""
        return np.arange(self.n) if self.groups is None else self.groups

    def units_per_class(self) -> Ints:
        """Give (k,) how many groups (rows, where there are none) each class has."""
        if self.codes is None:
            return np.array([len(np.unique(self.units))])
        pairs = np.unique(np.stack([self.codes, self.units]), axis=1)
        return np.bincount(pairs[0], minlength=len(self.names))

    def words(self) -> str:
        """Say how rows are kept apart: ``, stratified, grouped by patient``."""
        stratified = ", stratified" if self.codes is not None else ""
        return stratified + (f", grouped by {self.group_name}" if self.groups is not None else "")


@dataclass(frozen=True)
class Fold:
    """One split of the estimate.

    Attributes
    ----------
    train, test
        Row numbers, rising.
    inner
        Splits of ``train`` on which parameters are chosen.
    """

    train: Ints
    test: Ints
    inner: tuple[Split, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The splits of a fit.

    Attributes
    ----------
    folds
        What the score comes from.
    final
        Rows of the final model.
    search
        Splits on which the final parameters are chosen. For folds and random splits these are the
        splits of ``folds``; for a single split they lie inside its training rows, so that its test
        rows choose nothing.
    single
        One split: its training rows are those of the final model.
    how, inner_how
        In words.
    """

    folds: tuple[Fold, ...]
    final: Ints
    search: tuple[Split, ...]
    single: bool
    how: str
    inner_how: str
    notes: tuple[str, ...] = ()


def make_plan(
    rows: Rows,
    *,
    cv: str = "5",
    repeats: int = 1,
    test_size: float | None = None,
    split: Array | None = None,
    split_name: str = "split",
    train_per_class: int | None = None,
    search: bool = True,
    seed: int = 0,
) -> Plan:
    """Plan the splits.

    Parameters
    ----------
    cv
        ``"5"`` or ``"random:10:0.2"``; ignored where ``test_size`` or ``split`` is given.
    split
        (n,) train, val or test of every row.
    search
        Whether inner splits are needed.

    Raises
    ------
    UsageError
        If an option has a value that cannot be worked with.
    TargetError
        If the classes or groups do not allow the splits asked for.
    """
    _check_classes(rows)
    if split is not None:
        return _plan_column(rows, split, split_name, train_per_class, search, seed)
    kind, count, fraction = ("random", 1, test_size) if test_size else parse_cv(cv)
    if fraction is not None and not 0 < fraction < 1:
        raise UsageError(f"the test fraction is {fraction}; expected a number between 0 and 1")
    if repeats < 1:
        raise UsageError(f"repeats is {repeats}; expected 1 or more")
    if kind == "folds":
        _check_folds(rows, count)
    outer: list[Split] = []
    for repeat in range(repeats):
        if kind == "folds":
            outer += fold_splits(rows, count, seed + repeat)
        else:
            outer += random_splits(rows, count, fraction or 0.0, seed + repeat)
    how = _cv_words(kind, count, fraction, repeats) + rows.words()
    inner = count if kind == "folds" else INNER_FOLDS
    return _assemble(rows, outer, how, inner, train_per_class, search, seed, single=bool(test_size))


def parse_cv(text: str) -> tuple[str, int, float | None]:
    """Read ``"5"`` or ``"random:10:0.2"``: kind, count, test fraction.

    Raises
    ------
    UsageError
        If it is neither.
    """
    parts = str(text).split(":")
    try:
        if len(parts) == 1 and int(parts[0]) >= 2:
            return "folds", int(parts[0]), None
        if len(parts) == 3 and parts[0] == "random" and int(parts[1]) >= 1:
            return "random", int(parts[1]), float(parts[2])
    except ValueError:
        pass
    raise UsageError(
        f"cv is {text!r}; expected a number of folds from 2 up (--cv 5), or random:COUNT:FRACTION "
        "(--cv random:10:0.2)"
    )


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
    return _checked(
        rows, [(train.astype(np.int64), test.astype(np.int64)) for train, test in parts]
    )


def random_splits(rows: Rows, count: int, fraction: float, seed: int) -> list[Split]:
    """Draw ``count`` splits with that fraction of test rows."""
    if rows.codes is not None and rows.groups is not None:
        rng, codes = np.random.default_rng(seed), rows.codes
        drawn = [_stratified_groups(codes, rows.groups, fraction, rng) for _ in range(count)]
        return _checked(rows, drawn)
    kind = ShuffleSplit if rows.codes is None else StratifiedShuffleSplit
    kind = kind if rows.groups is None else GroupShuffleSplit
    splitter = kind(n_splits=count, test_size=fraction, random_state=seed)
    try:
        parts = list(splitter.split(np.zeros(rows.n), rows.codes, rows.groups))
    except ValueError as error:
        raise TargetError(
            f"{rows.n} rows cannot be split with a test fraction of {fraction}: {error}"
        ) from error
    return _checked(rows, [(np.sort(train), np.sort(test)) for train, test in parts])


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


def cut_per_class(rows: Rows, train: Ints, per_class: int | None, seed: int) -> Ints:
    """Draw ``per_class`` of the training rows of each class.

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
            raise TargetError(
                f"class {name!r} has {len(members)} training rows, fewer than {per_class} a class; "
                f"use --train-per-class {len(members)}"
            )
        kept.append(rng.choice(members, per_class, replace=False))
    return np.sort(np.concatenate(kept))


def inner_splits(rows: Rows, train: Ints, k: int, seed: int) -> tuple[Split, ...]:
    """Cut training rows into inner folds: ``k``, or as many as the smallest class allows.

    Raises
    ------
    TargetError
        If a class has a single row or group there, so that nothing can be chosen.
    """
    part = rows.take(train)
    units = part.units_per_class()
    if units.min() < 2:
        what = part.names[int(units.argmin())] if part.names else "the target"
        raise TargetError(
            f"{what!r} has {units.min()} {_unit_word(rows)} among the training rows of a split, so "
            "parameters cannot be chosen inside it; give them with --no-search --set NAME=VALUE"
        )
    splits = fold_splits(part, int(min(k, units.min())), seed)
    return tuple((train[inside], train[outside]) for inside, outside in splits)


def _assemble(
    rows: Rows,
    outer: Sequence[Split],
    how: str,
    inner: int,
    per_class: int | None,
    search: bool,
    seed: int,
    *,
    single: bool,
) -> Plan:
    """Cut the training rows, make inner splits, and say what the final model is fitted on."""
    folds = []
    for i, (train, test) in enumerate(outer):
        kept = cut_per_class(rows, train, per_class, seed + i)
        inside = inner_splits(rows, kept, inner, seed) if search else ()
        folds.append(Fold(kept, test, inside))
    if per_class is not None:
        how += f", training rows cut down to {per_class} a class"
    everything = np.arange(rows.n)
    final = folds[0].train if single else cut_per_class(rows, everything, per_class, seed)
    searched = folds[0].inner if single else tuple((f.train, f.test) for f in folds)
    used = sorted({len(f.inner) for f in folds})
    inner_how = f"{'-'.join(map(str, used))}-fold cross-validation" if search else ""
    return Plan(tuple(folds), final, searched, single, how, inner_how)


def _plan_column(
    rows: Rows, split: Array, name: str, per_class: int | None, search: bool, seed: int
) -> Plan:
    """Tune inside train (on the val rows where there are some), score the test rows once."""
    sides = read_sides(split, name)
    train, val, test = (np.flatnonzero(sides == side) for side in ("train", "val", "test"))
    notes = _notes_on_groups(rows, sides, name)
    if not len(test):
        notes += (f"column {name!r} has no test rows: its val rows are the test rows",)
        test, val = val, test
    for rows_of, side in ((train, "train"), (test, "test")):
        if not len(rows_of):
            raise TargetError(f"column {name!r} has no {side} rows with a target")
    how = f"a single split by column {name!r}: {len(test)} test rows"
    if per_class is not None or not search or not len(val):
        both = np.sort(np.concatenate([train, val]))
        _checked(rows, [(both, test)])
        plan = _assemble(
            rows, [(both, test)], how, INNER_FOLDS, per_class, search, seed, single=True
        )
        return Plan(**{**vars(plan), "notes": notes})
    both = np.sort(np.concatenate([train, val]))
    _checked(rows, [(train, val), (both, test)])
    inner: tuple[Split, ...] = ((train, val),)
    return Plan(
        (Fold(both, test, inner),), both, inner, True, how, f"its {len(val)} val rows", notes
    )


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


def _notes_on_groups(rows: Rows, sides: Array, name: str) -> tuple[str, ...]:
    if rows.groups is None:
        return ()
    test = np.unique(rows.groups[sides == "test"])
    shared = np.intersect1d(test, rows.groups[sides != "test"])
    if not len(shared):
        return ()
    note = (
        f"{len(shared)} of {len(test)} test groups ({rows.group_name}) are also among the training "
        f"rows of column {name!r}: the scores are too high"
    )
    return (note,)


def _check_classes(rows: Rows) -> None:
    if rows.codes is not None and len(rows.names) < 2:
        what = f"only one class, {rows.names[0]!r}" if rows.names else "no rows"
        raise TargetError(f"the target has {what}; a classifier needs two: choose another --target")


def _check_folds(rows: Rows, k: int) -> None:
    """Raise `TargetError` where a class, or the groups, are fewer than the folds."""
    units = rows.units_per_class()
    smallest = int(units.min())
    if smallest >= k:
        return
    what = f"class {rows.names[int(units.argmin())]!r} has" if rows.names else "there are"
    advice = (
        f"use --cv {smallest}, or leave that class out"
        if smallest >= 2
        else "it needs 2 at least: leave that class out, or label more"
    )
    raise TargetError(f"{what} {smallest} {_unit_word(rows)}, fewer than the {k} folds; {advice}")


def _unit_word(rows: Rows) -> str:
    return "rows" if rows.groups is None else f"groups ({rows.group_name})"


def _checked(rows: Rows, splits: list[Split]) -> list[Split]:
    """Raise `TargetError` where a side is empty or a class has no training row."""
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
                f"{_unit_word(rows)} all fell on the other side); use --cv 2, another --seed, or "
                "leave that class out"
            )
    return splits


def _cv_words(kind: str, count: int, fraction: float | None, repeats: int) -> str:
    if kind == "folds":
        words = f"{count}-fold cross-validation"
    else:
        plural = "s" if count * repeats > 1 else ""
        words = f"{count} random split{plural} with {100 * (fraction or 0):g} % test rows"
    return words + (f", repeated {repeats} times" if repeats > 1 else "")
