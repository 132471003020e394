"""What a writer does to a store before it appends: finish what a kill left, bury what is lost.

A block that was never finished, or whose chunks are damaged, gets a state chunk that says that all
its rows are superseded, and its other chunks are deleted. Its rows are then in nobody's way: they
are not found, and the images are computed again into new rows. No row number is ever given twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx._files import writing
from featx._objects import ObjectPath
from featx.provenance import blocks_of
from featx.store.check import check_block
from featx.store.chunks import (
    Damage,
    clear_marks,
    damaged,
    marked_blocks,
    read_chunk,
    write_chunk,
)
from featx.store.index import Index, committed_blocks, load_index
from featx.store.layout import ARRAYS, SUPERSEDED, write_runs

if TYPE_CHECKING:
    from featx._types import Ints, JsonObject
    from featx.store.layout import Layout


def repair(layout: Layout, runs: list[JsonObject]) -> list[int]:
    """Make a store fit to be appended to; only the holder of its lock may.

    Features are looked at for being there, and read only where someone marked them: reading all
    of them is what `FeatureStore.check` does.

    Returns
    -------
    blocks
        Those whose rows are lost.
    """
    _delete_leftovers(layout)
    committed, end = committed_blocks(layout, runs), next_block(layout, runs)
    index, damages = load_index(layout, runs)
    lost = {damage.block for damage in damages}
    lost |= _without_features(layout, index)
    lost |= {b for b in marked_blocks(layout) if b < committed and check_block(layout, b)}
    # begun and never finished, or finished by a writer that had lost the lock
    lost |= (set(range(end)) - layout.chunk_sizes("state").keys()) | set(range(committed, end))
    for block in sorted(lost):
        bury(layout, block)
    _close_killed(layout, runs, end)
    clear_marks(layout)
    return sorted(lost)


def needs_repair(layout: Layout, index: Index, damages: list[Damage]) -> bool:
    """Say whether `repair` would find rows lost, as far as that shows without reading features.

    ``index`` and ``damages`` are what `load_index` gives.
    """
    return bool(damages or marked_blocks(layout) or _without_features(layout, index))


def next_block(layout: Layout, runs: list[JsonObject]) -> int:
    """Give the first block number that was never used, not even by a writer that was killed."""
    used = [stop for run in runs for _, stop in run["blocks"]]
    used += [block + 1 for array in ARRAYS for block in layout.chunk_sizes(array)]
    return max(used, default=0)


def _delete_leftovers(layout: Layout) -> None:
    if isinstance(layout.path, ObjectPath):
        return  # an object is there whole, or not at all
    for path in layout.path.rglob(".*"):
        path.unlink(missing_ok=True)


def _without_features(layout: Layout, index: Index) -> set[int]:
    sizes = layout.chunk_sizes("features")
    live = index.live.reshape(-1, layout.block_rows).any(axis=1)
    return {block for block in np.flatnonzero(live).tolist() if not sizes.get(block)}


def bury(layout: Layout, block: int) -> None:
    """Say that all rows of a block are superseded, and delete its other chunks."""
    write_chunk(layout, "state", block, np.full(layout.block_rows, SUPERSEDED))
    delete_values(layout, block)


def delete_values(layout: Layout, block: int) -> None:
    """Delete the chunks of a block whose rows are all superseded, but for its state."""
    for array in ("features", "digest", "item"):
        file = layout.chunk(array, block)
        with writing(file):
            file.unlink(missing_ok=True)


def _close_killed(layout: Layout, runs: list[JsonObject], end: int) -> None:
    killed = [run for run in runs if not run["closed"]]
    for run in killed:
        run["blocks"] = blocks_of(run, end)
        run["closed"] = True
    if killed:
        write_runs(layout, runs)


def supersede(layout: Layout, rows: Ints) -> None:
    """Set the state of ``rows`` ((n,) int64) to SUPERSEDED, block by block.

    Raises
    ------
    CorruptStoreError
        If a state chunk is damaged.
    CacheWriteError
        If the cache cannot be written.
    """
    block = rows // layout.block_rows
    for number in np.unique(block).tolist():
        state = read_chunk(layout, "state", number)
        if isinstance(state, Damage):
            raise damaged(layout, state)
        state = state.copy()
        state[rows[block == number] - number * layout.block_rows] = SUPERSEDED
        write_chunk(layout, "state", number, state)
