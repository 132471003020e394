"""What is faster done with the bits of floats than with their values."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx._types import Array, Float32s

_MINUS = np.uint32(0x80000000)
"""The bit of a float32 that holds its sign."""

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


def magnitudes(x: Float32s) -> Float32s:
    """Give the largest absolute value of each row, NaN where one is; one pass after a ReLU.

    Without their signs, floats are in the order of their bits, inf and NaN after all others.

    Parameters
    ----------
    x : (n, d) float32, C-contiguous

    Returns
    -------
    (n,) float32
    """
    bits = x.view(np.uint32)
    largest = bits.max(axis=1, initial=0)
    if (largest >= _MINUS).any():
        largest = (bits & ~_MINUS).max(axis=1, initial=0)
    return np.asarray(largest.view(np.float32))


def widened(values: Array) -> Float32s:
    """Give float16 as float32, exactly; up to three times as fast as ``astype``, ReLU's most."""
    bits = values.view(values.dtype.str.replace("f", "u"))
    return np.take(_every_float16(), bits, mode="clip")  # what "raise" looks for cannot be


@cache
def _every_float16() -> Float32s:
    """(65536,) float32, by their bits."""
    return np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
