"""Small drawings of characters."""

from __future__ import annotations

import math

import pytest

from featx.cli.glyphs import MOST_CLASSES, confusion, sparkline
from featx.cli.text import one_line


def test_a_confusion_matrix_has_labels_in_its_rows() -> None:
    lines = list(confusion([[12, 3], [0, 7]], ["cat", "dog"]))
    assert lines[1:] == ["     cat  dog", "cat   12    3", "dog    .    7"]


def test_long_and_hostile_names_stay_in_their_line() -> None:
    names = ["a" * 60, "two\nlines", "\x1b[31mred"]
    lines = list(confusion([[1, 0, 0], [0, 1, 0], [0, 0, 1]], names))
    assert (
        " ".join(lines[5:])
        == f"classes, in this order: {'a' * 60}, {', '.join(map(one_line, names[1:]))}"
    )
    assert max(map(len, lines)) < 80
    assert "\x1b" not in "".join(lines)


def test_ten_classes_fit_a_terminal_and_more_are_not_shown() -> None:
    n = MOST_CLASSES
    names = [f"a long name {i}" for i in range(n)]
    counts = [[1000] * n] * n
    lines = list(confusion(counts, names))
    assert max(map(len, lines)) < 80
    assert " ".join(lines[n + 2 :]) == f"classes, in this order: {', '.join(names)}"
    assert list(confusion([[1] * (n + 1)] * (n + 1), [*names, "one more"])) == []
    assert list(confusion([], [])) == []


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0.0, 0.5, 1.0], "▁▅█"),
        ([1.0, 1.0], "▁▁"),
        ([0.0, None, math.nan, 7.0], "▁  █"),
        ([None], ""),
        ([], ""),
    ],
)
def test_a_sparkline_is_higher_for_more(values: list[float | None], drawn: str) -> None:
    assert sparkline(values) == drawn


def test_a_plain_terminal_gets_plain_characters() -> None:
    assert sparkline([0.0, 1.0], block="#") == "_@"
