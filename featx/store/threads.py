"""The same work on many blocks, a few at a time, in their order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from featx._cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

S = TypeVar("S")
T = TypeVar("T")

MAX_THREADS = 4
"""Each holds one decoded block: at most 32 MiB, its compressed bytes, and the rows taken of it."""
MAX_REQUESTS = 8
"""The same from a bucket, where a thread waits most of its time."""
MAX_SMALL_REQUESTS = 32
"""Of what is small: digests, states, metadata."""


def in_threads(
    work: Callable[[S], T], items: Iterable[S], n_threads: int | None = None
) -> Iterator[T]:
    """Yield ``work(item)`` in order; the first error stops what has not begun."""
    n_threads = n_threads or min(MAX_THREADS, len(usable_cores()))
    pool = ThreadPoolExecutor(n_threads, "featx-read")
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
