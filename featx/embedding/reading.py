"""Read, identify and decode images in threads, in order, a bounded number ahead."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from featx import images
from featx.embedding.sinks import can_derive, has_items
from featx.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from featx._types import Array
    from featx.embedding.sinks import Sink
    from featx.embedding.stages import Stages
    from featx.forward import Decoder
    from featx.recipe import Preprocess
    from featx.sources import Entry, Payload
    from featx.tokens import Token

MOST_BYTES = 2**25
"""Of files that a thread reads before it decodes them."""

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


Read: TypeAlias = "tuple[Taken, Sequence[Array]]"
"""What became of an entry, and its images, (H, W, 3) each: none if nothing is to be computed."""


class Reader:
    """Turns entries into `Taken`; safe to call from many threads."""

    def __init__(
        self,
        entries: Sequence[Entry],
        pre: Preprocess,
        sinks: Sequence[Sink],
        known: Mapping[Token, tuple[bytes, int]],
        stages: Stages,
    ) -> None:
        self._entries = entries
        self._sinks = sinks
        self._known = known
        self._stages = stages
        self._one_item = pre.page != "all" and pre.channels != "each"
        self._claimed: set[bytes] = set()
        self._lock = threading.Lock()

    def settle(self) -> list[Taken | None]:
        """Give what is known of each entry without reading it; None where it must be read."""
        return [self._settled(index, entry) for index, entry in enumerate(self._entries)]

    def _settled(self, index: int, entry: Entry) -> Taken | None:
        if entry.failure is not None:
            return Taken(index, failure=entry.failure)
        found = self._known.get(entry.token) if entry.token is not None else None
        if found is None:
            return None
        digest, items = found[0], 1 if self._one_item else found[1]
        return Taken(index, digest, items) if self._complete(digest, items) else None

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
                taken[place] = replace(one, items=len(decoded)), decoded

    def _identified(self, index: int) -> tuple[Taken, Payload | None]:
        """Read an entry; its payload where it is to be decoded."""
        try:
            payload = self._entries[index].read()
            digest = images.digest(payload)
        except ImageError as error:  # gone since it was listed, or no image to begin with
            return Taken(index, failure=str(error)), None
        if self._one_item and self._complete(digest, 1):
            return Taken(index, digest, 1), None
        with self._lock:
            if digest in self._claimed:
                return Taken(index, digest, None), None
            self._claimed.add(digest)
        if self._one_item and self._derivable(digest):
            return Taken(index, digest, 1, derive=True), None
        return Taken(index, digest, 1), payload

    def _complete(self, digest: bytes, items: int) -> bool:
        return all(has_items(sink, digest, items) for sink in self._sinks)

    def _derivable(self, digest: bytes) -> bool:
        return all(has_items(sink, digest, 1) or can_derive(sink, digest) for sink in self._sinks)


def workers() -> int:
    """Give the number of threads that decode: one a core, but no more than 16."""
    return min(16, os.cpu_count() or 1)


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
