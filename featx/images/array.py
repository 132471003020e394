"""Arrays as images: what a notebook holds, and what a reader of another format returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from featx._types import Array
from featx.errors import ImageError, UsageError
from featx.images.picture import Picture
from featx.images.samples import Samples


def open_array(array: Array) -> Picture:
    """Open (H, W), (H, W, C), or (pages, H, W, C).

    uint8 with four channels is RGBA; bool is black and white; the rest keeps its numbers.

    Raises
    ------
    ImageError
        If the shape or the dtype is not that of an image beyond doubt.
    """
    if array.dtype.kind not in "buif":
        raise ImageError(f"an array of dtype {array.dtype}; expected numbers")
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise ImageError(f"an array of shape {array.shape}; expected (H, W) or (H, W, C)")
    pages = array if array.ndim == 4 else array[None]
    if pages.ndim == 4 and pages.shape[1] <= 4 < pages.shape[3]:
        raise ImageError(
            f"an array of shape {array.shape}; expected (H, W, C): channels come last, "
            f"numpy.moveaxis(x, {array.ndim - 3}, -1)"
        )
    return Picture(len(pages), "pages", lambda i: _samples(np.atleast_3d(pages[i])), "array")


def open_with(reader: Callable[[bytes], Any], data: bytes) -> Picture:
    """Open bytes with the person's own function.

    Raises
    ------
    ImageError
        If it fails.
    UsageError
        If it returns no array.
    """
    found = reader(data)
    if not hasattr(found, "__array__"):
        name = getattr(reader, "__qualname__", repr(reader))
        raise UsageError(
            f"the reader {name} returned {type(found).__name__}; expected an array (H, W[, C])"
        )
    return open_array(np.asarray(found))


def number_samples(values: Array, bits: int | None = None) -> Samples:
    """Give (H, W, C) numbers with the full intensity of their container of ``bits``."""
    return Samples(values, _full(values.dtype, bits))


def _samples(values: Array) -> Samples:
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint8 and values.shape[2] == 4:
        return Samples(values[:, :, :3], 255, values[:, :, 3].astype(np.float32) / 255)
    return number_samples(values)


def _full(dtype: np.dtype[Any], bits: int | None) -> float | None:
    if dtype.kind == "f":
        return 1.0
    return float(2 ** (bits or 8 * dtype.itemsize) - 1) if dtype.kind == "u" else None
