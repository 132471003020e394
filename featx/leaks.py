"""What twins on both sides of a split do to the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx._types import Array, Ints, Split
from featx.metrics import Metric, Outcome, mean_defined, ones


@dataclass(frozen=True, eq=False)
class Leak:
    """Pairs that stand on both sides of a split.

    Attributes
    ----------
    pairs
        (q,) positions of these pairs among those that were given, rising.
    affected
        One a fold: the test rows whose twin is among its training rows, rising.
    """

    pairs: Ints
    affected: tuple[Ints, ...]

    @property
    def rows(self) -> Ints:
        """Give the rows that are affected in some fold, rising."""
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *self.affected]))


def find_leak(i: Ints, j: Ints, folds: Sequence[Split], n: int) -> Leak:
    """Say which of (p,) pairs of n rows stand on both sides, and whom it concerns in each fold."""
    across = np.zeros(len(i), dtype=bool)
    affected = []
    for train, test in folds:
        trains, tests = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        trains[train], tests[test] = True, True
        first, second = tests[i] & trains[j], tests[j] & trains[i]
        across |= first | second
        affected.append(np.unique(np.concatenate([i[first], j[second]])))
    return Leak(np.flatnonzero(across), tuple(affected))


def copies_across(image: Array, folds: Sequence[Split]) -> tuple[Ints, Ints]:
    """Pair each test row that shows the very image of a training row with the first such row.

    Parameters
    ----------
    image
        (n,) equal where rows show the same image, for example numbers of its digest.

    Returns
    -------
    i, j
        (p,) each, ``i < j``, every pair once.
    """
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for train, test in folds:
        known, first = np.unique(image[train], return_index=True)
        hit = test[np.isin(image[test], known)]
        partner = train[first[np.searchsorted(known, image[hit])]]
        pairs.append(np.sort(np.stack([hit, partner], axis=1), axis=1))
    i, j = np.unique(np.concatenate(pairs), axis=0).T
    return i, j


def means_without(
    outcomes: Sequence[Outcome],
    tests: Sequence[Ints],
    affected: Sequence[Ints],
    metrics: Sequence[Metric],
) -> dict[str, float]:
    """Give the mean of each metric over the splits, with the affected test rows left out.

    A split that keeps no row counts no more than one where the metric is undefined. NaN where
    nothing is left. Heads are not fitted again: they have seen the twins all the same.

    Parameters
    ----------
    outcomes, tests, affected
        One a split: what came out for the (m,) test rows, their numbers, and those left out.
    """
    kept = []
    for outcome, test, out in zip(outcomes, tests, affected, strict=True):
        keep = ~np.isin(test, out)
        scores = None if outcome.scores is None else outcome.scores[keep]
        if keep.any():
            kept.append(Outcome(outcome.y[keep], outcome.prediction[keep], scores))
    return {
        metric.name: float(mean_defined(np.array([metric(o, ones(o))[0] for o in kept])))
        for metric in metrics
    }
