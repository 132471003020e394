"""What a store holds: the digest, item and state of every row, read block by block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from featx.store.chunks import Damage, read_chunk
from featx.store.layout import DONE, EMPTY, UNDECODABLE
from featx.store.threads import MAX_SMALL_REQUESTS, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from featx._types import Array, Bytes16s, Ints, JsonObject
    from featx.store.layout import Layout


@dataclass(frozen=True)
class Index:
    """The rows of all committed blocks.

    Attributes
    ----------
    state
        (N,) uint8.
    digest
        (N, 16) uint8.
    item
        (N,) uint16.
    """

    state: Array
    digest: Bytes16s
    item: Array

    @cached_property
    def live(self) -> Array:
        """(N,) bool: rows that answer for their key."""
        return np.asarray((self.state == DONE) | (self.state == UNDECODABLE))

    @cached_property
    def _row_of(self) -> dict[bytes, int]:
        rows = np.flatnonzero(self.live)
        # dict keeps the last of two equal keys: the newest row wins
        return dict(zip(keys(self.digest[rows], self.item[rows]), rows.tolist(), strict=True))

    def find(self, digest: Bytes16s, item: Array) -> Ints:
        """Give the (n,) newest live row of each key, -1 where there is none."""
        row_of = self._row_of
        found = [row_of.get(key, -1) for key in keys(digest, item)]
        return np.array(found, dtype=np.int64)

    def states_of(self, digest: bytes, items: int) -> list[int]:
        """Give the state of items 0 to ``items`` - 1 of one image, EMPTY where there is no row."""
        rows = [self._row_of.get(digest + item.to_bytes(2, "little")) for item in range(items)]
        return [EMPTY if row is None else int(self.state[row]) for row in rows]

    def shadowed(self) -> Ints:
        """Give the live rows that a newer row of the same key stands before."""
        live: Ints = np.flatnonzero(self.live)
        newest = self.find(self.digest[live], self.item[live])
        return np.asarray(live[newest != live])


def keys(digest: Bytes16s, item: Array) -> list[bytes]:
    """Give one hashable value a row: digest and item, 18 bytes."""
    packed = np.empty((len(digest), 18), dtype=np.uint8)
    packed[:, :16] = digest
    packed[:, 16:] = np.asarray(item).astype("<u2").reshape(-1, 1).view(np.uint8)
    joined = packed.tobytes()
    return [joined[start : start + 18] for start in range(0, len(joined), 18)]


def committed_blocks(layout: Layout, runs: list[JsonObject]) -> int:
    """Count the blocks up to the last one that is committed.

    A closed run recorded which blocks it wrote. A run that is open, or was killed, has committed
    those with a state chunk, in any order. ``runs`` must have been read before this call, so that
    a run closed meanwhile does no harm.
    """
    stop = max((end for run in runs for _, end in run["blocks"]), default=0)
    if all(run["closed"] for run in runs):
        return int(stop)
    return max(stop, 1 + max(layout.chunk_sizes("state"), default=-1))


def present_blocks(layout: Layout, runs: list[JsonObject]) -> list[int]:
    """Give the blocks that must be there: those of closed runs, and those that have a state."""
    n_blocks = committed_blocks(layout, runs)
    if all(run["closed"] for run in runs):
        return list(range(n_blocks))
    closed = [run["blocks"] for run in runs if run["closed"]]
    promised = {
        block for blocks in closed for start, stop in blocks for block in range(start, stop)
    }
    return sorted(promised | {block for block in layout.chunk_sizes("state") if block < n_blocks})


def load_index(layout: Layout, runs: list[JsonObject]) -> tuple[Index, list[Damage]]:
    """Read the rows of all committed blocks.

    Returns
    -------
    index
        Rows of a block whose digest, item or state is lost are EMPTY.
    damages
        The chunks of digest, item and state that are lost.
    """
    n_blocks, size = committed_blocks(layout, runs), layout.block_rows
    n = n_blocks * size
    index = Index(
        state=np.full(n, EMPTY, dtype=np.uint8),
        digest=np.zeros((n, 16), dtype=np.uint8),
        item=np.zeros(n, dtype=np.uint16),
    )
    damages: list[Damage] = []
    blocks = present_blocks(layout, runs)
    for lost in _each(layout, lambda block: _load_block(layout, block, index), blocks):
        damages += lost
    return index, damages


def _each(
    layout: Layout, load: Callable[[int], list[Damage]], blocks: Sequence[int]
) -> Iterable[list[Damage]]:
    """Load block after block; many at once from a bucket, which takes its time to answer."""
    return in_threads(load, blocks, MAX_SMALL_REQUESTS) if layout.is_remote else map(load, blocks)


def _load_block(layout: Layout, block: int, index: Index) -> list[Damage]:
    rows = slice(block * layout.block_rows, (block + 1) * layout.block_rows)
    state = read_chunk(layout, "state", block)
    if not isinstance(state, Damage) and not has_live(state):
        index.state[rows] = state  # a dead block may have lost its other chunks
        return []
    digest, item = (read_chunk(layout, array, block) for array in ("digest", "item"))
    if isinstance(state, Damage) or isinstance(digest, Damage) or isinstance(item, Damage):
        lost = [part for part in (state, digest, item) if isinstance(part, Damage)]
        return [] if is_dead(layout, block) else lost
    index.state[rows], index.digest[rows], index.item[rows] = state, digest, item
    return []


def is_dead(layout: Layout, block: int) -> bool:
    """Say whether a block's state, read now, leaves none of its rows in use.

    To be asked before a chunk is called damaged: a writer may just have deleted it.
    """
    state = read_chunk(layout, "state", block)
    return not isinstance(state, Damage) and not has_live(state)


def has_live(state: Array) -> bool:
    """Say whether any row of a block answers for its key."""
    return bool(((state == DONE) | (state == UNDECODABLE)).any())
