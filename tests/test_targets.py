from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from featx.errors import TargetError, UnknownNameError
from featx.targets import (
    as_amounts,
    as_labels,
    as_numbers,
    contradictions,
    has_value,
    identity_columns,
    image_groups,
    target_name,
)


def digests(*numbers: int) -> np.ndarray:
    return np.array([[number] * 16 for number in numbers], dtype=np.uint8)


def test_target_is_label_unless_named() -> None:
    assert target_name(["path", "label"], None) == "label"
    assert target_name(["path", "label", "age"], "age") == "age"


def test_missing_target_lists_the_columns() -> None:
    with pytest.raises(TargetError, match="--target COL; columns: path, age"):
        target_name(["path", "age"], None)
    with pytest.raises(UnknownNameError, match="did you mean 'age'"):
        target_name(["path", "age"], "agee")


def test_has_value_knows_nothing_blank_and_the_tokens() -> None:
    values = np.array(["3", None, np.nan, " ", "NA", -1, -1.0, "-1", "x", 0], dtype=object)
    assert has_value(values, []).tolist() == [
        True, False, False, False, True, True, True, True, True, True,
    ]  # fmt: skip
    assert has_value(values, ["NA", "-1"]).tolist() == [
        True, False, False, False, False, False, False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        (["1", "2"], [1, 2], np.int64),
        ([1.0, 2.5], [1.0, 2.5], np.float64),
        (["0.5", "1"], [0.5, 1.0], np.float64),
    ],
)
def test_numbers(values: list[object], expected: list[float], kind: type) -> None:
    numbers = as_numbers(np.array(values, dtype=object))
    assert numbers is not None
    assert numbers.tolist() == expected
    assert numbers.dtype == kind


@pytest.mark.parametrize("values", [["a", "1"], [True, False], ["inf", "1"], [np.nan, 1.0], []])
def test_no_numbers(values: list[object]) -> None:
    assert as_numbers(np.array(values, dtype=object)) is None


def test_labels_are_whole_numbers_or_text() -> None:
    assert as_labels(np.array(["0", "1"], dtype=object)).dtype == np.int64
    assert as_labels(np.array([0.0, 0.33], dtype=object)).tolist() == ["0.0", "0.33"]
    assert as_labels(np.array([True, False], dtype=object)).tolist() == ["True", "False"]
    assert as_labels(np.array(["a", 1], dtype=object)).tolist() == ["a", "1"]


def test_names_that_python_reads_as_numbers_stay_names() -> None:
    assert as_labels(np.array(["2020_01", "20200_1"], dtype=object)).tolist() == [
        "2020_01", "20200_1",
    ]  # fmt: skip
    assert as_labels(np.array(["007", "7"], dtype=object)).tolist() == ["007", "7"]
    assert as_amounts(np.array(["007", "-01.5"], dtype=object), "y").tolist() == [7, -1.5]


def test_amounts_name_the_first_values_that_are_no_number() -> None:
    assert as_amounts(np.array(["1", 2], dtype=object), "age").dtype == np.float64
    with pytest.raises(TargetError, match=r"3 values that are no number: 'old', 'NA', 'inf'"):
        as_amounts(np.array(["1", "old", "NA", "NA", "inf"], dtype=object), "age")
    with pytest.raises(TargetError, match=r"--missing old,NA,inf; for classes, say --task class"):
        as_amounts(np.array(["1", "old", "NA", "NA", "inf"], dtype=object), "age")
    many = np.array([f"v{i}" for i in range(9)], dtype=object)
    with pytest.raises(TargetError, match=r"'v4', \.\.\.; for classes, say"):
        as_amounts(many, "age")
    with pytest.raises(TargetError, match=r"--missing v0,v1,v2,\.\.\.; for classes"):
        as_amounts(np.array([*many, "7"], dtype=object), "age")


def test_no_groups_where_every_row_is_alone() -> None:
    assert image_groups(digests(1, 2, 3), None) is None
    assert image_groups(digests(1, 2, 3), np.array(["a", "b", None], dtype=object)) is None
    assert image_groups(digests(), None) is None


def test_copies_share_a_group() -> None:
    groups = image_groups(digests(1, 2, 1), None)
    assert groups is not None
    assert groups[0] == groups[2] != groups[1]


def test_groups_are_joined_by_copies() -> None:
    # a: rows 0, 1; b: row 2, which is a copy of row 1; rows 3, 4, 6, 7 have no group; 5 is c.
    user = np.array(["a", "a", "b", None, np.nan, "c", " ", ""], dtype=object)
    groups = image_groups(digests(1, 2, 2, 4, 5, 6, 7, 8), user)
    assert groups is not None
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups.tolist())) == 6


def test_groups_equal_a_slow_closure() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        image, user = rng.integers(0, 30, 40), rng.integers(0, 30, 40)
        groups = image_groups(digests(*image), user.astype(object))
        slow = np.arange(40)
        for _ in range(40):
            for i in range(40):
                linked = (image == image[i]) | (user == user[i])
                slow[linked] = slow[linked].min()
        assert groups is not None
        same = groups[:, None] == groups[None, :]
        assert np.array_equal(same, slow[:, None] == slow[None, :])


def test_contradictions_count_images_with_two_targets() -> None:
    (rows,) = contradictions(digests(1, 2, 1, 2, 3), np.array(["a", "a", "b", "a", "b"]))
    assert rows.tolist() == [0, 2]


def test_identity_columns() -> None:
    rng = np.random.default_rng(0)
    n = 6_240
    frame = pd.DataFrame(
        {
            "path": [f"{i}.jpg" for i in range(n)],
            "person": np.arange(n) % 312,
            "patient_id": np.arange(n) % 7,
            "SceneName": [f"s{i % 5}" for i in range(n)],
            "celebrity name": [f"n{i % 312}" for i in range(n)],
            "number": np.arange(n) % 312,
            "age": rng.integers(1, 100, n),
            "style": [f"k{i % 4}" for i in range(n)],
            "sharpness": np.repeat(rng.normal(size=n // 4), 4),
            "id": np.arange(n),
            "constant_id": 1,
            "nearly_unique": [f"u{i if i % 20 else 0}" for i in range(n)],
            "label": [f"c{i % 50}" for i in range(n)],
        }
    )
    found = dict(identity_columns(frame, ["label"]))
    assert found == {
        "person": 312, "patient_id": 7, "SceneName": 5, "celebrity name": 312, "number": 312,
    }  # fmt: skip
    assert "person" not in dict(identity_columns(frame, ["label", "person"]))
