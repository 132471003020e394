"""What two runs have in common, and the test that this allows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from featx._types import Array, Float64s, Ints
from featx.comparison.run import KEY, Run
from featx.metrics import Metric
from featx.paired import Difference, bootstrap, corrected_t, mcnemar


@dataclass(frozen=True)
class Pair:
    """Two runs side by side.

    Attributes
    ----------
    difference
        First less second; None where they cannot be compared.
    units
        What the difference's ``n`` counts.
    why
        Why they cannot be compared, or what differs beside the head; empty where nothing does.
    """

    difference: Difference | None
    units: str = ""
    why: str = ""

    def turned(self) -> Pair:
        """Give the second less the first."""
        d = self.difference
        if d is None:
            return self
        return replace(self, difference=replace(d, value=-d.value, low=-d.high, high=-d.low))


def compare_pair(first: Run, second: Run, metric: Metric) -> Pair:
    """Compare two runs of one target as far as what they have in common allows.

    The same rows in the same splits are compared split by split. Else the rows that both tested
    are compared, which says nothing of other training rows.
    """
    for run in (first, second):
        if metric.name not in run.record["metrics"]:
            return Pair(None, why=f"{metric.name} is not known of {run.record['head']}")
    if not _same_images(first, second):
        return Pair(None, why="they were fitted on different images")
    if _same_splits(first, second):
        if len(first.n_test) > 1:
            return _by_splits(first, second, metric)
        return _by_rows(first, second, metric, _sizes(first, second))
    return _by_rows(first, second, metric, "the splits differ")


def _same_images(first: Run, second: Run) -> bool:
    """Whether a path means the same image in both: one has no image that the other lacks."""
    if first.record["data"]["manifest"] == second.record["data"]["manifest"]:
        return True
    a, b = first.images, second.images
    return bool(a and b) and (a <= b or b <= a)


def _same_splits(first: Run, second: Run) -> bool:
    a, b = first.predictions, second.predictions
    if len(a) != len(b) or len(first.n_test) != len(second.n_test):
        return False
    same = all(np.array_equal(a[name], b[name]) for name in (*KEY, "fold"))
    return same and np.array_equal(first.targets(a), second.targets(b))


def _sizes(first: Run, second: Run) -> str:
    sizes = [round(float(run.n_train.mean())) for run in (first, second)]
    return "" if sizes[0] == sizes[1] else f"trained on {sizes[0]} and {sizes[1]} rows"


def _by_splits(first: Run, second: Run, metric: Metric) -> Pair:
    """Splits hold whole groups, so their differences carry what the rows of a group share."""
    d: Float64s = first.values(metric.name) - second.values(metric.name)
    there = ~np.isnan(d)
    if there.sum() < 2:
        return Pair(None, why=f"{metric.name} is undefined in all splits but {there.sum()}")
    fitted = np.minimum(first.n_train, second.n_train)
    ratio = float((first.n_test / fitted)[there].mean())
    return Pair(corrected_t(d[there], ratio), "splits", _sizes(first, second))


def _by_rows(first: Run, second: Run, metric: Metric, differs: str) -> Pair:
    """Compare the first test of each row that both tested, with the same target."""
    both = first.rows.index.intersection(second.rows.index)
    a, b = first.rows.loc[both], second.rows.loc[both]
    same = first.targets(a) == second.targets(b)
    a, b = a[same], b[same]
    m = len(a)
    if m < 2:
        return Pair(None, why=f"{differs or 'single rows'}; rows that both tested: {m}")
    if differs == "the splits differ":
        differs += f": compared on the {m} rows that both tested, not for other training rows"
    unit = _units(a, b)
    outcomes = first.outcome(a), second.outcome(b)
    if metric.name == "accuracy" and unit is None:
        right = [o.y == o.prediction for o in outcomes]
        return Pair(mcnemar(*right), "rows", differs)
    if metric.max_resampled is not None and m > metric.max_resampled:
        return Pair(None, why=f"{metric.name} of more than {metric.max_resampled} rows is too slow")
    found = bootstrap(
        lambda W: metric(outcomes[0], W) - metric(outcomes[1], W),
        np.arange(m) if unit is None else unit,
    )
    return Pair(found, "rows" if unit is None else "groups", differs)


def _units(a: pd.DataFrame, b: pd.DataFrame) -> Ints | None:
    """Number (m,) what belongs together in either run; None where every row is alone."""
    groups = [_codes(frame["group"].to_numpy(dtype=object)) for frame in (a, b) if "group" in frame]
    if not groups:
        return None
    numbers, size = groups[0], int(groups[0].max()) + 1
    if len(groups) > 1:
        wide = size + int(groups[1].max()) + 1
        links = coo_matrix((np.ones(len(a)), (numbers, size + groups[1])), shape=(wide, wide))
        numbers = _codes(connected_components(links, directed=False)[1][numbers])
    return None if int(numbers.max()) + 1 == len(a) else numbers


def _codes(values: Array) -> Ints:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
