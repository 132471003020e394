"""Where what computed the vectors goes together with what they are to tell: tables, no stores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from featx import confounding
from featx.confounding import (
    LEVEL,
    Made,
    class_confounds,
    rank_association,
    split_confounds,
    table_association,
    target_confounds,
)

NAMES = ["torch fp32", "openvino bf16"]
CLASSES = ["cat", "dog", "fox"]


def made(code: np.ndarray, vector: np.ndarray | None = None) -> Made:
    return Made(code, NAMES, np.arange(len(code)) if vector is None else vector)


def test_large_tables_are_tested_as_scipy_tests_them() -> None:
    table = np.array([[30, 14, 25], [22, 31, 24]])
    found = table_association(table)
    assert found.p == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    assert found.strength == pytest.approx(stats.contingency.association(table, method="cramer"))
    assert 0.01 < found.p < 0.05
    assert not found.counts


@pytest.mark.parametrize(
    ("table", "expected"), [([[7, 0], [0, 7]], True), ([[6, 0], [0, 6]], False)]
)
def test_small_tables_agree_with_fishers_exact_test(table: list[list[int]], expected: bool) -> None:
    exact = stats.fisher_exact(table).pvalue
    found = table_association(np.array(table))
    assert (exact < LEVEL) == expected
    assert found.counts == expected
    assert exact / 3 < found.p < exact * 3


def test_small_tables_of_more_classes_agree_with_all_tables_there_are() -> None:
    table = np.array([[2, 0, 1], [0, 3, 1]])
    drawn = table_association(table).p
    rows, columns = [3, 4], [2, 3, 2]
    expected = np.outer(rows, columns) / 7
    observed = ((table - expected) ** 2 / expected).sum()
    law, p = stats.random_table(rows, columns), 0.0
    for a in range(3):
        for b in range(4):
            for c in range(3):
                one = np.array([[a, b, c], [2 - a, 3 - b, 2 - c]])
                if a + b + c == 3 and ((one - expected) ** 2 / expected).sum() > observed - 1e-9:
                    p += law.pmf(one)
    assert drawn == pytest.approx(p, abs=0.05)


def test_what_is_by_chance_is_rarely_told() -> None:
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(400):
        label, code = rng.integers(0, 3, 40), (rng.random(40) < 0.1).astype(np.int64)
        told += len(class_confounds(made(code), label, CLASSES))
        told += len(target_confounds(made(code), rng.normal(size=40)))
    assert told <= 3


def test_an_association_that_is_sure_and_next_to_nothing_is_not_told() -> None:
    found = table_association(np.array([[26_000, 25_000], [25_000, 26_000]]))
    assert found.p < LEVEL
    assert found.strength < 0.02
    assert not found.counts


def test_drawing_stops_where_the_answer_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confounding, "_DRAWS", 10**9)
    monkeypatch.setattr(confounding, "LEVEL", 1e-8)
    assert table_association(np.array([[3, 2], [2, 3]])).p > 0.1


def test_the_class_and_the_signature_that_stand_out_are_named() -> None:
    label = np.repeat([0, 1, 2], 40)
    code = np.where(label == 1, 1, 0)
    code[:4] = 1
    (found,) = class_confounds(made(code), label, CLASSES)
    assert found["against"] == "class"
    assert found["most"] == ["openvino bf16", "dog"]
    assert found["counts"] == {
        "torch fp32": {"cat": 36, "dog": 0, "fox": 40},
        "openvino bf16": {"cat": 4, "dog": 40, "fox": 0},
    }
    assert found["p"] < 1e-10
    assert 0.9 < found["strength"] < 1


def test_copies_of_a_vector_count_once() -> None:
    label, code = np.repeat([0, 1], 30), np.repeat([0, 1], 30)
    few = np.repeat(np.arange(6), 10)
    assert class_confounds(made(code, few), label, CLASSES) == []
    assert class_confounds(made(code), label, CLASSES)
    assert target_confounds(made(code, few), label * 10.0) == []
    assert target_confounds(made(code), label * 10.0)


def test_nothing_to_compare_is_nothing_found() -> None:
    zeros = np.zeros(50, np.int64)
    label = np.arange(50) % 2
    assert class_confounds(made(zeros), label, CLASSES) == []
    assert class_confounds(made(label), zeros, CLASSES) == []
    assert target_confounds(made(label), np.full(50, 3.0)) == []
    assert target_confounds(made(zeros), np.arange(50.0)) == []
    assert split_confounds(made(zeros), label == 1) == []


def test_numbers_that_differ_between_signatures_are_told_with_their_means() -> None:
    code = np.repeat([0, 1], 30)
    y = np.arange(60.0)
    (found,) = target_confounds(made(code), y)
    assert found["counts"] == {
        "torch fp32": {"rows": 30, "mean": 14.5},
        "openvino bf16": {"rows": 30, "mean": 44.5},
    }
    assert found["p"] == pytest.approx(stats.kruskal(y[:30], y[30:]).pvalue)
    correlation = stats.pearsonr(code, stats.rankdata(y)).statistic
    assert found["strength"] == pytest.approx(correlation)
    assert target_confounds(made(code), y % 30) == []
    assert rank_association([np.ones(3), np.ones(2)]) is None


def test_test_rows_of_their_own_signature_are_told_however_few() -> None:
    tested = np.arange(20) >= 15
    code = (np.arange(20) == 19).astype(np.int64)
    (found,) = split_confounds(made(code), tested)
    assert (found["against"], found["most"]) == ("unseen", ["openvino bf16", "test"])
    assert not found["p"] < LEVEL


def test_a_split_along_signatures_is_told() -> None:
    tested = np.arange(100) >= 60
    code = tested.astype(np.int64)
    code[[0, 99]] = 1 - code[[0, 99]]
    (found,) = split_confounds(made(code), tested)
    assert found["against"] == "split"
    assert found["counts"]["openvino bf16"] == {"train": 1, "test": 39}
    assert split_confounds(made(np.arange(100) % 2), tested) == []
    only_trained = (np.arange(100) < 3).astype(np.int64)
    assert split_confounds(made(only_trained), tested) == []
