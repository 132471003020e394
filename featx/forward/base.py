"""What every engine has in common: fixed batches, and how many of them run at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from featx._words import count
from featx.errors import UsageError

if TYPE_CHECKING:
    from featx._types import Array, JsonObject


class UnrunnableError(Exception):
    """An engine is not there, or cannot run a backbone; says why in one line."""


def first_line(error: BaseException) -> str:
    """Give the first line that says something of what is at the bottom of an error.

    Converters put several of their own on top, and OpenVINO begins with places in its source.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (telling or lines or [type(error).__name__])[0][:200]


class Engine(ABC):
    """Runs a backbone in one way: a device, a precision, a batch size.

    Every batch has the same shape, the last one padded with zeros, so that the bits of a row do
    not depend on how many images came with it.

    Attributes
    ----------
    provenance
        What vectors are computed with.
    precision
        ``fp32``, ``bf16`` or ``fp16``.
    batch_size
        Images in a batch.
    lanes
        How many batches it runs at once: as many threads may be inside `batch`.
    """

    provenance: JsonObject
    precision: str
    batch_size: int
    lanes: int = 1

    @abstractmethod
    def run(self, images: Array) -> list[Array]:
        """Give the maps of exactly ``batch_size`` images, (B, H, W, 3), in arrays of their own.

        They are float32, or float16 where the backbone computes in it.

        Raises
        ------
        DeviceError
            If there is not enough memory.
        """

    @abstractmethod
    def resized(self, batch_size: int) -> Engine:
        """Give the same engine with another batch size."""

    def batch(self, images: Array) -> list[Array]:
        """Give the maps of up to ``batch_size`` images; otherwise as `__call__`."""
        n = len(images)
        if n == self.batch_size:
            return self.run(images)
        padded = np.zeros((self.batch_size, *images.shape[1:]), images.dtype)
        padded[:n] = images
        return [value[:n] for value in self.run(padded)]

    def __call__(self, images: Array) -> list[Array]:
        """Give the maps of (n, H, W, 3) uint8 images, or float32 ones in 0..1.

        Returns
        -------
        One (n, *map_shape) array for each output of the backbone, rows in order; dtypes as `run`.

        Raises
        ------
        DeviceError
            If there is not enough memory.
        UsageError
            If there are no images.
        """
        if not len(images):
            raise UsageError("no images to run; give at least one")
        starts = range(0, len(images), self.batch_size)
        parts = (images[start : start + self.batch_size] for start in starts)
        with ThreadPoolExecutor(self.lanes, "featx-forward") as pool:
            batches = list(pool.map(self.batch, parts))
        return [np.concatenate(values) for values in zip(*batches, strict=True)]

    def describe(self) -> str:
        """Say for a person what runs where."""
        made = self.provenance
        where = f"{made['engine']} on {made['device']} in {self.precision}"
        return f"{where}, {count(self.batch_size, 'image')} in a batch"


def checked_batch_size(asked: int | None, default: int) -> int:
    """Give the batch size asked for, or the default.

    Raises
    ------
    UsageError
        If it is not above 0.
    """
    if asked is not None and asked < 1:
        raise UsageError(f"batch size {asked}; give a number above 0")
    return asked or default
