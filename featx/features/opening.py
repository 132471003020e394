"""Open cached features by the names of a data set and of one store or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from featx import catalog, datasets
from featx.errors import NotFoundError, UsageError
from featx.features.kind import Kind
from featx.features.view import Features
from featx.store import UNDECODABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from featx._types import Array, Ints, PathLike
    from featx.manifest import Manifest
    from featx.recipe import Recipe
    from featx.store import FeatureStore


def view(manifest: Manifest, *stores: FeatureStore) -> Features:
    """Give the view of a manifest's rows in a store, or in several.

    Rows without a vector under one of the stores have failed, with its reason. Where the stores
    have one vector an image, a manifest of views gives each image once.

    Raises
    ------
    UsageError
        If the stores hold images that are varied in different ways.
    NotFoundError
        If some images of the manifest were never embedded under a store's recipe.
    """
    import pandas as pd

    _check_views([store.recipe for store in stores])
    if not stores[0].recipe.preprocess.has_items:
        manifest = manifest.plain()
    reasons = manifest.failure.copy()
    readable: Array = pd.isna(reasons)
    located = [_locate(manifest, store, readable) for store in stores]
    for store, rows in zip(stores, located, strict=True):
        bad = np.flatnonzero(pd.isna(reasons) & (store.states(rows) == UNDECODABLE))
        reasons[bad] = store.reasons(rows[bad])
    good: Array = pd.isna(reasons)
    failed = pd.DataFrame({"path": manifest.path[~good], "reason": reasons[~good]})
    first, *others = (Kind(s, rows[good]) for s, rows in zip(stores, located, strict=True))
    kept = manifest if good.all() else manifest.take(good)
    return Features(kept, failed, first.store, first.rows, others=tuple(others))


def _check_views(recipes: Sequence[Recipe]) -> None:
    """Raise `UsageError` if some images are varied otherwise than others, or not at all."""
    first, *others = recipes
    how = (first.preprocess.augment, first.preprocess.augment_seed)
    for other in others:
        if (other.preprocess.augment, other.preprocess.augment_seed) != how:
            raise UsageError(
                f"{first.label} and {other.label} have other views of these images, so their "
                "vectors cannot be put side by side; extract both with the same --augment and "
                "--seed, or both without"
            )


def _locate(manifest: Manifest, store: FeatureStore, readable: Array) -> Ints:
    """Give (n,) where each readable row of a manifest lies in a store; -1 for the others."""
    rows: Ints = np.where(readable, store.rows(manifest.digest, manifest.item), -1)
    absent = readable & (rows < 0)
    if absent.any():
        what = "views" if store.recipe.preprocess.is_varied else "images"
        raise NotFoundError(
            f"{int(absent.sum())} of the {len(manifest)} {what} of {manifest.name} have no vector "
            f"in {store.recipe.label} ({store.path.absolute()}); run `featx extract` on the data "
            "again with the same options: it computes what is missing"
        )
    return rows


def load(
    data: str | None = None,
    features: str | Sequence[str] | None = None,
    *,
    target: str | None = None,
    group: str | None = None,
    cache: PathLike | None = None,
    say: Callable[[str], None] | None = None,
) -> Features:
    """Open cached features.

    Parameters
    ----------
    data
        Name of the data set; None for the last extraction's.
    features
        Name of the store, for example ``vgg16:features:flatten@224`` or, where it fits one store
        alone, ``vgg16``; None for the last extraction's. Several names: their vectors side by side,
        of the images that have one of each.
    target, group
        Columns behind ``y`` and ``groups``; ``y`` is ``label`` unless said otherwise.
    cache
        The cache folder; None for ``FEATX_CACHE``, else ``cache``.
    say
        Called with one line where something was chosen for the caller.

    Raises
    ------
    NotFoundError, AmbiguousNameError
        If a name fits nothing, or several things.
    UsageError
        If two names fit the same store.
    CorruptStoreError
        If the cache holds other bytes than were written.
    """
    folder = catalog.cache_dir(cache)
    names = [features] if features is None or isinstance(features, str) else list(features)
    stores: dict[str, FeatureStore] = {}
    for name in names or [None]:
        data, store = catalog.choose(folder, data, name, say or (lambda _: None))
        if store.path.name in stores:
            raise UsageError(
                f"{store.recipe.label} is named twice ({', '.join(map(str, names))}): name each "
                "kind of features once; `featx ls` lists them"
            )
        stores[store.path.name] = store
    found = view(datasets.load(folder, str(data)), *stores.values())
    for column in filter(None, (target, group)):
        found.column(column)
    return replace(found, target=target, group=group)
