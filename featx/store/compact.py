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

from featx.store.layout import DONE, read_layout, size_bytes
from featx.store.repair import delete_values
from featx.store.writer import StoreWriter

if TYPE_CHECKING:
    from pathlib import Path

    from featx._types import Array, Ints, JsonObject, Progress
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


def compact(cache: Path, path: Path, progress: Progress) -> Compaction:
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


def _plan(store: FeatureStore) -> list[tuple[JsonObject, Ints]]:
    """Give the blocks that are worth moving, by the provenance that their rows keep."""
    live = _live_by_block(store).sum(axis=1)
    groups: dict[str, list[int]] = {}
    for run in store.runs:
        blocks = groups.setdefault(json.dumps(run["provenance"], sort_keys=True), [])
        for start, stop in run["blocks"]:
            blocks += [b for b in range(start, stop) if 0 < live[b] <= SPARSE * store.block_rows]
    return [
        (json.loads(provenance), np.array(blocks))
        for provenance, blocks in groups.items()
        if -(-int(live[blocks].sum()) // store.block_rows) < len(blocks)
    ]


def _move(writer: StoreWriter, plan: list[tuple[JsonObject, Ints]], progress: Progress) -> int:
    progress.start(f"compact {writer.store.recipe.label}", sum(len(blocks) for _, blocks in plan))
    for provenance, blocks in plan:
        writer.start_run(provenance)
        for block in blocks.tolist():
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
    there = [block for block in dead if store.layout.chunk("features", block).exists()]
    for block in dead:
        delete_values(store.layout, block)
    return len(there)
