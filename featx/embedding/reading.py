"""Read, identify and decode images in threads, in order, a bounded number ahead."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from featx import images
from featx._cores import usable_cores
from featx.augment import augmented, generator
from featx.embedding.sinks import can_derive, has_item, has_items, is_bad
from featx.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from featx._types import Array
    from featx.embedding.sinks import Sink
    from featx.embedding.stages import Stages
    from featx.forward import Decoder
    from featx.recipe import Preprocess
    from featx.sources import Entry, Payload

MOST_BYTES = 2**25
"""Of files that a thread reads before it decodes them."""

MOST_WORKERS = 16

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one entry.

    Attributes
    ----------
    index
        Of the entry.
    digest
        Of its bytes; None if there were none to read.
    items
        How many vectors the image has; None while another entry with the same bytes is decoded.
    failure
        Why there were no bytes.
    reason
        Why the bytes cannot be decoded.
    derive
        Whether its vectors are to be pooled from a flattened store.
    """

    index: int
    digest: bytes | None = None
    items: int | None = 1
    failure: str | None = None
    reason: str | None = None
    derive: bool = False


Read: TypeAlias = "tuple[Taken, Sequence[Array | None]]"
"""What became of an entry, and its images, (H, W, 3) each: none if nothing is to be computed.

None stands for an item that every sink has.
"""


class Reader:
    """Turns entries into `Taken`; safe to call from many threads.

    Parameters
    ----------
    views
        How many views of each image are wanted; 1 where its items are pages or channels.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        pre: Preprocess,
        sinks: Sequence[Sink],
        stages: Stages,
        views: int = 1,
    ) -> None:
        self._entries = entries
        self._pre = pre
        self._views = views
        self._sinks = sinks
        self._stages = stages
        self._one_item = not pre.has_parts
        self._claimed: set[bytes] = set()
        self._lock = threading.Lock()

    def _known_as(self, index: int, digest: bytes, items: int) -> Taken:
        """Give an image that is complete; one that is undecodable is a single item."""
        bad = any(is_bad(sink, digest) for sink in self._sinks)
        return Taken(index, digest, 1 if bad and self._one_item else items)

    def take(self, indices: Sequence[int], decoder: Decoder) -> list[Read]:
        """Read entries, and decode those that any sink lacks.

        Raises
        ------
        SourceReadError
            If the disk or a permission stands in the way.
        """
        taken: list[Read] = []
        waiting: dict[int, Payload] = {}
        n_bytes = 0
        for index in indices:
            with self._stages.timed("read"):
                one, payload = self._identified(index)
            if payload is not None:
                waiting[len(taken)] = payload
                n_bytes += len(payload) if isinstance(payload, bytes) else MOST_BYTES
            taken.append((one, ()))
            if n_bytes >= MOST_BYTES:
                self._decode(taken, waiting, decoder)
                waiting, n_bytes = {}, 0
        self._decode(taken, waiting, decoder)
        return taken

    def _decode(self, taken: list[Read], waiting: Mapping[int, Payload], decoder: Decoder) -> None:
        """Decode the payloads of entries, and put into their places what became of them."""
        if not waiting:
            return
        with self._stages.timed("decode", waits=decoder.waits):
            found = decoder(list(waiting.values()))
        for place, decoded in zip(waiting, found, strict=True):
            one = taken[place][0]
            if isinstance(decoded, ImageError):
                taken[place] = replace(one, reason=str(decoded)), ()
            else:
                made = decoded if self._views == 1 else self._varied(one.digest or b"", decoded[0])
                taken[place] = replace(one, items=len(made)), made

    def _varied(self, digest: bytes, image: Array) -> list[Array | None]:
        """Make the views of an image that a sink lacks; the first is the image itself."""
        how, seed = self._pre.augment, self._pre.augment_seed
        made: list[Array | None] = []
        for view in range(self._views):
            if all(has_item(sink, digest, view) for sink in self._sinks):
                made.append(None)
            elif view == 0:
                made.append(image)
            else:
                with self._stages.timed("decode", waits=False):
                    made.append(augmented(image, how, generator(seed, digest, view)))
        return made

    def _identified(self, index: int) -> tuple[Taken, Payload | None]:
        """Read an entry; its payload where it is to be decoded."""
        try:
            payload = self._entries[index].read()
            digest = images.digest(payload)
        except ImageError as error:  # gone since it was listed, or no image to begin with
            return Taken(index, failure=str(error)), None
        if self._one_item and self._complete(digest, self._views):
            return self._known_as(index, digest, self._views), None
        with self._lock:
            if digest in self._claimed:
                return Taken(index, digest, None), None
            self._claimed.add(digest)
        if self._one_item and self._derivable(digest):
            return Taken(index, digest, self._views, derive=True), None
        return Taken(index, digest, 1), payload

    def _complete(self, digest: bytes, items: int) -> bool:
        return all(has_items(sink, digest, items) for sink in self._sinks)

    def _derivable(self, digest: bytes) -> bool:
        n = self._views
        return all(
            has_items(sink, digest, n) or can_derive(sink, digest, n) for sink in self._sinks
        )


def workers(entries: Sequence[Entry] = ()) -> int:
    """Give the number of threads that read and decode: one a core, but no more than 16.

    16 wherever images are read over a network, where threads wait for most of the time.
    """
    return (
        MOST_WORKERS
        if any(e.elsewhere for e in entries)
        else min(MOST_WORKERS, len(usable_cores()))
    )


def in_order(
    function: Callable[[J], R], jobs: Iterable[J], n_threads: int, ahead: int
) -> Iterator[R]:
    """Map in threads, give results in order, hold at most ``ahead`` of them."""
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="featx-read") as pool:
        try:
            for job in jobs:
                pending.append(pool.submit(function, job))
                if len(pending) >= ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
