"""What the stored dtype cannot hold is refused; the fast bound agrees with the exact loss."""

import numpy as np
import pytest
from helpers_store import DIM, ROWS, digest, keys, small_blocks, vector, writer
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.embedding.rounding import rounded
from featx.errors import NumericsError, UsageError
from featx.recipe import Recipe
from featx.store import DONE
from featx.store.block import MAX_LOSS, Block, check_vectors
from featx.store.floats import is_finite, magnitudes, widened


def accepted(x, dtype="float16"):
    try:
        check_vectors(np.array([x], np.float32), dtype)
    except NumericsError:
        return False
    return True


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([1.0, 65520.0], "ends at 65504"),
        ([1.0, -7e4], "ends at 65504"),
        ([1e30, 1e30], "ends at 65504"),
        ([1e-9] * 4, "too small"),
        ([3e-8, 0.0, 1e-8], "too small"),
        ([1e-38] * 4, "too small"),
        ([1.0, np.nan], "1 values that are not finite"),
        ([-np.inf, np.inf], "2 values that are not finite"),
    ],
)
def test_float16_refuses_with_the_way_out(x, words):
    with pytest.raises(NumericsError, match=words) as caught:
        check_vectors(np.array([[1.0] * len(x), x, [0.5] * len(x)], np.float32), "float16")
    assert "--dtype float32" in str(caught.value) or "--precision fp32" in str(caught.value)


def test_float16_takes_what_it_can_hold():
    for x in ([0.0] * 4, [65504.0, 65519.0], [1.0, 1e-9], [2.0**-24] * 3, [6e-5, 1e-4]):
        assert accepted(x), x


def test_float32_refuses_only_what_is_not_finite():
    assert accepted([1e38, 1e38, 1e-40], "float32")
    assert not accepted([np.inf], "float32")
    assert not accepted([np.nan], "float32")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.floats(-1.0, 1.0, width=32), min_size=1, max_size=8),
    st.floats(-9.0, 4.8),
)
def test_the_bound_agrees_with_the_exact_loss(values, exponent):
    x = np.array(values, np.float32) * np.float32(10.0**exponent)
    with np.errstate(over="ignore"):
        rounded = x.astype(np.float16).astype(np.float64)
    lost = np.linalg.norm(x.astype(np.float64) - rounded)
    fits = bool(np.isfinite(rounded).all() and lost <= MAX_LOSS * np.linalg.norm(x.astype(float)))
    assert accepted(x) == fits


EVERY_FLOAT16 = np.arange(2**16, dtype=np.uint16).view(np.float16)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_inf_and_nan_are_told_from_every_other_value(dtype):
    for value in EVERY_FLOAT16.astype(dtype):
        assert is_finite(np.array([[1, value]], dtype)) == np.isfinite(value), value
    assert is_finite(np.empty((0, 3), dtype))
    assert is_finite(np.array([np.finfo(dtype).max, np.finfo(dtype).min], dtype))
    assert not is_finite(np.array([-1, np.inf], dtype))
    assert not is_finite(np.array([1, -np.nan], dtype))


def test_magnitudes_are_those_of_the_absolute_values():
    x = np.random.default_rng(0).standard_normal((5, 7), np.float32)
    x[1], x[3] = np.abs(x[1]), 0
    assert np.array_equal(magnitudes(x), np.abs(x).max(axis=1))
    assert np.array_equal(magnitudes(np.abs(x)), np.abs(x).max(axis=1))
    x[0, 0], x[2, 2], x[4, 4] = -np.inf, np.nan, -np.nan
    got = magnitudes(x)
    assert got[0] == np.inf
    assert np.isnan(got[[2, 4]]).all()
    assert np.isfinite(got[[1, 3]]).all()
    assert magnitudes(np.empty((0, 3), np.float32)).shape == (0,)
    assert magnitudes(np.empty((2, 0), np.float32)).tolist() == [0, 0]


def rounded_as_astype_does(x):
    got = rounded(np.stack([x, x[::-1]]), "float16")
    expected = x.astype(np.float16).view(np.uint16)
    return np.array_equal(got.view(np.uint16), np.stack([expected, expected[::-1]]))


@pytest.mark.parametrize("sign", [1, -1])
def test_float16_and_what_lies_between_two_are_rounded_to_nearest_ties_to_even(sign):
    exact = EVERY_FLOAT16[:0x7C00].astype(np.float32) * np.float32(sign)
    ties = (exact[1:] + exact[:-1]) / 2
    assert rounded_as_astype_does(exact)
    assert rounded_as_astype_does(ties)
    for towards in (0, sign * np.inf):
        assert rounded_as_astype_does(np.nextafter(exact, np.float32(towards)))
        assert rounded_as_astype_does(np.nextafter(ties, np.float32(towards)))
    assert rounded_as_astype_does(np.nextafter(np.float32([sign * 65520]), np.float32(0)))


def test_random_bits_are_rounded_as_astype_does():
    bits = np.random.default_rng(0).integers(0, 2**32, 2**20, dtype=np.uint32)
    x = bits.view(np.float32)
    x = x[np.abs(x) < 65520]
    assert len(x) > 2**19
    assert rounded_as_astype_does(x)
    assert rounded_as_astype_does(np.abs(x))
    assert rounded_as_astype_does(np.zeros(3, np.float32))


def test_every_float16_is_widened_to_its_value():
    values = EVERY_FLOAT16.reshape(256, 256)
    got, expected = widened(values), values.astype(np.float32)
    assert got.dtype == np.float32
    assert np.array_equal(got.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_float16_rows_are_taken_as_they_are(tmp_path, dtype):
    recipe = Recipe("vgg16", "00", "features", "flatten", dtype=dtype)
    rows = np.array([[2.0**-24] * DIM, [-65504.0] * DIM, [0.0] * DIM], np.float16)
    with writer(tmp_path, recipe) as w:
        for i, row in enumerate(rows):
            w.append(digest(i), 0, row)
        for value in (np.inf, -np.inf, np.nan):
            with pytest.raises(NumericsError, match=f"{DIM} values that are not finite"):
                w.append(digest(9), 0, np.full(DIM, value, np.float16))
    got = w.store.read(np.arange(3))
    assert got.dtype == dtype
    assert np.array_equal(got, rows)


class Interrupted(np.ndarray):
    def __setitem__(self, *_):
        raise KeyboardInterrupt


@pytest.mark.parametrize("array", ["features", "digest", "item", "state"])
def test_a_row_that_an_interrupt_cut_off_is_not_done(tmp_path, array):
    with writer(tmp_path) as w:
        block = Block.empty(w.store.layout, 0)
    block.put([(digest(0), 0)], vector(0)[None])
    whole = block.arrays[array]
    block.arrays[array] = whole.view(Interrupted)  # rows of which are written to as before
    with pytest.raises(KeyboardInterrupt):
        block.put([(digest(1), 0), (digest(3), 0)], np.stack([vector(1), vector(3)]))
    block.arrays[array] = whole
    block.put([(digest(2), 0)], vector(2)[None])
    block.end()
    done = np.flatnonzero(block.arrays["state"] == DONE)
    assert np.array_equal(block.arrays["digest"][done], keys([0, 2])[0])
    assert np.array_equal(block.arrays["features"][done], np.float16([vector(0), vector(2)]))
    assert np.isnan(block.arrays["features"][block.n :]).all()


def test_the_writer_refuses_and_keeps_what_it_had(tmp_path):
    with writer(tmp_path) as w:
        w.append(digest(0), 0, vector(0))
        with pytest.raises(NumericsError):
            w.append(digest(1), 0, np.full(DIM, 1e5, np.float32))
    assert w.store.rows(*keys([0, 1])).tolist() == [0, -1]


def test_many_at_once_are_the_rows_one_by_one(tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    n = 3 * ROWS + 1
    wanted, rows = [(digest(i), 0) for i in range(n)], np.stack([vector(i) for i in range(n)])
    with writer(tmp_path / "a") as at_once:
        at_once.append(*wanted[0], rows[0])
        at_once.extend(wanted[1:], rows[1:])
        at_once.extend([], rows[:0])
        with pytest.raises(UsageError, match=r"vectors of shape \(2, \d+\), expected \(1, "):
            at_once.extend(wanted[:1], rows[:2])
    with writer(tmp_path / "b") as alone:
        for key, row in zip(wanted, rows, strict=True):
            alone.append(*key, row)
    for w in (at_once, alone):
        assert np.array_equal(w.store.rows(*keys(range(n))), np.arange(n))
    assert np.array_equal(at_once.store.read(np.arange(n)), alone.store.read(np.arange(n)))


def test_none_of_several_is_added_where_one_is_refused(tmp_path):
    with writer(tmp_path) as w, pytest.raises(NumericsError):
        w.extend([(digest(0), 0), (digest(1), 0)], np.float32([[1] * DIM, [1e5] * DIM]))
    assert w.store.rows(*keys([0, 1])).tolist() == [-1, -1]
