"""The vectors of a source under one recipe or several, as one array in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx import datasets
from featx.embedding.passes import How, run_pass
from featx.embedding.sinks import MemorySink, Sink, expanded
from featx.errors import UsageError
from featx.manifest import Manifest
from featx.store import FeatureStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._objects import Place
    from featx._types import Array, Float32s, Ints, Progress
    from featx.backbones import BackboneRequest
    from featx.embedding.outcomes import Outcomes
    from featx.recipe import Recipe
    from featx.sources import Source


@dataclass(frozen=True)
class Embedded:
    """Vectors of a source in memory, those of several recipes side by side.

    Attributes
    ----------
    X
        (m, d) float32: of the images that have a vector.
    row_of
        (n,) int64: for each row of the manifest its row of ``X``, -1 where there is none.
    manifest
        One row an image and item, in the source's order.
    reasons
        For each row of the manifest None, or why it has no vector.
    """

    X: Float32s
    row_of: Ints
    manifest: Manifest
    reasons: list[str | None]
    recipes: tuple[Recipe, ...]


def embed(
    source: Source, request: BackboneRequest, cache: Place, how: How, progress: Progress
) -> Embedded:
    """Give the vectors of a source under the one recipe of a request, in memory.

    Cached vectors are used; new ones are cached only if ``how.write``.

    Raises
    ------
    UsageError
        If the request has several recipes.
    FeatxError
        As `extract`.
    """
    found = embed_each(source, request, cache, how, progress)
    if len(found) != 1:
        labels = ", ".join(one.recipes[0].label for one in found)
        raise UsageError(f"expected one recipe, got {labels}; name one layer and one pooling")
    return found[0]


def embed_each(
    source: Source,
    request: BackboneRequest,
    cache: Place,
    how: How,
    progress: Progress,
    only: Sequence[Recipe] | None = None,
) -> list[Embedded]:
    """Give the vectors under each recipe of a request, or under ``only`` those; as `embed`."""
    done = run_pass(source, request, cache, how, progress, only)
    manifest = manifest_of(source, done.located.outcomes)
    return [_gather(manifest, _readable(sink)) for sink in done.sinks]


def _readable(sink: Sink) -> MemorySink:
    if isinstance(sink, MemorySink):
        return sink
    return MemorySink(sink.recipe, FeatureStore.open(sink.store.path))


def manifest_of(source: Source, outcomes: Outcomes) -> Manifest:
    """Give the manifest of a source after a pass: one row an entry and item, in order."""
    at, item = expanded(outcomes.items)
    failure = np.full(len(outcomes.items), None, dtype=object)
    failure[list(outcomes.failures)] = list(outcomes.failures.values())
    return Manifest(
        name=datasets.safe_name(source.name),
        source=source.description,
        path=np.array([entry.path for entry in source.entries], dtype=object)[at],
        digest=outcomes.digest[at],
        item=item.astype(np.uint16),
        failure=failure[at],
        frame=source.frame.iloc[at].reset_index(drop=True),
    )


def _gather(manifest: Manifest, sink: MemorySink) -> Embedded:
    """Collect the vectors of a manifest from memory and from the store."""
    n = len(manifest)
    store = sink.store
    rows = np.full(n, -1) if store is None else store.rows(manifest.digest, manifest.item)
    reasons: list[str | None] = list(manifest.failure)
    if store is not None:
        for i, reason in zip(
            np.flatnonzero(rows >= 0), store.reasons(rows[rows >= 0]), strict=True
        ):
            reasons[i] = reason
    keys = [(d.tobytes(), int(i)) for d, i in zip(manifest.digest, manifest.item, strict=True)]
    for i in np.flatnonzero(rows < 0):
        reasons[i] = reasons[i] or sink.reasons.get(keys[i])
    good = np.array([reason is None for reason in reasons], dtype=bool)
    stored = good & (rows >= 0)
    row_of = np.where(good, np.cumsum(good) - 1, -1)
    fresh = {i: sink.vectors[keys[i]] for i in np.flatnonzero(good & (rows < 0))}
    dim = store.dim if store is not None else len(next(iter(fresh.values()), ()))
    x: Array = np.empty((int(good.sum()), dim), dtype=np.float32)
    if store is not None and stored.any():
        x[row_of[stored]] = store.read(rows[stored], np.float32)
    for i, vector in fresh.items():
        x[row_of[i]] = vector
    return Embedded(x, row_of, manifest, reasons, (sink.recipe,))
