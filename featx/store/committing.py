"""Blocks that several threads write at once, and that are committed one after the other.

A thread writes the digests, features and items of its block, and then waits for its turn: the
lengths and runs in the metadata and the state, which makes the block visible, come after those of
all blocks before it. A block after one that failed never gets a state: readers take every block
before the last state chunk for committed. Its number is not given again (`featx.store.repair`).
"""

from __future__ import annotations

import math
from collections import deque
from concurrent import futures
from threading import Condition
from threading import Lock as ThreadLock
from time import perf_counter
from typing import TYPE_CHECKING

from featx.errors import CacheWriteError
from featx.store.chunks import reserve, write_chunk, write_new_chunk
from featx.store.layout import grow

if TYPE_CHECKING:
    from collections.abc import Callable

    from featx._files import Lock
    from featx.store.block import Block
    from featx.store.layout import Layout


class Committer:
    """Writes blocks in ``n_writers`` threads, at most so many at a time.

    Parameters
    ----------
    layout
        Of the store.
    first
        The number of the first block.
    record
        Called in a block's turn, before its state is written, with its ``failed``.
    n_writers
        Threads.
    lock
        Of the store, where it can be lost: then nothing is committed any more.

    Attributes
    ----------
    next : int
        The first number that is not committed.
    busy_s : float
        Seconds that the threads spent in compressing and writing, all together.
    broken : bool
        Whether `wait` raised an error: no block is taken from then on.
    """

    def __init__(
        self,
        layout: Layout,
        first: int,
        record: Callable[[dict[str, str]], None],
        n_writers: int,
        lock: Lock | None = None,
    ) -> None:
        self.next = first
        self.busy_s = 0.0
        self.broken = False
        self._layout = layout
        self._record = record
        self._lock = lock if layout.is_remote else None
        self._grown = first
        self._n_writers = n_writers
        self._pool = futures.ThreadPoolExecutor(n_writers, "featx-write")
        self._pending: deque[futures.Future[None]] = deque()
        self._turn = Condition()
        self._failed = math.inf  # the first block that did
        self._reserved: set[int] = set()
        self._reserving = ThreadLock()

    def submit(self, block: Block) -> None:
        """Let a thread have ``block``, once one is free; numbers must follow one another.

        After an interrupt a block may come twice: it is written twice and committed once.

        Raises
        ------
        CacheWriteError
            If an earlier block could not be written; ``block`` is not taken then.
        """
        self.wait(self._n_writers - 1)
        # the pool starts blocks in their order, so the one that has its turn is never left waiting
        self._pending.append(self._pool.submit(self._work, block))

    def wait(self, at_most: int = 0) -> None:
        """Wait until no more than ``at_most`` blocks are in flight.

        Raises
        ------
        CacheWriteError
            If a block could not be written: once, of the first such block, and when no thread
            writes any more.
        """
        while self._pending and (len(self._pending) > at_most or self._pending[0].done()):
            error = self._pending[0].exception()  # an interrupt passes, the block stays pending
            if error is not None:
                futures.wait(self._pending)
                self._pending.clear()
                self.broken = True
                raise error
            self._pending.popleft()

    def settle(self) -> None:
        """Wait for all blocks; in a bucket, now let other readers of zarr see how many there are.

        Raises
        ------
        CacheWriteError
            As `wait`.
        """
        self.wait()
        if self._lock is not None and self._grown < self.next and not self.broken:
            self._lock.check()
            grow(self._layout, self.next)
            self._grown = self.next

    def shutdown(self) -> None:
        """Wait for the threads and end them."""
        self._pool.shutdown()

    def _work(self, block: Block) -> None:
        try:
            begun = perf_counter()
            if self._lock is not None:
                self._lock.check()
            block.end()
            if not self._layout.is_remote:  # there a chunk is written under a condition
                self._reserve(block)
            for array in ("features", "digest", "item"):
                self._write(array, block)
            self._take_turn(block, perf_counter() - begun)
        except BaseException:
            with self._turn:
                self._failed = min(self._failed, block.number)
                self._turn.notify_all()
            raise

    def _reserve(self, block: Block) -> None:
        """Make a block's number ours, against a worker that outlived the run that it wrote for."""
        with self._reserving:  # a block that came twice may be in two threads
            if block.number in self._reserved:
                return
            if not reserve(self._layout, block.number, block.arrays["digest"]):
                raise CacheWriteError(
                    f"block {block.number} of {self._layout.path} was just written by another "
                    "process, which does not hold the lock: a worker of a run that is over; run it "
                    "again, what is done is kept"
                )
            self._reserved.add(block.number)

    def _take_turn(self, block: Block, busy_s: float) -> None:
        number = block.number
        with self._turn:
            self.busy_s += busy_s
            self._turn.wait_for(lambda: self.next >= number or self._failed < number)
            if self.next != number:  # one before it failed, or it came twice
                return
            if self._lock is None:  # in a bucket, once for all blocks: see `settle`
                grow(self._layout, number + 1)
            else:
                self._lock.check()
            self._record(block.failed)
            self._write("state", block)
            self.next += 1
            self._turn.notify_all()

    def _write(self, array: str, block: Block) -> None:
        values = block.arrays[array]
        if self._lock is None:
            write_chunk(self._layout, array, block.number, values)
        else:
            write_new_chunk(self._layout, array, block.number, values, self._lock.owner)
