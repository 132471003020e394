"""Rows by falling score, in a shape in which weights of many resamples are summed fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from featx._types import Array, Float64s, Ints


@dataclass(frozen=True)
class Ranking:
    """Which of m rows make up each of g groups, by falling score.

    Rows of equal score are a group. Groups that follow each other and hold no positive row are one:
    neither the area under the ROC curve nor average precision asks for their order.

    Attributes
    ----------
    true, false
        (g, m) ones at the positive rows of each group, and at its others: times weights (m, b)
        they give the weights of each group.
    """

    true: csr_array
    false: csr_array

    @classmethod
    def of(cls, score: Float64s, positive: Array) -> Ranking:
        """Rank m rows."""
        order = np.argsort(-score, kind="stable")
        ties = tie_starts(score[order])
        holds = np.logical_or.reduceat(positive[order], ties)
        starts = ties[np.concatenate([[True], holds[1:] | holds[:-1]])]
        place = np.zeros(len(score), dtype=np.int64)
        place[order] = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
        return cls(*(_members(place, rows, len(starts)) for rows in (positive, ~positive)))


def _members(place: Ints, rows: Array, groups: int) -> csr_array:
    at = np.flatnonzero(rows)
    return csr_array((np.ones(len(at)), (place[at], at)), shape=(groups, len(place)))


def tie_starts(sorted_values: Array) -> Ints:
    """Give where each run of equal values starts."""
    new = np.flatnonzero(np.diff(sorted_values) != 0) + 1
    return np.concatenate([[0], new]).astype(np.int64)
