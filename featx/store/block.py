"""The block being filled, and whether its dtype can hold vectors."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import NumericsError
from featx.store.floats import is_finite, magnitudes
from featx.store.layout import ARRAYS, DONE, UNDECODABLE, failure_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import Array, Float32s, Key
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

    def put(self, keys: Sequence[Key], vectors: Array) -> None:
        """Fill the next rows, their states last: an interrupt in between leaves them EMPTY.

        Parameters
        ----------
        keys
            Digest and item of each.
        vectors : (len(keys), dim)
            Rounded to the stored dtype here.
        """
        self.arrays["features"][self.n : self.n + len(keys)] = vectors
        self._identify(keys, DONE)

    def put_failure(self, key: Key, reason: str) -> None:
        """Fill the next row with an image that cannot be decoded, and why."""
        self.arrays["features"][self.n] = np.nan
        self.failed[failure_key(*key)] = reason
        self._identify([key], UNDECODABLE)

    def _identify(self, keys: Sequence[Key], state: int) -> None:
        rows = slice(self.n, self.n + len(keys))
        digests = np.frombuffer(b"".join(digest for digest, _ in keys), dtype=np.uint8)
        self.arrays["digest"][rows] = digests.reshape(-1, 16)
        self.arrays["item"][rows] = [item for _, item in keys]
        self.n = rows.stop  # before the states: `end` must not overwrite a row that is DONE
        self.arrays["state"][rows] = state

    def end(self) -> None:
        """Put NaN into the vectors that are left: until now they need not take memory."""
        self.arrays["features"][self.n :] = np.nan


def check_vectors(x: Array, dtype: StoredDtype) -> None:
    """Refuse vectors that are not finite, or that ``dtype`` would spoil.

    Parameters
    ----------
    x : (n, d) float32 or float16
    dtype
        In which they will be stored.

    Raises
    ------
    NumericsError
        If a value is inf or NaN, overflows, or more than 1e-3 of a vector's norm would be lost.
    """
    if x.dtype == np.float16:
        _check_finite(x)
        return
    largest = magnitudes(np.ascontiguousarray(x))
    if not np.isfinite(largest).all():
        _check_finite(x)
    if dtype == "float32" or not len(x):
        return
    if largest.max() >= _FLOAT16_END:
        raise NumericsError(
            f"a vector holds {largest.max():.4g}, and float16 ends at 65504; use --dtype float32"
        )
    for row in x[largest < np.sqrt(x.shape[1]) * _SAFE_RMS]:  # no norm is below its largest value
        _check_loss(row)


def _check_finite(x: Array) -> None:
    if not is_finite(x):
        bad = np.count_nonzero(~np.isfinite(x), axis=1)
        raise NumericsError(
            f"a vector holds {bad.max()} values that are not finite; the network overflows on this "
            "image: try --precision fp32"
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
