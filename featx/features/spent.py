"""How long it took to extract the vectors of a view."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from featx.costs import PassCost
from featx.errors import CorruptStoreError, NotFoundError, SchemaVersionError
from featx.features.signatures import runs_of
from featx.provenance import DERIVED
from featx.store import FeatureStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import Ints
    from featx.features.view import Features
    from featx.manifest import Manifest


def extract_seconds(features: Features) -> float | None:
    """Give the seconds that computing the vectors of a view took, whenever that was.

    Each vector counts what its pass over the images took for one vector; images that occur twice
    were computed once. A pass that filled the stores of several kinds of features counts once; a
    vector that was pooled from a flattened one took as long as that one, too.

    Returns
    -------
    float or None
        None where it is not known of every vector.
    """
    once = features.take(np.unique(features.rows, return_index=True)[1])
    at = np.arange(len(once))
    row_s: dict[str, float] = {}
    paid: dict[str, list[Ints]] = defaultdict(list)
    for kind in once.kinds:
        for cost, rows in _costs(once.manifest, kind.store, kind.rows, at):
            if cost is None:
                return None
            row_s[cost.name] = cost.row_s
            paid[cost.name].append(rows)
    return sum(row_s[name] * len(np.unique(np.concatenate(rows))) for name, rows in paid.items())


def _costs(
    manifest: Manifest, store: FeatureStore, rows: Ints, at: Ints
) -> Iterator[tuple[PassCost | None, Ints]]:
    """Give each pass behind the rows of a store, and the places of these rows in the view."""
    run_of = runs_of(store, rows)
    for number in np.unique(run_of).tolist():
        here = at[run_of == number]
        if number < 0:
            yield None, here
            continue
        run = store.runs[number]
        yield PassCost.of(run), here
        if run["provenance"].get("engine") == DERIVED:
            yield from _flat_costs(manifest, store, here)


def _flat_costs(
    manifest: Manifest, store: FeatureStore, at: Ints
) -> Iterator[tuple[PassCost | None, Ints]]:
    """Give the passes behind the flattened vectors that those of a store were pooled from."""
    path = store.path.parent / replace(store.recipe, pooling="flatten").store_name
    try:
        flat = FeatureStore.open(path)
        rows = flat.rows(manifest.digest[at], manifest.item[at])
    except (NotFoundError, CorruptStoreError, SchemaVersionError):
        yield None, at  # the head needs no such store: whoever reads it is told of damage
        return
    if (rows < 0).any():
        yield None, at
        return
    yield from _costs(manifest, flat, rows, at)
