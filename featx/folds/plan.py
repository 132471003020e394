"""Which rows train and which are tested.

A plan holds the splits that the score comes from (each with its inner splits, where parameters are
chosen), and the rows and splits of the final model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from featx._types import Array, Ints, Split
from featx.errors import TargetError, UsageError
from featx.folds.draw import (
    check_classes,
    check_folds,
    checked,
    cut_per_class,
    fold_splits,
    inner_splits,
    random_splits,
)
from featx.folds.rows import Rows
from featx.folds.sides import groups_on_both, read_sides

INNER_FOLDS = 5


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
    single
        There is one split: its training rows are those of the final model, and its test rows
        choose nothing. For several, the final model is fitted on all rows.
    how, inner_how
        In words.
    """

    folds: tuple[Fold, ...]
    final: Ints
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
        ``"5"`` or ``"random:10:0.2"``; not used where ``test_size`` or ``split`` is given.
    split
        (n,) train, val or test of every row. Parameters are chosen on the val rows, where there
        are some and the training rows are not cut down; else in folds of the training rows.
    search
        Whether inner splits are needed.

    Raises
    ------
    UsageError
        If an option has a value that cannot be worked with.
    TargetError
        If the classes or groups do not allow the splits asked for.
    """
    check_classes(rows)
    if split is not None and (test_size is not None or repeats > 1):
        raise UsageError(
            f"column {split_name!r} says which rows are tested: leave out the test size and repeats"
        )
    if split is not None:
        return _plan_column(rows, split, split_name, train_per_class, search, seed)
    kind, count, fraction = parse_cv(cv) if test_size is None else ("random", 1, test_size)
    if fraction is not None and not 0 < fraction < 1:
        raise UsageError(f"the test fraction is {fraction}; expected a number between 0 and 1")
    if repeats < 1:
        raise UsageError(f"repeats is {repeats}; expected 1 or more")
    if kind == "folds":
        check_folds(rows, count, f"the {count} folds")
    else:
        check_folds(rows, 2, "the 2 sides of a split")
    outer: list[Split] = []
    for repeat in range(repeats):
        if kind == "folds":
            outer += fold_splits(rows, count, seed + repeat)
        else:
            outer += random_splits(rows, count, fraction or 0.0, seed + repeat)
    how = _cv_words(kind, count, fraction, repeats) + rows.words()
    inner = count if kind == "folds" else INNER_FOLDS
    return _assemble(rows, outer, how, inner, train_per_class, search, seed)


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


def _cv_words(kind: str, count: int, fraction: float | None, repeats: int) -> str:
    if kind == "folds":
        words = f"{count}-fold cross-validation"
    else:
        plural = "s" if count * repeats > 1 else ""
        words = f"{count} random split{plural} with {100 * (fraction or 0):g} % test rows"
    return words + (f", repeated {repeats} times" if repeats > 1 else "")


def _assemble(
    rows: Rows,
    outer: Sequence[Split],
    how: str,
    inner: int,
    per_class: int | None,
    search: bool,
    seed: int,
) -> Plan:
    """Cut the training rows, make inner splits, and say what the final model is fitted on."""
    folds = []
    for i, (train, test) in enumerate(outer):
        kept = cut_per_class(rows, train, per_class, seed + i)
        inside = inner_splits(rows, kept, inner, seed) if search else ()
        folds.append(Fold(kept, test, inside))
    if per_class is not None:
        how += f", training rows cut down to {per_class} a class"
    everything, single = np.arange(rows.n), len(folds) == 1
    final = folds[0].train if single else cut_per_class(rows, everything, per_class, seed)
    used = sorted({len(f.inner) for f in folds})
    inner_how = f"{'-'.join(map(str, used))}-fold cross-validation" if search else ""
    return Plan(tuple(folds), final, single, how, inner_how)


def _plan_column(
    rows: Rows, split: Array, name: str, per_class: int | None, search: bool, seed: int
) -> Plan:
    """Tune inside train (on the val rows where there are some), score the test rows once."""
    sides = read_sides(split, name)
    train, val, test = (np.flatnonzero(sides == side) for side in ("train", "val", "test"))
    notes = groups_on_both(rows, sides, name)
    if not len(test):
        notes += (f"column {name!r} has no test rows: its val rows are the test rows",)
        test, val = val, test
    for rows_of, side in ((train, "train"), (test, "test")):
        if not len(rows_of):
            raise TargetError(f"column {name!r} has no {side} rows with a target")
    how = f"a single split by column {name!r}: {len(test)} test rows"
    both = np.sort(np.concatenate([train, val]))
    if per_class is not None or not search or not len(val):
        checked(rows, [(both, test)])
        plan = _assemble(rows, [(both, test)], how, INNER_FOLDS, per_class, search, seed)
        return replace(plan, notes=notes)
    checked(rows, [(train, val), (both, test)])
    fold = Fold(both, test, ((train, val),))
    return Plan((fold,), both, True, how, f"its {len(val)} val rows", notes)
