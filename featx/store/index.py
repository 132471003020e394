"""What a store holds: the digest, item and state of every row, read block by block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from featx.store.chunks import Damage, read_chunk, read_chunks
from featx.store.layout import DONE, EMPTY, UNDECODABLE
from featx.store.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import Array, Bytes16s, Ints, JsonObject
    from featx.store.layout import Layout

_MANY = 32
"""Items of one image that are sooner looked up as an array than one by one."""


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
        return are_live(self.state)

    @cached_property
    def lookup(self) -> Lookup:
        """Where the newest live row of each key is."""
        return Lookup.of(self.digest, self.item, np.flatnonzero(self.live))

    @cached_property
    def first_undecodable(self) -> dict[bytes, int]:
        """The lowest item that cannot be decoded, of each image that has one."""
        rows = np.flatnonzero(self.state == UNDECODABLE)
        rows = rows[self.find(self.digest[rows], self.item[rows]) == rows]
        rows = rows[np.argsort(self.item[rows], kind="stable")[::-1]]
        digests = [self.digest[row].tobytes() for row in rows]
        return dict(zip(digests, self.item[rows].tolist(), strict=True))

    def find(self, digest: Bytes16s, item: Array) -> Ints:
        """Give the (n,) newest live row of each key, -1 where there is none."""
        return self.lookup.find(digest, item)

    def states(self, digest: Bytes16s, item: Array) -> Array:
        """Give the (n,) uint8 state of each key's newest live row, EMPTY where there is none."""
        rows = self.find(digest, item)
        states = np.full(len(rows), EMPTY, dtype=np.uint8)
        states[rows >= 0] = self.state[rows[rows >= 0]]
        return states

    def state_of(self, digest: bytes, item: int) -> int:
        """Give the state of one key, EMPTY where there is no row."""
        return self.states_of(digest, 1, item)[0]

    def states_of(self, digest: bytes, items: int, first: int = 0) -> list[int]:
        """Give the state of ``items`` items of one image from ``first`` on, EMPTY for no row."""
        if items > _MANY:
            numbers = np.arange(first, first + items)
            digests = np.frombuffer(digest, np.uint8)[None].repeat(items, axis=0)
            return list(map(int, self.states(digests, numbers)))
        row_of = self.lookup.row
        rows = [row_of(digest, item) for item in range(first, first + items)]
        return [EMPTY if row < 0 else int(self.state[row]) for row in rows]

    def shadowed(self) -> Ints:
        """Give the live rows that a newer row of the same key stands before."""
        live: Ints = np.flatnonzero(self.live)
        newest = self.find(self.digest[live], self.item[live])
        return np.asarray(live[newest != live])


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
    state: Array = np.full((n_blocks, size), EMPTY, dtype=np.uint8)
    digest: Array = np.zeros((n_blocks, size, 16), dtype=np.uint8)
    item: Array = np.zeros((n_blocks, size), dtype=np.uint16)
    lost = _fill(layout, "state", present_blocks(layout, runs), state)
    used = np.atleast_1d(are_live(state).any(axis=1))  # a dead block may have lost its other chunks
    used[[damage.block for damage in lost]] = True
    for array, out in (("digest", digest), ("item", item)):
        lost += _fill(layout, array, np.flatnonzero(used).tolist(), out)
    blocks = sorted({damage.block for damage in lost})
    for out in (state, digest, item):
        out[blocks] = 0
    dead = {block for block in blocks if is_dead(layout, block)}
    damages = sorted((d for d in lost if d.block not in dead), key=lambda d: d.block)
    return Index(state.reshape(-1), digest.reshape(-1, 16), item.reshape(-1)), damages


def _fill(layout: Layout, array: str, blocks: Sequence[int], out: Array) -> list[Damage]:
    """Put blocks into their places in ``out`` ((n_blocks, ...)); give the chunks that are lost."""
    lost = []
    for block, values in zip(blocks, read_chunks(layout, array, blocks), strict=True):
        if isinstance(values, Damage):
            lost.append(values)
        else:
            out[block] = values
    return lost


def is_dead(layout: Layout, block: int) -> bool:
    """Say whether a block's state, read now, leaves none of its rows in use.

    To be asked before a chunk is called damaged: a writer may just have deleted it.
    """
    state = read_chunk(layout, "state", block)
    return not isinstance(state, Damage) and not has_live(state)


def has_live(state: Array) -> bool:
    """Say whether any row of a block answers for its key."""
    return bool(are_live(state).any())


def are_live(state: Array) -> Array:
    """Say of each row whether it answers for its key, by its state; in any shape."""
    return np.asarray((state == DONE) | (state == UNDECODABLE))
