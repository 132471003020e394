"""What is counted equals numpy on everything written out."""

from __future__ import annotations

import numpy as np
import pytest

from featx.tallies import (
    NO_PIXELS,
    Amounts,
    Classes,
    clashes,
    describe_column,
    describe_sizes,
    describe_target,
    groups_of,
    level_sum,
    paths_of,
    rows_of,
    value_sum,
)


def levels(image: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)])


def images(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, (12, 2))
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def test_pixels_equal_numpy_on_all_of_them() -> None:
    every = images()
    total = NO_PIXELS
    for image in every:
        total += level_sum(levels(image))
    found = total.describe()
    flat = np.concatenate([image.reshape(-1, 3) for image in every]) / 255
    assert found is not None
    assert found.n == len(flat)
    assert found.mean == pytest.approx(flat.mean(axis=0), rel=1e-14)
    assert found.std == pytest.approx(flat.std(axis=0), rel=1e-13)


def test_order_changes_nothing_and_times_counts_again() -> None:
    a, b, c = (level_sum(levels(image)) for image in images()[:3])
    assert (a + b + c).describe() == (c + a + b).describe()
    assert (a + b + b + b).describe() == (a + b.times(3)).describe()


@pytest.mark.parametrize("channels", [1, 3])
def test_floats_and_bytes_together_equal_numpy(channels: int) -> None:
    rng = np.random.default_rng(1)
    floats = [rng.random((9, 5 + i, channels), dtype=np.float32) * 0.1 + 0.7 for i in range(4)]
    every = images()[:3]
    total = NO_PIXELS
    for image, values in zip([*every, None], floats, strict=True):
        total += value_sum(values).times(2)
        total = total if image is None else total + level_sum(levels(image))
    parts = [np.broadcast_to(v, (*v.shape[:2], 3)).reshape(-1, 3) for v in floats for _ in "ab"]
    parts = [p.astype(np.float64) for p in parts] + [i.reshape(-1, 3) / 255 for i in every]
    flat = np.concatenate(parts)
    found = total.describe()
    assert found is not None
    assert found.n == len(flat)
    assert found.mean == pytest.approx(flat.mean(axis=0), rel=1e-13)
    assert found.std == pytest.approx(flat.std(axis=0), rel=1e-12)


def test_a_deviation_of_nothing_is_exactly_zero() -> None:
    image = np.full((1000, 1000, 3), 201, dtype=np.uint8)
    found = level_sum(levels(image)).times(10**6).describe()
    assert found is not None
    assert found.std == (0.0, 0.0, 0.0)
    assert found.mean == (201 / 255,) * 3
    assert NO_PIXELS.describe() is None


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_sizes_equal_numpy(n: int) -> None:
    rng = np.random.default_rng(n)
    every = rng.integers(10, 14, (n, 2))
    counts: dict[tuple[int, int], int] = {}
    for w, h in every.tolist():
        counts[w, h] = counts.get((w, h), 0) + 1
    found = describe_sizes(counts)
    assert found is not None
    for spread, values in (
        (found.width, every[:, 0]),
        (found.height, every[:, 1]),
        (found.aspect, every[:, 0] / every[:, 1]),
    ):
        assert (spread.least, spread.greatest) == (values.min(), values.max())
        assert spread.median == pytest.approx(np.median(values))
    assert found.frequent[0][2] == max(counts.values())
    assert describe_sizes({}) is None


def described(values: list[object], numbers: list[float] | None = None) -> Classes | Amounts:
    column = np.array(values, dtype=object)
    there = np.array([value is not None for value in values])
    return describe_target("y", column, there, None if numbers is None else np.array(numbers))


def test_classes_are_counted_by_frequency_then_name() -> None:
    found = described(["b", "a", None, "c", "c"])
    assert isinstance(found, Classes)
    assert (found.n, found.missing) == (4, 1)
    assert list(found.counts.items()) == [("c", 2), ("a", 1), ("b", 1)]
    assert (found.frequent, found.rare) == (("c", 2), ("b", 1))
    assert found.to_json()["rarest"] == {"class": "b", "rows": 1, "share": 0.25}
    nothing = described([None])
    assert isinstance(nothing, Classes)
    assert nothing.to_json()["counts"] == {}


def test_numbers_are_described_as_numpy_does() -> None:
    x = [4.0, 1.5, 9.0]
    found = described(["4", "1.5", None, "9", "??"], [*x[:2], np.nan, x[2], np.nan])
    assert isinstance(found, Amounts)
    assert (found.n, found.missing, found.strange) == (3, 1, {"??": 1})
    assert found.std == pytest.approx(np.std(x, ddof=1))
    assert found.quartiles == pytest.approx(np.percentile(x, [0, 25, 50, 75, 100]))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False], "true or false"),
        (["1", "2", "2"], "whole numbers"),
        ([1.5, 2], "numbers"),
        (["1", "x"], "text"),
        ([None], "nothing"),
    ],
)
def test_columns_in_brief(values: list[object], kind: str) -> None:
    column = np.array(values, dtype=object)
    there = np.array([value is not None for value in values])
    found = describe_column("c", column, there)
    assert (found.kind, found.distinct) == (kind, len({v for v in values if v is not None}))
    assert found.missing == values.count(None)


def test_copies_are_grouped_and_compared() -> None:
    assert groups_of([b"a", None, b"b", b"a", b"b", b"b", None]) == [(2, 4, 5), (0, 3)]
    assert rows_of((0, 2), [(3, 1), (0,), (2,)]) == (1, 2, 3)
    (clash,) = clashes([(0, 1), (2, 3, 4)], ["x", None, "x", "y", "x"])
    assert (clash.rows, clash.values) == ((2, 3, 4), ("x", "y"))
    assert paths_of((0, 1, 2), ["p", "q", "p"]) == ["p", "q"]
