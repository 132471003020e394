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
from featx.folds.advice import NO_SEARCH
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
    notes, warnings
        What a reader of the scores should know, and what may fool them.
    """

    folds: tuple[Fold, ...]
    final: Ints
    single: bool
    how: str
    inner_how: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Cut:
    """What happens to training rows: how many of a class stay, how they are searched in.

    ``without`` is the option that does without inner splits; None where there are none.
    """

    per_class: int | None
    without: str | None
    seed: int

    def rows(self, rows: Rows, train: Ints, number: int) -> Ints:
        """Cut those of one split down."""
        return cut_per_class(rows, train, self.per_class, self.seed + number, self.without)


CV = "5"
"""Unless something else is asked for."""


def make_plan(
    rows: Rows,
    *,
    cv: str = CV,
    repeats: int = 1,
    test_size: float | None = None,
    split: Array | None = None,
    split_name: str = "split",
    train_per_class: int | None = None,
    search: bool = True,
    seed: int = 0,
    without: str = NO_SEARCH,
) -> Plan:
    """Plan the splits.

    Parameters
    ----------
    cv
        ``"5"`` or ``"random:10:0.2"``; not used where ``test_size`` or ``split`` is given: a
        note says so.
    split
        (n,) train, val or test of every row. Parameters are chosen on the val rows, where there
        are some and the training rows are not cut down; else in folds of the training rows.
    search
        Whether inner splits are needed.
    without
        The option that does without them, for what errors advise.

    Raises
    ------
    UsageError
        If an option has a value that cannot be worked with.
    TargetError
        If the classes or groups do not allow the splits asked for.
    """
    check_classes(rows)
    cut = _Cut(train_per_class, without if search else None, seed)
    if split is not None and (test_size is not None or repeats > 1):
        raise UsageError(
            f"column {split_name!r} says which rows are tested: leave out the test size and repeats"
        )
    if split is not None:
        plan = _plan_column(rows, split, split_name, cut)
        return _with_note(plan, cv, f"column {split_name!r}")
    kind, count, fraction = parse_cv(cv) if test_size is None else ("random", 1, test_size)
    if fraction is not None and not 0 < fraction < 1:
        raise UsageError(f"the test fraction is {fraction}; expected a number between 0 and 1")
    if repeats < 1:
        raise UsageError(f"repeats is {repeats}; expected 1 or more")
    if kind == "folds":
        check_folds(rows, count, f"the {count} folds", cut.without)
    else:
        check_folds(rows, 2, "the 2 sides of a split", cut.without)
    outer: list[Split] = []
    for repeat in range(repeats):
        if kind == "folds":
            outer += fold_splits(rows, count, seed + repeat)
        else:
            outer += random_splits(rows, count, fraction or 0.0, seed + repeat)
    how = _cv_words(kind, count, fraction, repeats) + rows.words()
    inner = count if kind == "folds" else INNER_FOLDS
    plan = _assemble(rows, outer, how, inner, cut)
    return plan if test_size is None else _with_note(plan, cv, "the test size")


def _with_note(plan: Plan, cv: str, instead: str) -> Plan:
    """Say that a ``cv`` that was asked for is not heeded."""
    if cv == CV:
        return plan
    note = f"cv {cv} is not heeded: {instead} says which rows are tested"
    return replace(plan, notes=(*plan.notes, note))


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


def _assemble(rows: Rows, outer: Sequence[Split], how: str, inner: int, cut: _Cut) -> Plan:
    """Cut the training rows, make inner splits, and say what the final model is fitted on."""
    folds = []
    for i, (train, test) in enumerate(outer):
        kept = cut.rows(rows, train, i)
        inside = inner_splits(rows, kept, inner, cut.seed, cut.without) if cut.without else ()
        folds.append(Fold(kept, test, inside))
    if cut.per_class is not None:
        how += f", training rows cut down to {cut.per_class} a class"
    final = folds[0].train if len(folds) == 1 else cut.rows(rows, np.arange(rows.n), 0)
    used = sorted({len(f.inner) for f in folds})
    inner_how = f"{'-'.join(map(str, used))}-fold cross-validation" if cut.without else ""
    return Plan(tuple(folds), final, len(folds) == 1, how, inner_how)


def _plan_column(rows: Rows, split: Array, name: str, cut: _Cut) -> Plan:
    """Tune inside train (on the val rows where there are some), score the test rows once."""
    sides = read_sides(split, name)
    train, val, test = (np.flatnonzero(sides == side) for side in ("train", "val", "test"))
    notes: tuple[str, ...] = ()
    warnings = groups_on_both(rows, sides, name)
    if not len(test):
        notes = (f"column {name!r} has no test rows: its val rows are the test rows",)
        test, val = val, test
    for rows_of, side in ((train, "train"), (test, "test")):
        if not len(rows_of):
            raise TargetError(f"column {name!r} has no {side} rows with a target")
    how = f"a single split by column {name!r}: {_rows(len(test), 'test')}"
    both = np.sort(np.concatenate([train, val]))
    instead = f"change column {name!r}"
    if cut.per_class is not None or cut.without is None or not len(val):
        checked(rows, [(both, test)], instead)
        plan = _assemble(rows, [(both, test)], how, INNER_FOLDS, cut)
        return replace(plan, notes=notes, warnings=warnings)
    checked(rows, [(train, val), (both, test)], instead)
    fold = Fold(both, test, ((train, val),))
    return Plan((fold,), both, True, how, f"its {_rows(len(val), 'val')}", notes, warnings)


def _rows(n: int, kind: str) -> str:
    return f"{n} {kind} row" if n == 1 else f"{n} {kind} rows"
