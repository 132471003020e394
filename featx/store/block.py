"""The block being filled, and whether its dtype can hold a vector."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import NumericsError
from featx.store.floats import is_finite, round_into
from featx.store.layout import ARRAYS

if TYPE_CHECKING:
    from featx._types import Array, Float32s
    from featx.recipe import StoredDtype
    from featx.store.layout import Layout

MAX_LOSS = 1e-3
"""Of a vector's norm, that rounding may take."""
_FLOAT16_END = 65520.0
"""The smallest value that rounds to infinity: half a step above 65504."""
_SAFE_RMS = 6e-5
"""Rounding to float16 errs by at most 2^-11 |x_i|, or 2^-25 below 2^-14, so by at most
2^-11 ||x|| + sqrt(d) 2^-25 in all. With ||x|| >= sqrt(d) 6e-5 that is under 1e-3 ||x||."""


@dataclass
class Block:
    """The block being filled; what is not filled is NaN and EMPTY in the end.

    Attributes
    ----------
    number
        Of the block in its store.
    arrays
        The (block_rows, ...) values of each array.
    begun
        When, in seconds of the monotonic clock.
    n
        Rows that are filled.
    failed
        The reason of each UNDECODABLE row, by its key in a run's ``failed``.
    """

    number: int
    arrays: dict[str, Array]
    begun: float = field(default_factory=time.monotonic)
    n: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, layout: Layout, number: int) -> Block:
        """Give a block with no row filled."""
        arrays: dict[str, Array] = {}
        for array in ARRAYS:
            spec, new = layout.spec(array), np.empty if array == "features" else np.zeros
            arrays[array] = new((layout.block_rows, *spec.tail), spec.dtype)
        return cls(number, arrays)

    def put(self, digest: bytes, item: int, state: int, vector: Array | None = None) -> None:
        """Fill the next row, its state last: an interrupt in between leaves it EMPTY."""
        row, features = self.n, self.arrays["features"]
        if vector is None:
            features[row] = np.nan
        elif features.dtype == np.float16 and vector.dtype == np.float32:
            round_into(features[row], vector)
        else:
            features[row] = vector
        self.arrays["digest"][row] = np.frombuffer(digest, dtype=np.uint8)
        self.arrays["item"][row] = item
        self.n = row + 1  # before the state: `end` must not overwrite a row that is DONE
        self.arrays["state"][row] = state

    def end(self) -> None:
        """Put NaN into the vectors that are left: until now they need not take memory."""
        self.arrays["features"][self.n :] = np.nan


def check_vector(x: Array, dtype: StoredDtype) -> None:
    """Refuse a vector that is not finite, or that ``dtype`` would spoil.

    Parameters
    ----------
    x : (d,) float32 or float16
    dtype
        In which it will be stored.

    Raises
    ------
    NumericsError
        If a value is inf or NaN, overflows, or more than 1e-3 of the norm would be lost.
    """
    if x.dtype == np.float16:
        _check_finite(x)
        return
    with np.errstate(over="ignore", invalid="ignore"):  # the sum says so itself
        squares = float(np.dot(x, x))
    if not np.isfinite(squares):
        _check_finite(x)
    if dtype == "float32":
        return
    largest = max(float(x.max()), -float(x.min()))
    if largest >= _FLOAT16_END:
        raise NumericsError(
            f"a vector holds {largest:.4g}, and float16 ends at 65504; use --dtype float32"
        )
    if squares < len(x) * _SAFE_RMS**2:
        _check_loss(x)


def _check_finite(x: Array) -> None:
    if not is_finite(x):
        raise NumericsError(
            f"a vector holds {np.count_nonzero(~np.isfinite(x))} values that are not finite; the "
            "network overflows on this image: try --precision fp32"
        )


def _check_loss(x: Float32s) -> None:
    exact = x.astype(np.float64)
    lost = float(np.linalg.norm(exact - x.astype(np.float16)))
    norm = float(np.linalg.norm(exact))
    if lost > MAX_LOSS * norm:
        raise NumericsError(
            f"float16 would lose {lost / norm:.2g} of a vector's norm of {norm:.3g}, at most "
            f"{MAX_LOSS:g} is allowed: its values are too small; use --dtype float32"
        )
