"""Twins on both sides of a split, and the score without them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from featx._types import Array, Ints
from featx.leaks import copies_across, find_leak, means_without
from featx.metrics import METRICS, Outcome


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


FOLDS = [(ints(0, 1, 2, 3), ints(4, 5)), (ints(2, 3, 4, 5), ints(0, 1))]


def test_pairs_on_one_side_are_harmless() -> None:
    leak = find_leak(ints(0, 2, 4, 6), ints(1, 3, 5, 7), FOLDS, 8)
    assert not len(leak.pairs)
    assert not len(leak.rows)


def test_pairs_on_both_sides_are_named_with_their_test_rows() -> None:
    leak = find_leak(ints(0, 0, 3, 1), ints(1, 4, 5, 7), FOLDS, 8)
    assert leak.pairs.tolist() == [1, 2]
    assert [rows.tolist() for rows in leak.affected] == [[4, 5], [0]]
    assert leak.rows.tolist() == [0, 4, 5]


def test_no_folds_and_no_pairs() -> None:
    assert not len(find_leak(ints(), ints(), FOLDS, 8).rows)
    assert not len(find_leak(ints(0), ints(1), [], 8).rows)


def test_copies_across_a_split_are_found_once() -> None:
    image = np.array(list("abcbbda"))
    folds = [(ints(0, 1, 3), ints(4, 5, 6)), (ints(4, 5, 6), ints(0, 1, 3))]
    i, j = copies_across(image, folds)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 6), (1, 4), (3, 4)]


def test_no_copies_across() -> None:
    i, j = copies_across(np.arange(8), FOLDS)
    assert len(i) == len(j) == 0
    assert len(copies_across(np.arange(8), [])[0]) == 0


def made(seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=30)
    return y, rng.normal(size=30) + y


def test_the_score_without_is_that_of_the_other_rows() -> None:
    tests = [np.arange(30), np.arange(30, 60)]
    affected = [ints(0, 7, 29), ints(31, 32)]
    outcomes, accuracies, areas = [], [], []
    for seed, (test, out) in enumerate(zip(tests, affected, strict=True)):
        y, score = made(seed)
        said = (score > 0.5).astype(np.int64)
        outcomes.append(Outcome(y, said, np.stack([-score, score], axis=1)))
        keep = ~np.isin(test, out)
        accuracies.append(accuracy_score(y[keep], said[keep]))
        areas.append(roc_auc_score(y[keep], score[keep]))
    metrics = [m for m in METRICS["classification"] if m.name in ("accuracy", "roc_auc")]
    found = means_without(outcomes, tests, affected, metrics)
    assert found == pytest.approx({"accuracy": np.mean(accuracies), "roc_auc": np.mean(areas)})


def test_a_split_without_other_rows_does_not_count() -> None:
    outcomes = [Outcome(np.arange(3.0), np.arange(3.0) + 1), Outcome(np.arange(3.0), np.ones(3))]
    metrics = [m for m in METRICS["regression"] if m.name == "mae"]
    tests = [ints(0, 1, 2), ints(3, 4, 5)]
    assert means_without(outcomes, tests, [tests[0], ints()], metrics) == {
        "mae": pytest.approx(2 / 3)
    }
    assert np.isnan(means_without(outcomes, tests, tests, metrics)["mae"])
