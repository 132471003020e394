"""Collect decoded images into batches, run them, and hand each vector to the sinks that lack it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx.embedding.sinks import derive, has_items
from featx.pooling import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from featx._types import Array, Key
    from featx.embedding.reading import Taken
    from featx.embedding.sinks import Sink

    Forward = Callable[[Array], Sequence[Array]]
    """(n, H, W, 3) images to one (n, *map_shape) float32 map a layer."""

DERIVE_AT = 4096


@dataclass(frozen=True)
class Network:
    """The forward pass of several layers, made when the first image needs it.

    Attributes
    ----------
    make
        Called at most once, with a function that gives up to 32 seeded images (n, H, W, 3) of
        those to come; gives the forward pass and its batch size.
    layer_of
        For each sink, which of the maps it pools.
    """

    make: Callable[[Callable[[], Array]], tuple[Forward, int]]
    layer_of: Sequence[int]


class Work:
    """What is read but not yet computed."""

    def __init__(
        self, sinks: Sequence[Sink], network: Network, sample: Callable[[], Array]
    ) -> None:
        self.computed = 0
        self.derived = 0
        self._sinks = sinks
        self._network = network
        self._sample = sample
        self._forward: Forward | None = None
        self._batch_size = 1
        self._keys: list[Key] = []
        self._images: list[Array] = []
        self._derive: list[bytes] = []

    def add(self, one: Taken) -> None:
        """Take one entry as it was read; a full batch is computed at once."""
        if one.digest is None or one.items is None:
            return
        if one.reason is not None:
            self._fail(one.digest, one.reason)
        if one.derive:
            self._later(one.digest)
        self.computed += bool(one.images)
        for item, image in enumerate(one.images):
            if self._images and image.dtype != self._images[0].dtype:
                self._compute()
            self._keys.append((one.digest, item))
            self._images.append(image)
            if len(self._images) >= self._ready():
                self._compute()

    def flush(self) -> None:
        """Compute and pool all that waits."""
        if self._images:
            self._compute()
        for sink in self._sinks:
            derive(sink, [d for d in self._derive if not has_items(sink, d, 1)])
        self._derive.clear()

    def _later(self, digest: bytes) -> None:
        self._derive.append(digest)
        self.derived += 1
        if len(self._derive) >= DERIVE_AT:
            self.flush()

    def _fail(self, digest: bytes, reason: str) -> None:
        for sink in self._sinks:
            if not has_items(sink, digest, 1):
                sink.append_failure(digest, 0, reason)

    def _ready(self) -> int:
        if self._forward is None:
            self._forward, self._batch_size = self._network.make(self._sample)
        return self._batch_size

    def _compute(self) -> None:
        self._ready()
        assert self._forward is not None  # noqa: S101  # _ready made it
        maps = self._forward(np.stack(self._images))
        for sink, layer in zip(self._sinks, self._network.layer_of, strict=True):
            vectors = pool(maps[layer], sink.recipe.pooling)
            for (digest, item), vector in zip(self._keys, vectors, strict=True):
                if not has_items(sink, digest, item + 1):
                    sink.append(digest, item, vector)
        self._keys, self._images = [], []
