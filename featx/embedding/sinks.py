"""Where new vectors go: into a store, or into memory beside a store that is only read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from featx.pooling import pool
from featx.store import DONE, UNDECODABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import Array, Float32s, Key
    from featx.recipe import Recipe
    from featx.store import FeatureStore, StoreWriter

DERIVE_ROWS = 256


@dataclass(frozen=True)
class StoreSink:
    """Writes into a store.

    Attributes
    ----------
    flat
        The store of the same layer, flattened: this one's vectors can be pooled from it.
    """

    recipe: Recipe
    writer: StoreWriter
    flat: FeatureStore | None = None

    @property
    def store(self) -> FeatureStore:
        """The store as it was when its lock was taken."""
        return self.writer.store

    def append(self, digest: bytes, item: int, vector: Array) -> None:
        """Hand one vector to the store's writer."""
        self.writer.append(digest, item, vector)

    def append_failure(self, digest: bytes, item: int, reason: str) -> None:
        """Hand one reason to the store's writer."""
        self.writer.append_failure(digest, item, reason)


@dataclass(frozen=True)
class MemorySink:
    """Keeps vectors in memory, rounded as the store would; the cache is not touched."""

    recipe: Recipe
    store: FeatureStore | None = None
    flat: FeatureStore | None = None
    vectors: dict[Key, Array] = field(default_factory=dict)
    reasons: dict[Key, str] = field(default_factory=dict)

    def append(self, digest: bytes, item: int, vector: Array) -> None:
        """Keep one vector."""
        self.vectors[digest, item] = vector.astype(self.recipe.dtype)

    def append_failure(self, digest: bytes, item: int, reason: str) -> None:
        """Keep one reason."""
        self.reasons[digest, item] = reason


Sink: TypeAlias = StoreSink | MemorySink
"""Takes the vectors of one recipe."""


def has_items(store: FeatureStore | None, digest: bytes, items: int) -> bool:
    """Say whether a store knows items 0 to ``items`` - 1 of an image, or that it is undecodable."""
    states = _states(store, digest, items)
    return states[0] == UNDECODABLE or bool(np.isin(states, (DONE, UNDECODABLE)).all())


def can_derive(sink: Sink, digest: bytes, items: int) -> bool:
    """Say whether every vector of an image can be pooled from the flattened store."""
    return bool((_states(sink.flat, digest, items) == DONE).all())


def known_failure(store: FeatureStore | None, digest: bytes | None) -> str | None:
    """Give the reason that a store keeps for an undecodable image; None if it keeps none."""
    if store is None or digest is None:
        return None
    one = np.frombuffer(digest, dtype=np.uint8)[None, :]
    rows = store.rows(one, np.zeros(1, np.uint16))
    return store.reasons(rows[rows >= 0])[0] if rows[0] >= 0 else None


def _states(store: FeatureStore | None, digest: bytes, items: int) -> Array:
    """(items,) uint8 of one image."""
    if store is None:
        return np.zeros(items, np.uint8)
    digests = np.repeat(np.frombuffer(digest, dtype=np.uint8)[None, :], items, axis=0)
    return store.states(store.rows(digests, np.arange(items, dtype=np.uint16)))


def derive(sink: Sink, keys: Sequence[Key]) -> int:
    """Pool the vectors of ``keys`` from the flattened store; give how many.

    The stored map is read back as float32, so a pooled vector differs from one that was pooled
    before rounding by no more than that rounding (5e-4 of a value for float16).
    """
    flat = sink.flat
    if flat is None or not keys:
        return 0
    for start in range(0, len(keys), DERIVE_ROWS):
        part = keys[start : start + DERIVE_ROWS]
        digests = np.frombuffer(b"".join(d for d, _ in part), np.uint8).reshape(-1, 16)
        rows = flat.rows(digests, np.array([i for _, i in part], np.uint16))
        maps: Float32s = flat.read(rows, np.float32).reshape(-1, *flat.map_shape)
        for (digest, item), vector in zip(part, pool(maps, sink.recipe.pooling), strict=True):
            sink.append(digest, item, vector)
    return len(keys)
