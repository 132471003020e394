"""Merge small and holey blocks, and give back the room of dead ones.

Live rows of such blocks are appended anew, committed, and only then are the old rows superseded
and their files deleted. A kill in between leaves two live rows of one key, of which the newest
answers and the older is superseded by the next compaction: nothing is lost at any instant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx.costs import PassCost, merged
from featx.store.layout import DONE, read_layout, size_bytes
from featx.store.repair import delete_values
from featx.store.writer import StoreWriter

if TYPE_CHECKING:
    from featx._objects import Place
    from featx._types import Array, JsonObject, Progress
    from featx.store.reader import FeatureStore

SPARSE = 0.5
"""A block with at most this share of live rows is worth moving."""


@dataclass(frozen=True)
class Compaction:
    """What a compaction did.

    Attributes
    ----------
    moved_rows
        Rows that got a new number.
    freed_blocks
        Blocks whose files were deleted.
    freed_bytes
        How much smaller the store is.
    """

    moved_rows: int
    freed_blocks: int
    freed_bytes: int


def compact(cache: Place, path: Place, progress: Progress) -> Compaction:
    """Compact the store in the folder ``path`` of ``cache``; waits for its lock.

    Raises
    ------
    NotFoundError, SchemaVersionError, CorruptStoreError
        As `FeatureStore.open`; also if a block that should move is damaged.
    CacheWriteError
        If the cache cannot be written.
    """
    layout, _ = read_layout(path)
    before = size_bytes(path)
    with StoreWriter(
        cache,
        layout.recipe,
        layout.map_shape,
        layout.dim,
        provenance={},
        on_wait=lambda: progress.say(f"waiting for another featx to release {path.name}"),
        max_block_s=float("inf"),
    ) as writer:
        writer.supersede_shadowed()
        moved = _move(writer, _plan(writer.store), progress)
        freed = _delete_dead(writer.store)
    return Compaction(moved, freed, before - size_bytes(path))


def _live_by_block(store: FeatureStore) -> Array:
    """(blocks, block_rows) bool."""
    return store.index.live.reshape(-1, store.block_rows)


@dataclass(frozen=True)
class _Group:
    """Blocks that become one run, by the provenance that their rows keep."""

    provenance: JsonObject
    blocks: list[int]
    cost: PassCost | None


def _plan(store: FeatureStore) -> list[_Group]:
    """Give the blocks that are worth moving."""
    live = _live_by_block(store).sum(axis=1)
    done = (store.index.state == DONE).reshape(-1, store.block_rows).sum(axis=1)
    groups: dict[str, dict[int, PassCost | None]] = {}
    for run in store.runs:
        costs = groups.setdefault(json.dumps(run["provenance"], sort_keys=True), {})
        for start, stop in run["blocks"]:
            sparse = [b for b in range(start, stop) if 0 < live[b] <= SPARSE * store.block_rows]
            costs |= dict.fromkeys(sparse, PassCost.of(run))
    return [
        _Group(
            json.loads(provenance),
            list(costs),
            merged((cost, int(done[block])) for block, cost in costs.items()),
        )
        for provenance, costs in groups.items()
        if -(-int(live[list(costs)].sum()) // store.block_rows) < len(costs)
    ]


def _move(writer: StoreWriter, plan: list[_Group], progress: Progress) -> int:
    progress.start(f"compact {writer.store.recipe.label}", sum(len(g.blocks) for g in plan))
    for group in plan:
        writer.start_run(group.provenance, group.cost)
        for block in group.blocks:
            _copy(writer, block)
            progress.advance()
    moved = writer.supersede_shadowed()
    progress.finish()
    return moved


def _copy(writer: StoreWriter, block: int) -> None:
    """Append the live rows of a block again, as they are."""
    store = writer.store
    local = np.flatnonzero(_live_by_block(store)[block])
    rows = local + block * store.block_rows
    done = store.states(rows) == DONE
    keys = [(store.index.digest[row].tobytes(), int(store.index.item[row])) for row in rows]
    writer.extend([keys[i] for i in np.flatnonzero(done)], store.read(rows[done]))
    failed = np.flatnonzero(~done)
    for i, reason in zip(failed, store.reasons(rows[failed]), strict=True):
        writer.append_failure(*keys[i], reason or "")


def _delete_dead(store: FeatureStore) -> int:
    dead = np.flatnonzero(~_live_by_block(store).any(axis=1)).tolist()
    there = [set(store.layout.chunk_sizes(array)) for array in ("features", "digest", "item")]
    for block in sorted(set().union(*there).intersection(dead)):
        delete_values(store.layout, block)
    return len(there[0].intersection(dead))
