"""What the stored dtype cannot hold is refused; the fast bound agrees with the exact loss."""

import numpy as np
import pytest
from helpers_store import DIM, digest, keys, vector, writer
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.errors import NumericsError
from featx.recipe import Recipe
from featx.store import DONE
from featx.store.block import MAX_LOSS, Block, check_vector
from featx.store.floats import is_finite, round_into, widened


def accepted(x, dtype="float16"):
    try:
        check_vector(np.asarray(x, np.float32), dtype)
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
        check_vector(np.array(x, np.float32), "float16")
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


def rounded_as_astype_does(x):
    out = np.empty(len(x), np.float16)
    round_into(out, x)
    return np.array_equal(out.view(np.uint16), x.astype(np.float16).view(np.uint16))


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
    block.put(digest(0), 0, DONE, vector(0))
    whole = block.arrays[array]
    block.arrays[array] = whole.view(Interrupted)  # rows of which are written to as before
    with pytest.raises(KeyboardInterrupt):
        block.put(digest(1), 0, DONE, vector(1))
    block.arrays[array] = whole
    block.put(digest(2), 0, DONE, vector(2))
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
