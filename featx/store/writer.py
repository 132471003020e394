"""The write side of a store: one writer at a time, whole blocks, the state of a block last.

A block is written in this order: features, digest, item, the lengths and runs in the metadata,
state. A kill at any instant therefore leaves either a whole block or one that is not there.
`featx.store.committing` says how several blocks are written at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from featx._cores import usable_cores
from featx.costs import COST
from featx.errors import UsageError
from featx.store.block import Block, check_vectors
from featx.store.committing import Committer
from featx.store.holding import hold
from featx.store.layout import write_runs
from featx.store.repair import supersede

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from featx._objects import Place
    from featx._types import Array, JsonObject, Key
    from featx.costs import PassCost
    from featx.recipe import Recipe
    from featx.store.making import AskedCompression

MAX_WRITERS = 8
"""By default; each holds a block of at most 32 MiB, and what it is compressed to."""


class StoreWriter:
    """Appends vectors to the store of one recipe; makes the store where there is none.

    Holds the store's lock from construction to `close`; an operating-system lock, so it goes with
    its process. One process that opens several writers should take them in a fixed order.

    Parameters
    ----------
    cache
        The cache folder.
    recipe
        What the vectors are.
    map_shape
        The shape of one image's feature map before the pooling.
    dim
        Values in a vector.
    provenance
        JSON about who computes: engine, device, precision, versions.
    on_wait
        Called once if another process holds the lock.
    max_block_s
        Seconds after which a block is written although it is not full.
    n_writers
        Threads that write, and blocks that are in flight at most, beside the one being filled;
        None for one a core, at most `MAX_WRITERS`.
    compression
        Of the features, where the store is made; "auto" is zstd. A store that is there keeps its.

    Attributes
    ----------
    n_rows : int
        Vectors that were appended so far.
    n_writers : int
        Threads that write.
    store : FeatureStore
        What was there when the lock was taken, after the repair of what was damaged; what is
        appended shows after `close`.

    Raises
    ------
    CacheWriteError
        If the cache cannot be written.
    RecipeMismatchError
        If the folder holds another recipe, map shape or dimension.
    SchemaVersionError, CorruptStoreError
        As `FeatureStore.open`.
    """

    def __init__(
        self,
        cache: Place,
        recipe: Recipe,
        map_shape: tuple[int, ...],
        dim: int,
        *,
        provenance: JsonObject,
        on_wait: Callable[[], None] = lambda: None,
        max_block_s: float = 20.0,
        n_writers: int | None = None,
        compression: AskedCompression = "auto",
    ) -> None:
        self.n_writers = _threads(n_writers)
        held = hold(cache, recipe, tuple(map_shape), dim, compression, on_wait)
        self._lock, self.store, self._number = held.lock, held.store, held.first
        self._layout = self.store.layout
        self._runs = list(self.store.runs)
        self._n_before = len(self._runs)
        self._cost: PassCost | None = None
        self.n_rows = 0
        self._max_block_s = max_block_s
        self._block: Block | None = None
        self._committer = Committer(
            self._layout, self._number, self._record, self.n_writers, self._lock
        )
        self._closed = False
        self._run = self._new_run(provenance)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()  # what was appended before an error is as right as ever

    @property
    def busy_s(self) -> float:
        """Seconds that the threads spent in compressing and writing vectors, all together."""
        return self._committer.busy_s

    def append(self, digest: bytes, item: int, vector: Array) -> None:
        """Add one vector; as `extend`."""
        self.extend([(digest, item)], np.asarray(vector)[None])

    def extend(self, keys: Sequence[Key], vectors: Array) -> None:
        """Add vectors, rounded to the stored dtype.

        Parameters
        ----------
        keys
            Of each vector its image's digest, 16 bytes, and item, 0 to 65535.
        vectors : (len(keys), dim) float32, or float16
            What float16 has lost already is the caller's to judge; see `featx.store.check_vectors`.

        Raises
        ------
        NumericsError
            If a value is not finite, or the stored dtype cannot hold a vector; none is added then.
        CacheWriteError
            If an earlier block could not be written.
        UsageError
            If an error said so already: the writer takes nothing more.
        """
        x = np.asarray(vectors)
        if x.dtype != np.float16:
            x = x.astype(np.float32, copy=False)
        if x.shape != (len(keys), self._layout.dim):
            raise UsageError(
                f"vectors of shape {x.shape}, expected {(len(keys), self._layout.dim)}"
            )
        check_vectors(x, self._layout.recipe.dtype)
        start = 0
        while start < len(keys):
            block = self._open_block()
            stop = min(len(keys), start + self._layout.block_rows - block.n)
            block.put(keys[start:stop], x[start:stop])
            self.n_rows += stop - start
            self._hand_over_if_due(block)
            start = stop

    def append_failure(self, digest: bytes, item: int, reason: str) -> None:
        """Record an image that cannot be decoded, and why."""
        block = self._open_block()
        block.put_failure((digest, item), reason)
        self._hand_over_if_due(block)

    def supersede_shadowed(self) -> int:
        """Supersede the live rows that a newer one of their key stands before; give their number.

        What was appended is committed first, so that a key has a live row at every instant.
        """
        self.flush()
        rows = self.store.index.shadowed()
        self._lock.check()
        supersede(self._layout, rows)
        self.store.refresh()
        return len(rows)

    def start_run(self, provenance: JsonObject, cost: PassCost | None = None) -> None:
        """Give the blocks from here on another provenance, and a cost where it is known."""
        self.flush()
        self._finish_run()
        self._run = self._new_run(provenance)
        if cost is not None:
            self._run[COST] = cost.to_json()

    def record_cost(self, cost: PassCost) -> None:
        """Have `close` say of every run of this writer what its pass took."""
        self._cost = cost

    def flush(self) -> None:
        """Write the open block, wait for it, and let `store` see it."""
        self._hand_over()
        self._committer.settle()
        self.store.refresh()

    def close(self, abort: bool = False) -> None:
        """Write the open block unless ``abort``, wait, and give the lock back.

        After an error of a writing thread, which was raised once, it only gives the lock back:
        the next writer finishes what is left.

        Raises
        ------
        CacheWriteError
            If a block could not be written and nothing said so yet.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if not abort:
                self._hand_over()
            self._committer.settle()
            if not self._committer.broken:
                self._keep_cost()
                self._finish_run()
                self.store.refresh()
        finally:
            self._committer.shutdown()
            self._lock.release()

    def _open_block(self) -> Block:
        self._committer.wait(self.n_writers)  # for nothing: an error shows at the next append
        if self._committer.broken:
            raise UsageError("a block could not be written; close this writer and open another")
        if self._block is None:
            self._block = Block.empty(self._layout, self._number)
        return self._block

    def _hand_over_if_due(self, block: Block) -> None:
        full = block.n == self._layout.block_rows
        if full or time.monotonic() - block.begun > self._max_block_s:
            self._hand_over()

    def _hand_over(self) -> None:
        """Let a writing thread have the open block, once one is free."""
        if self._block is None or self._committer.broken:
            return
        self._committer.submit(self._block)
        self._number = self._block.number + 1  # not before: no number may be left out
        self._block = None

    def _new_run(self, provenance: JsonObject) -> JsonObject:
        return {
            "blocks": [[self._committer.next, self._committer.next]],
            "provenance": provenance,
            "closed": False,
            "failed": {},
        }

    def _is_recorded(self) -> bool:
        return any(run is self._run for run in self._runs)

    def _record(self, failed: dict[str, str]) -> None:
        """Put the run, and the reasons of its failures, into the metadata where they are new."""
        if self._is_recorded() and not failed:
            return
        self._run["failed"].update(failed)
        if not self._is_recorded():
            self._runs.append(self._run)
        write_runs(self._layout, self._runs)

    def _keep_cost(self) -> None:
        own = self._runs[self._n_before :]
        if self._cost is None or not own:
            return
        for run in own:
            run[COST] = self._cost.to_json()
        write_runs(self._layout, self._runs)

    def _finish_run(self) -> None:
        if self._is_recorded():
            self._run["blocks"][-1][1] = self._committer.next
            self._run["closed"] = True
            write_runs(self._layout, self._runs)


def _threads(n_writers: int | None) -> int:
    if n_writers is None:
        return min(MAX_WRITERS, len(usable_cores()))
    if n_writers < 1:
        raise UsageError(f"n_writers is {n_writers}, expected at least 1")
    return n_writers
