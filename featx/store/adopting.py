"""Blocks that other processes write, and that the holder of the store's lock commits.

A worker makes a block's number its own by writing the digests where there are none, then the
features and items; it writes no state. What it has written is committed by the `Adopter`, in any
order: the runs in the metadata, then the state. A block that nobody adopts (its worker was lost,
or another was quicker) is buried at the end, and so is one that a killed run leaves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx.costs import COST
from featx.store.chunks import reserve, write_chunk
from featx.store.holding import hold
from featx.store.layout import DONE, grow, write_runs
from featx.store.repair import bury, next_block, supersede

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from featx._objects import Place
    from featx._types import Array, JsonObject
    from featx.costs import PassCost
    from featx.recipe import Recipe
    from featx.store.block import Block
    from featx.store.layout import Layout
    from featx.store.making import AskedCompression


@dataclass(frozen=True)
class Written:
    """A block that is in its place but for its state.

    Attributes
    ----------
    number
        Of the block in its store.
    digest, item, state
        (block_rows, 16) uint8, (block_rows,) uint16, (block_rows,) uint8.
    failed
        The reason of each UNDECODABLE row, as a run keeps it.
    """

    number: int
    digest: Array
    item: Array
    state: Array
    failed: dict[str, str]


def write_reserved(layout: Layout, block: Block, hint: int) -> Written:
    """Write a block under the first number from ``hint`` on that is free, but for its state.

    Raises
    ------
    CacheWriteError
        If the cache cannot be written.
    """
    block.end()
    number = hint
    while not reserve(layout, number, block.arrays["digest"]):
        number += 1
    for array in ("features", "item"):
        write_chunk(layout, array, number, block.arrays[array])
    rows = block.arrays
    return Written(number, rows["digest"], rows["item"], rows["state"], block.failed)


class Adopter:
    """Commits the blocks that workers write into one store; holds its lock until `close`.

    Parameters are those of `featx.store.StoreWriter`.

    Attributes
    ----------
    store : FeatureStore
        What was there when the lock was taken.
    first : int
        The first block number that is free then.
    n_rows : int
        Vectors that were committed.

    Raises
    ------
    FeatxError
        As `featx.store.StoreWriter`.
    """

    def __init__(
        self,
        cache: Place,
        recipe: Recipe,
        map_shape: tuple[int, ...],
        dim: int,
        *,
        on_wait: Callable[[], None] = lambda: None,
        compression: AskedCompression = "auto",
    ) -> None:
        held = hold(cache, recipe, tuple(map_shape), dim, compression, on_wait)
        self._lock, self.store, self.first = held.lock, held.store, held.first
        self._layout = self.store.layout
        self._known = list(self.store.runs)
        self._runs: dict[str, JsonObject] = {}
        self._cost: PassCost | None = None
        self.n_rows = 0

    def __enter__(self) -> Adopter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def adopt(self, block: Written, provenance: JsonObject) -> None:
        """Commit a block.

        Parameters
        ----------
        provenance
            Of the worker: blocks of one provenance become one run.

        Raises
        ------
        CacheWriteError
            If the cache cannot be written.
        """
        self._lock.check()
        run = self._run_of(provenance)
        run["failed"].update(block.failed)
        _include(run["blocks"], block.number)
        write_runs(self._layout, [*self._known, *self._runs.values()])
        write_chunk(self._layout, "state", block.number, block.state)
        self.n_rows += int((block.state == DONE).sum())

    def record_cost(self, cost: PassCost) -> None:
        """Have `close` say of every run what the pass took."""
        self._cost = cost

    def close(self) -> None:
        """Bury the blocks that nobody adopted, close the runs, and give the lock back.

        Of a row that two workers brought (an image under two names) the older is superseded.
        """
        try:
            self._lock.check()
            end = next_block(self._layout, [*self._known, *self._runs.values()])
            for number in set(range(self.first, end)) - self._layout.chunk_sizes("state").keys():
                bury(self._layout, number)
            if self._runs:
                self._finish(end)
                supersede(self._layout, self.store.index.shadowed())
                self.store.refresh()
        finally:
            self._lock.release()

    def _run_of(self, provenance: JsonObject) -> JsonObject:
        new = {"blocks": [], "provenance": provenance, "closed": False, "failed": {}}
        return self._runs.setdefault(json.dumps(provenance, sort_keys=True), new)

    def _finish(self, end: int) -> None:
        for run in self._runs.values():
            run["closed"] = True
            if self._cost is not None:
                run[COST] = self._cost.to_json()
        grow(self._layout, end)
        write_runs(self._layout, [*self._known, *self._runs.values()])
        self.store.refresh()


def _include(blocks: list[list[int]], number: int) -> None:
    """Add a number to ``[start, stop]``, sorted and joined where they touch.

    The first stays in front and keeps its start: by it a run is known.
    """
    if not blocks:
        blocks.append([number, number + 1])
        return
    others = sorted([*blocks[1:], [number, number + 1]])
    del blocks[1:]
    for start, stop in others:
        near = next((block for block in (blocks[-1], blocks[0]) if block[1] == start), None)
        if near is None:
            blocks.append([start, stop])
        else:
            near[1] = stop
