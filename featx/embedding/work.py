"""Collect decoded images into batches, run them, and hand each vector to the sinks that lack it.

Batches run in as many threads as the engine has lanes, one more waits for a lane, and vectors are
handed over in the order of their images: the network never waits for the stores, and memory holds
a few batches whatever the number of images.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx.embedding.rounding import rounded
from featx.embedding.sinks import derive, has_item, has_items
from featx.pooling import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from featx._types import Array, Key
    from featx.embedding.reading import Taken
    from featx.embedding.sinks import Sink
    from featx.embedding.stages import Stages
    from featx.forward import ChosenEngine, Decoder, Sample

DERIVE_AT = 4096


@dataclass(frozen=True)
class Network:
    """The forward pass of several layers, made when the first image needs it.

    Attributes
    ----------
    make
        Called at most once, with a function that gives seeded images of those to come, and how
        many are to come.
    layer_of
        For each sink, which of the maps it pools.
    """

    make: Callable[[Callable[[], Sample], int], ChosenEngine]
    layer_of: Sequence[int]


class Work:
    """What is read but not yet handed over; to be used as a context.

    Attributes
    ----------
    computed, derived : int
        Numbers of images so far: run through the network, pooled from a flattened store.
    decoder : Decoder
        What images are to be decoded by from here on.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        network: Network,
        sample: Callable[[], Sample],
        stages: Stages,
        decoder: Decoder,
        n_images: int,
    ) -> None:
        self.computed = 0
        self.derived = 0
        self.decoder = decoder
        self._left_over = 0
        self._sinks = sinks
        self._network = network
        self._sample = sample
        self._n_images = n_images
        self._stages = stages
        self._chosen: ChosenEngine | None = None
        self._lanes: ThreadPoolExecutor | None = None
        self._running: deque[tuple[list[Key], Future[list[Array]]]] = deque()
        self._keys: list[Key] = []
        self._images: list[Array] = []
        self._derive: list[Key] = []

    def __enter__(self) -> Work:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lanes is not None:
            self._lanes.shutdown(cancel_futures=True)

    @property
    def left_over(self) -> int:
        """How many images its decoder left to Pillow."""
        return self.decoder.left_over - self._left_over

    @property
    def lanes(self) -> int:
        """How many batches run at once."""
        return 1 if self._chosen is None else self._chosen.engine.lanes

    def add(self, one: Taken, images: Sequence[Array | None]) -> None:
        """Take one entry as it was read, with its images; a full batch is computed at once.

        An item whose image is None is there already.
        """
        if one.digest is None or one.items is None:
            return
        if one.reason is not None:
            self._fail(one.digest, one.reason)
        if one.derive:
            self._later(one.digest, one.items)
        self.computed += any(image is not None for image in images)
        for item, image in enumerate(images):
            if image is None:
                continue
            if self._images and image.dtype != self._images[0].dtype:
                self._start()
            self._keys.append((one.digest, item))
            self._images.append(image)
            if len(self._images) >= self._ready().engine.batch_size:
                self._start()

    def flush(self) -> None:
        """Compute and pool all that waits."""
        if self._images:
            self._start()
        while self._running:
            self._hand_over()
        for sink in self._sinks:
            derive(sink, [key for key in self._derive if not has_item(sink, *key)])
        self._derive.clear()

    def _later(self, digest: bytes, items: int) -> None:
        self._derive += [(digest, item) for item in range(items)]
        self.derived += 1
        if len(self._derive) >= DERIVE_AT:
            self.flush()

    def _fail(self, digest: bytes, reason: str) -> None:
        for sink in self._sinks:
            if not has_items(sink, digest, 1):
                sink.append_failure(digest, 0, reason)

    def _ready(self) -> ChosenEngine:
        if self._chosen is None:
            self._chosen = self._network.make(self._sample, self._n_images)
            self.decoder = self._chosen.decoder
            self._left_over = self.decoder.left_over
            self._lanes = ThreadPoolExecutor(self.lanes, "featx-forward")
            self._stages.start_running()
        return self._chosen

    def _start(self) -> None:
        """Let a lane have the batch, and hand over the oldest where all lanes are served."""
        self._ready()
        assert self._lanes is not None  # noqa: S101  # _ready made it
        self._running.append((self._keys, self._lanes.submit(self._vectors, self._images)))
        self._keys, self._images = [], []
        if len(self._running) > self.lanes + 1:
            self._hand_over()

    def _vectors(self, images: list[Array]) -> list[Array]:
        """Give the (n, d) vectors of a batch for each sink, as stored; runs in a lane."""
        with self._stages.timed("forward"):
            maps = self._ready().engine.batch(np.stack(images))
            return [
                rounded(pool(maps[layer], sink.recipe.pooling), sink.recipe.dtype)
                for sink, layer in zip(self._sinks, self._network.layer_of, strict=True)
            ]

    def _hand_over(self) -> None:
        keys, future = self._running.popleft()
        for sink, vectors in zip(self._sinks, future.result(), strict=True):
            lacks = [not has_item(sink, digest, item) for digest, item in keys]
            if all(lacks):
                sink.extend(keys, vectors)
            else:
                sink.extend([k for k, new in zip(keys, lacks, strict=True) if new], vectors[lacks])
