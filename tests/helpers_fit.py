"""A small cache with vectors that can be learned from, without a network."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featx import datasets
from featx.features import Features, load
from featx.manifest import Manifest
from featx.recipe import Recipe
from featx.store import StoreWriter

RECIPE = Recipe("squeezenet1_1", "a" * 32, "features", "avg")
DIM = 12


def blobs(n: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(n, DIM) vectors around one centre a class, and (n,) the numbers of their classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    X = rng.normal(size=(classes, DIM))[y] * 2 + rng.normal(size=(n, DIM))
    return X.astype(np.float16).astype(np.float32), y


def manifest_of(frame: pd.DataFrame, contents: list[object], name: str = "blobs") -> Manifest:
    """Rows whose images have the same bytes where ``contents`` has the same value."""
    digests = [blake2b(repr(c).encode(), digest_size=16).digest() for c in contents]
    n = len(frame)
    return Manifest(
        name=name,
        source="made for a test",
        path=np.array([f"{i:03d}.png" for i in range(n)], dtype=object),
        digest=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16).copy(),
        item=np.zeros(n, np.uint16),
        failure=np.array([None] * n, dtype=object),
        frame=frame,
    )


def make(
    cache: Path,
    X: np.ndarray,
    columns: dict[str, Any],
    contents: list[object] | None = None,
    failed: tuple[int, ...] = (),
    made: list[dict[str, Any]] | None = None,
    recipe: Recipe = RECIPE,
) -> Features:
    """Write vectors and a data set into a cache and open them; rows ``failed`` have no vector.

    ``made`` says more of the provenance of each row; rows in sequence with the same are one run.
    """
    frame = pd.DataFrame(columns, index=range(len(X)))
    manifest = manifest_of(frame, contents or list(range(len(X))))
    provenance = {"request": {"name": "squeezenet1_1", "weights": "random"}}
    writer = StoreWriter(cache, recipe, (X.shape[1], 1, 1), X.shape[1], provenance=provenance)
    written: set[bytes] = set()
    for i, (digest, vector) in enumerate(zip(manifest.digest, X, strict=True)):
        if made is not None and (i == 0 or made[i] != made[i - 1]):
            writer.start_run(provenance | made[i])
        key = digest.tobytes()
        if key in written:
            continue
        written.add(key)
        if i in failed:
            writer.append_failure(key, 0, "no image")
        else:
            writer.append(key, 0, vector)
    writer.close()
    datasets.save(cache, manifest)
    datasets.remember(cache, datasets.Last(manifest.name, (recipe.store_name,)))
    return load(manifest.name, cache=cache)
