"""The batch size that suits an engine, by a short measurement where one pays."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import DeviceError

if TYPE_CHECKING:
    from featx._types import Array
    from featx.forward.base import Engine

SHARE = 0.02
"""Of the images to come, that may be run once more to find the batch size."""
GAIN = 0.95
"""Another batch size must take at most this share of the time: less is noise."""


def sized(engine: Engine, images: Array, n_images: int) -> Engine:
    """Give the engine at the fastest of half, the same and twice its batch size.

    Each runs two batches a lane. Where these would be more than 2 % of the images to come, the
    engine stays as it is: the measurement would cost more than it can gain.

    Parameters
    ----------
    engine
        At its default batch size.
    images
        (n, H, W, 3), some of those to come; repeated as needed.
    n_images
        How many are to come.
    """
    sizes = [engine.batch_size, engine.batch_size // 2, engine.batch_size * 2]
    rows = sum(2 * engine.lanes * size for size in sizes)
    if not len(images) or rows > SHARE * n_images:
        return engine
    best, best_s = engine, _seconds_a_row(engine, images)
    for size in sizes[1:]:
        try:
            other = engine.resized(size)
            seconds = _seconds_a_row(other, images)
        except DeviceError:  # too large for the device
            continue
        if seconds < GAIN * best_s:
            best, best_s = other, seconds
    return best


def _seconds_a_row(engine: Engine, images: Array) -> float:
    n = 2 * engine.lanes * engine.batch_size
    rows = np.resize(np.arange(len(images)), n)
    engine(images[rows[: engine.lanes * engine.batch_size]])  # the first batches set things up
    start = time.perf_counter()
    engine(images[rows])
    return (time.perf_counter() - start) / n
