"""What the stored dtype cannot hold is refused; the fast bound agrees with the exact loss."""

import numpy as np
import pytest
from helpers_store import DIM, digest, keys, vector, writer
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.errors import NumericsError
from featx.store.block import MAX_LOSS, check_vector


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


def test_the_writer_refuses_and_keeps_what_it_had(tmp_path):
    with writer(tmp_path) as w:
        w.append(digest(0), 0, vector(0))
        with pytest.raises(NumericsError):
            w.append(digest(1), 0, np.full(DIM, 1e5, np.float32))
    assert w.store.rows(*keys([0, 1])).tolist() == [0, -1]
