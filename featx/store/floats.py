"""What is faster done with the bits of floats than with their values."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx._types import Array, Float32s

_MINUS, _EXPONENT = np.uint32(0x80000000), np.uint32(0x7F800000)
"""The bits of a float32 that hold its sign and its exponent."""

_SMALLEST = np.uint32((127 - 14) << 23)
"""The bits of 2^-14, from which on float16 is normal."""

_THIRTEEN = np.uint32((13 << 23) + (-((127 + 13 - 14) << 10) & 0xFFFF))
"""Adds 13 to an exponent; and to a sum's last bits what makes float16's exponent of this one."""

_INF = {2: (0x7C00, 0xFC00), 4: (0x7F800000, 0xFF800000)}
"""Bytes of a float: inf as a signed integer, and -inf as an unsigned one."""


def is_finite(values: Array) -> bool:
    """Say whether no value is inf or NaN, ten times as fast as ``np.isfinite`` on float16.

    As unsigned integers, what has a minus is above what has a plus, and among either inf and NaN
    are the largest; as signed integers, what has a minus is below zero.
    """
    (inf, minus_inf), kind = _INF[values.dtype.itemsize], values.dtype.str
    largest = values.view(kind.replace("f", "u")).max(initial=0)
    if largest < inf:  # nothing has a minus: after a ReLU, one pass is enough
        return True
    return bool(largest < minus_inf and values.view(kind.replace("f", "i")).max(initial=0) < inf)


def round_into(out: Array, x: Float32s) -> None:
    """Round float32 to float16 as ``astype`` does; after a ReLU in half of its time.

    Where 2^e <= |x_i| < 2^(e+1), float16 ends at 2^(e-10), and so does float32 between 2^(e+13) and
    2^(e+14): the sum s_i = |x_i| + 2^(e+13) is rounded where float16 is, and its last bits are
    float16's. Below 2^-14, where float16 is denormal, e stays at -14.

    Parameters
    ----------
    out : (d,) float16
    x : (d,) float32
        Finite, and below 65520.
    """
    bits = x.view(np.uint32)
    has_minus = bits.max() >= _MINUS
    power = bits & _EXPONENT  # 2^e
    np.maximum(power, _SMALLEST, out=power)
    power += _THIRTEEN  # 2^(e+13)
    s = (np.abs(x) if has_minus else x) + power.view(np.float32)
    power >>= np.uint32(13)  # e, where float16 has it
    power += s.view(np.uint32)
    if has_minus:
        power |= (bits & _MINUS) >> np.uint32(16)
    out.view(np.uint16)[:] = power  # the lower half of each


def widened(values: Array) -> Float32s:
    """Give float16 as float32, exactly; up to three times as fast as ``astype``, ReLU's most."""
    bits = values.view(values.dtype.str.replace("f", "u"))
    return np.take(_every_float16(), bits, mode="clip")  # what "raise" looks for cannot be


@cache
def _every_float16() -> Float32s:
    """(65536,) float32, by their bits."""
    return np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
