"""A small store of known vectors, shared by the tests of the store."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import numpy as np

from featx.recipe import Recipe
from featx.store import FeatureStore, StoreWriter, layout

DIM = 12
ROWS = 8
"""Rows in a block of the stores of these tests."""

RECIPE = Recipe("vgg16", "00" * 16, "features", "flatten")
PROVENANCE = {"engine": "test"}


def digest(i: int) -> bytes:
    return blake2b(str(i).encode(), digest_size=16).digest()


def vector(i: int, dim: int = DIM) -> np.ndarray:
    return np.random.default_rng(i).random(dim, dtype=np.float32)


def keys(numbers) -> tuple[np.ndarray, np.ndarray]:
    digests = np.frombuffer(b"".join(digest(i) for i in numbers), np.uint8).reshape(-1, 16)
    return digests, np.zeros(len(digests), np.uint16)


def vectors(numbers, dtype=np.float16) -> np.ndarray:
    return np.stack([vector(i) for i in numbers]).astype(dtype)


def writer(cache: Path, recipe: Recipe = RECIPE, **options) -> StoreWriter:
    options = {"provenance": PROVENANCE} | options
    return StoreWriter(cache, recipe, (3, 2, 2), DIM, **options)


def fill(cache: Path, numbers, recipe: Recipe = RECIPE, **options) -> FeatureStore:
    """Append the vectors that the store lacks, in order."""
    numbers = list(numbers)
    with writer(cache, recipe, **options) as w:
        missing = w.store.rows(*keys(numbers)) < 0
        for i in np.array(numbers)[missing]:
            w.append(digest(i), 0, vector(i))
    return FeatureStore.open(w.store.path)


def small_blocks(monkeypatch, rows: int = ROWS) -> None:
    monkeypatch.setattr(layout, "MAX_BLOCK_ROWS", rows)
