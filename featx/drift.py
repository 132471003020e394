"""Compute stored vectors again from their images, and say how far the two lie apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from featx.backbones import BackboneRequest
from featx.catalog import shards_dir
from featx.embedding import How, embed
from featx.errors import NotFoundError, RecipeMismatchError
from featx.forward.certificate import compare
from featx.sources import Places, Source
from featx.store import DONE
from featx.tokens import TokenIndex

if TYPE_CHECKING:
    from featx._objects import Place
    from featx._types import Ints, JsonObject, Progress
    from featx.sources import Entry
    from featx.store import FeatureStore


def drift(store: FeatureStore, cache: Place, n: int, seed: int, progress: Progress) -> JsonObject:
    """Compute ``n`` seeded rows of a store again in fp32, and compare the stored ones with them.

    Images are found where they lay when they were last read; those that are gone or have changed
    are not among the rows. The tolerance is that of a numerics certificate.

    Raises
    ------
    NotFoundError
        If no image of the store is to be found.
    RecipeMismatchError
        If the backbone here is not the one that filled the store; names each field.
    """
    rows, entries = _images(store, cache, n, seed, progress)
    provenance = store.runs[-1]["provenance"]
    request = replace(
        BackboneRequest.from_json(provenance["request"]),
        layers=(store.recipe.layer,),
        poolings=(store.recipe.pooling,),
    )
    how = How(precision="fp32", write=False, fresh=True)
    frame = pd.DataFrame(index=pd.RangeIndex(len(entries)))
    source = Source("again", f"{len(entries):,} images, read again", entries, frame, 0)
    found = embed(source, request, cache, how, progress)
    fields = found.recipes[0].differences(store.recipe, "here", "in the store")
    if fields:
        raise RecipeMismatchError(
            f"the backbone here is not the one that filled {store.recipe.label}: "
            f"{'; '.join(fields)}"
        )
    same = (found.manifest.digest == store.index.digest[rows]).all(axis=1) & (found.row_of >= 0)
    if not same.any():
        raise NotFoundError(f"every image chosen from {store.recipe.label} has changed on disk")
    stored = store.read(rows[same], np.float32)
    return compare(stored, found.X[found.row_of[same]]).to_json()


def _images(
    store: FeatureStore, cache: Place, n: int, seed: int, progress: Progress
) -> tuple[Ints, list[Entry]]:
    """Choose up to ``n`` rows whose image is still where it was."""
    index = store.index
    done = np.flatnonzero((index.state == DONE) & (index.item == 0))
    order = np.random.default_rng(seed).permutation(done)
    with TokenIndex(cache, say=progress.say) as tokens:
        known = tokens.paths()
    places = Places(shards_dir(cache))
    rows, entries = [], []
    for row in order:
        place = known.get(index.digest[row].tobytes())
        entry = None if place is None else places.entry(place)
        if entry is not None and entry.failure is None:
            rows.append(row)
            entries.append(entry)
        if len(rows) == n:
            break
    if not rows:
        raise NotFoundError(
            f"no image of {store.recipe.label} is where it was when it was embedded; run "
            "`featx extract` on the data where it lies now, then verify again"
        )
    return np.array(rows, np.int64), entries
