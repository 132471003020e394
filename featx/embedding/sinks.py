"""Where new vectors go: into a store, or into memory beside a store that is only read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np

from featx.pooling import pool
from featx.store import (
    DONE,
    EMPTY,
    UNDECODABLE,
    Block,
    FeatureStore,
    check_vectors,
    write_reserved,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._objects import Place
    from featx._types import Array, Bytes16s, Float32s, Ints, Key
    from featx.recipe import Recipe
    from featx.store import StoreWriter, Written
    from featx.store.index import Index

_AT_ONCE = 2**20
"""Rows of several images that are looked up at a time: memory is bounded by it."""


@dataclass(frozen=True)
class StoreSink:
    """Writes into a store.

    Attributes
    ----------
    flat
        The store of the same layer, flattened: this one's vectors can be pooled from it.
    retry
        Whether images that the store knows as undecodable are tried again.
    """

    recipe: Recipe
    writer: StoreWriter
    flat: FeatureStore | None = None
    retry: bool = False

    @property
    def store(self) -> FeatureStore:
        """The store as it was when its lock was taken."""
        return self.writer.store

    def extend(self, keys: Sequence[Key], vectors: Array) -> None:
        """Hand (n, d) vectors to the store's writer."""
        self.writer.extend(keys, vectors)

    def append_failure(self, digest: bytes, item: int, reason: str) -> None:
        """Hand one reason to the store's writer."""
        self.writer.append_failure(digest, item, reason)


@dataclass(frozen=True)
class MemorySink:
    """Keeps vectors in memory, rounded as the store would; the cache is not touched."""

    recipe: Recipe
    store: FeatureStore | None = None
    flat: FeatureStore | None = None
    retry: ClassVar[bool] = False
    vectors: dict[Key, Array] = field(default_factory=dict)
    reasons: dict[Key, str] = field(default_factory=dict)

    def extend(self, keys: Sequence[Key], vectors: Array) -> None:
        """Keep (n, d) vectors."""
        self.vectors.update(zip(keys, vectors.astype(self.recipe.dtype), strict=True))

    def append_failure(self, digest: bytes, item: int, reason: str) -> None:
        """Keep one reason."""
        self.reasons[digest, item] = reason


@dataclass(frozen=True)
class BlockSink:
    """Fills blocks of a store that another process holds; `write` brings them there.

    Attributes
    ----------
    known
        The store as it was when this part of the work began.
    blocks
        Those that hold something, the last of them not full.
    """

    recipe: Recipe
    known: FeatureStore
    flat: FeatureStore | None = None
    retry: bool = False
    blocks: list[Block] = field(default_factory=list)

    @property
    def store(self) -> FeatureStore:
        """The store that is filled."""
        return self.known

    def extend(self, keys: Sequence[Key], vectors: Array) -> None:
        """Put (n, d) vectors into blocks."""
        check_vectors(vectors, self.recipe.dtype)
        start = 0
        while start < len(keys):
            block = self._open()
            stop = min(len(keys), start + self.known.block_rows - block.n)
            block.put(keys[start:stop], vectors[start:stop])
            start = stop

    def append_failure(self, digest: bytes, item: int, reason: str) -> None:
        """Put one reason into a block."""
        self._open().put_failure((digest, item), reason)

    def write(self, hint: int) -> list[Written]:
        """Write all blocks, under numbers from ``hint`` on."""
        return [write_reserved(self.known.layout, block, hint) for block in self.blocks]

    def _open(self) -> Block:
        if not self.blocks or self.blocks[-1].n == self.known.block_rows:
            self.blocks.append(Block.empty(self.known.layout, len(self.blocks)))
        return self.blocks[-1]


Sink: TypeAlias = StoreSink | MemorySink | BlockSink
"""Takes the vectors of one recipe."""


def _existing(cache: Place, recipe: Recipe) -> FeatureStore | None:
    path = cache / recipe.store_name
    return FeatureStore.open(path) if path.is_dir() else None


def flat_store(cache: Place, recipe: Recipe) -> FeatureStore | None:
    """Give the store that a recipe's vectors can be pooled from, if there is a sound one."""
    if recipe.pooling == "flatten":
        return None
    flat = _existing(cache, replace(recipe, pooling="flatten"))
    return None if flat is None or flat.needs_repair() else flat


def reading_sink(cache: Place, recipe: Recipe) -> MemorySink:
    """Give a sink that keeps in memory what the recipe's store in ``cache`` lacks."""
    return MemorySink(recipe, _existing(cache, recipe), flat_store(cache, recipe))


def has_items(sink: Sink, digest: bytes, items: int) -> bool:
    """Say whether a sink's store has items 0 to ``items`` - 1 of an image, or need not have them.

    It need not where the image is known as undecodable and is not to be tried again.
    """
    if sink.store is None:
        return False
    states = sink.store.index.states_of(digest, items)
    if UNDECODABLE in states:
        return not sink.retry
    return EMPTY not in states


def have_items(sink: Sink, digest: Bytes16s, items: Ints) -> Array:
    """Say `has_items` of many images.

    Parameters
    ----------
    digest : (n, 16) uint8
    items : (n,) int64

    Returns
    -------
    have : (n,) bool
    """
    if sink.store is None:
        return np.zeros(len(items), dtype=bool)
    cuts = np.flatnonzero(np.diff(np.cumsum(items) // _AT_ONCE)) + 1
    parts = zip(np.split(digest, cuts), np.split(items, cuts), strict=True)
    return np.concatenate([_have(sink, sink.store.index, *part) for part in parts])


def _have(sink: Sink, index: Index, digest: Bytes16s, items: Ints) -> Array:
    image, item = expanded(items)
    states = index.states(digest[image], item)
    lacks = np.bincount(image[states == EMPTY], minlength=len(items)) > 0
    bad = np.bincount(image[states == UNDECODABLE], minlength=len(items)) > 0
    return np.where(bad, not sink.retry, ~lacks)


def expanded(items: Ints) -> tuple[Ints, Ints]:
    """Give the image and the item of each row, where image i has ``items[i]`` rows."""
    image = np.repeat(np.arange(len(items)), items)
    starts = np.repeat(np.cumsum(items) - items, items)
    return image, np.arange(len(image)) - starts


def has_item(sink: Sink, digest: bytes, item: int) -> bool:
    """Say the same of one item, whether or not those before it are there."""
    if sink.store is None:
        return False
    index = sink.store.index
    if index.first_undecodable.get(digest, item + 1) <= item:
        return not sink.retry
    return index.state_of(digest, item) != EMPTY


def is_bad(sink: Sink, digest: bytes) -> bool:
    """Say whether an image is known as undecodable, and is not to be tried again."""
    if sink.store is None or sink.retry:
        return False
    return sink.store.index.state_of(digest, 0) == UNDECODABLE


def are_bad(sink: Sink, digest: Bytes16s) -> Array:
    """Say `is_bad` of many images, (n,) bool."""
    if sink.store is None or sink.retry:
        return np.zeros(len(digest), dtype=bool)
    states = sink.store.index.states(digest, np.zeros(len(digest), np.uint16))
    return np.asarray(states == UNDECODABLE)


def can_derive(sink: Sink, digest: bytes, items: int = 1) -> bool:
    """Say whether the vectors of an image can be pooled from the flattened store."""
    return sink.flat is not None and sink.flat.index.states_of(digest, items) == [DONE] * items


def known_failure(sink: Sink, digest: bytes) -> str | None:
    """Give the reason for which an image stays undecodable in a sink's store; None for none."""
    store = sink.store
    if store is None or sink.retry:
        return None
    one = np.frombuffer(digest, dtype=np.uint8)[None, :]
    return store.reasons(store.rows(one, np.zeros(1, np.uint16)))[0]


def derive(sink: Sink, keys: Sequence[Key]) -> None:
    """Pool vectors from the flattened store, block by block.

    The stored map is read back as float32, so a pooled vector differs from one that was pooled
    before rounding by no more than that rounding (5e-4 of a value for float16).
    """
    flat = sink.flat
    if flat is None or not keys:
        return
    digests = np.frombuffer(b"".join(digest for digest, _ in keys), np.uint8).reshape(-1, 16)
    rows = flat.rows(digests, np.array([item for _, item in keys], np.uint16))
    order = np.argsort(rows)
    for part in np.array_split(order, -(-len(order) // flat.block_rows)):
        maps: Float32s = flat.read(rows[part], np.float32).reshape(-1, *flat.map_shape)
        sink.extend([keys[i] for i in part], pool(maps, sink.recipe.pooling))
