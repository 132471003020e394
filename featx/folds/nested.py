"""Smaller and smaller parts of the same training rows, tested on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from featx._types import Ints
from featx.errors import TargetError
from featx.folds.draw import inner_splits
from featx.folds.plan import INNER_FOLDS, Fold, Plan
from featx.folds.rows import Rows


def nested_subset(
    rows: Rows, train: Ints, size: int, *, least: int = 1, seed: int | Sequence[int] = 0
) -> Ints:
    """Draw about ``size`` of the training rows of each class, or of all for a regression.

    Groups are put in an order by chance and taken whole, for each class the first of those that
    have rows of it: as many as come nearest to ``size``, all of them where there are fewer. Without
    groups that is ``size`` rows. With the same seed a smaller size gives a part of a larger one.

    Parameters
    ----------
    train
        Row numbers, rising; so is what is given.
    least
        Groups of each class to take at least.
    """
    part = rows.take(train)
    numbers = np.unique(part.units, return_inverse=True)[1]
    n_units = int(numbers.max()) + 1
    place = np.random.default_rng(seed).permutation(n_units)[numbers]
    codes = np.zeros(part.n, dtype=np.int64) if part.codes is None else part.codes
    taken = np.zeros(n_units, dtype=bool)
    for code in np.unique(codes):
        counts = np.bincount(place[codes == code], minlength=n_units)
        order = np.flatnonzero(counts)
        nearest = 1 + int(np.abs(counts[order].cumsum() - size).argmin())
        taken[order[: max(nearest, least)]] = True
    subset: Ints = train[taken[place]]
    return subset


def cut_plan(rows: Rows, plan: Plan, size: int, draw: int, seed: int) -> Plan:
    """Cut the training rows of every fold by `nested_subset`; test rows stay as they are.

    Parameters are to be chosen in folds of the subset, where they are chosen at all.

    Parameters
    ----------
    draw
        Number of the draw: another one has other rows.

    Raises
    ------
    TargetError
        If a subset cannot be cut into inner folds, where parameters are to be chosen.
    """
    folds = []
    for i, fold in enumerate(plan.folds):
        least = 2 if fold.inner else 1
        if size < least:
            raise TargetError(
                "parameters cannot be chosen inside so few training rows; give them with "
                "--no-search --set NAME=VALUE"
            )
        kept = nested_subset(rows, fold.train, size, least=least, seed=(seed, i, draw))
        k = len(fold.inner) if len(fold.inner) > 1 else INNER_FOLDS
        inside = inner_splits(rows, kept, k, seed) if fold.inner else ()
        folds.append(Fold(kept, fold.test, inside))
    return replace(plan, folds=tuple(folds))
