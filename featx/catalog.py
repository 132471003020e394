"""Find stores, data sets and the cache itself by the names that people use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx import datasets
from featx._files import side_dir
from featx._objects import ObjectPath, place
from featx.errors import AmbiguousNameError, CorruptStoreError, NotFoundError, UsageError
from featx.store import FeatureStore, list_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from featx._objects import Place
    from featx._types import PathLike
    from featx.manifest import Manifest
    from featx.recipe import Recipe


def cache_dir(cache: PathLike | ObjectPath | None = None) -> Place:
    """Give the cache's place: the argument, else ``FEATX_CACHE``, else ``cache``.

    A folder, or ``s3://BUCKET/PREFIX`` (``gs://``, ``az://``, ``file://``).

    Raises
    ------
    UsageError
        If it is a file, or a url that names no bucket.
    """
    folder = place(cache or os.environ.get("FEATX_CACHE") or "cache").expanduser()
    if isinstance(folder, Path) and folder.is_file():
        raise UsageError(f"{folder} is a file; --cache takes a folder")
    return folder


def shards_dir(cache: Place) -> Path:
    """Give the folder, on this machine, of what is known of tar shards."""
    return side_dir(cache) / "shards"


def unique_labels(stores: Sequence[FeatureStore]) -> list[str]:
    """Give each store's label, with ``#`` and the start of its hash where labels repeat."""
    labels = [store.recipe.label for store in stores]
    return [
        label if labels.count(label) == 1 else f"{label}#{store.recipe.hash[:8]}"
        for label, store in zip(labels, stores, strict=True)
    ]


def find_store(cache: Place, name: str) -> FeatureStore:
    """Find the one store that a name fits.

    A name is a label (``vgg16:features:flatten@224``), the start of one up to a ``:``, ``@`` or
    ``+`` (``vgg16``, ``vgg16:features``), a label with ``#`` and the start of a hash, or the
    store's folder name.

    Raises
    ------
    NotFoundError
        If there is none; says the absolute path of the cache that was tried.
    AmbiguousNameError
        If there are several; lists them.
    CorruptStoreError, SchemaVersionError
        If the store named by its folder cannot be read.
    """
    if name.endswith(".zarr") and (cache / name).is_dir():
        return FeatureStore.open(cache / name)
    stores, _ = list_stores(cache)
    labels = unique_labels(stores)
    fits = [i for i, store in enumerate(stores) if fits_recipe(name, store.recipe)]
    exact = [i for i in fits if name in {labels[i], stores[i].recipe.label}]
    found = exact if len(exact) == 1 else fits
    if len(found) == 1:
        return stores[found[0]]
    written = [i for i in found if stores[i].runs]
    if len(written) == 1:
        return stores[written[0]]
    if found:
        candidates = ", ".join(labels[i] for i in found)
        raise AmbiguousNameError(f"{name!r} fits several stores; name one of: {candidates}")
    there = f"it holds {', '.join(labels)}" if labels else "it holds no store"
    raise NotFoundError(
        f"no store {name!r} in {cache.absolute()}; {there}{_unreadable(cache)}; "
        "`featx ls` lists them, --cache DIR looks elsewhere"
    )


def fits_recipe(name: str, recipe: Recipe) -> bool:
    """Say whether a name, as `find_store` takes it, fits a recipe."""
    label, _, digest = name.partition("#")
    full = recipe.label
    starts = full == label or any(full.startswith(label + mark) for mark in ":@(+")
    return starts and recipe.hash.startswith(digest)


def choose(
    cache: Place, data: str | None, features: str | None, say: Callable[[str], None]
) -> tuple[str, FeatureStore]:
    """Choose a data set and a store; what is chosen for the caller is said aloud.

    Where no store is named, those of the last extraction come first, then all others; it must
    hold the data set's images, and be the only one of them that does. What a comparison extracts
    for itself is no last extraction where the data set had one.

    Raises
    ------
    NotFoundError, AmbiguousNameError
        As `find_store` and `featx.datasets.recall` do; or if no store, or several, would do.
    """
    if data is None:
        data = datasets.recall(cache).data
        say(f"data set {data} (the last extraction; --data NAME for another)")
    if features is not None:
        datasets.head(cache, data)
        return data, find_store(cache, features)
    manifest = datasets.load(cache, data)
    last, others = _by_recency(cache)
    for stores, why in ((last, "the last extraction"), (others, "the only ones of its images")):
        fits = [store for store in stores if _holds(store, manifest, strict=stores is last)]
        if len(fits) > 1:
            if stores is last:
                fits += [store for store in others if _holds(store, manifest, strict=False)]
            raise AmbiguousNameError(
                f"the images of {data} are in {len(fits)} stores; name one with --features: "
                f"{', '.join(unique_labels(fits))}"
            )
        if fits:
            say(f"features {fits[0].recipe.label} ({why}; --features ID for others)")
            return data, fits[0]
    raise NotFoundError(
        f"no store in {cache.absolute()} holds the images of {data}; run `featx extract` on its "
        f"images again: what is cached is not computed again{_unreadable(cache)}"
    )


def _by_recency(cache: Place) -> tuple[list[FeatureStore], list[FeatureStore]]:
    """Give the stores of the last extraction, and all others that can be opened."""
    names = datasets.recall(cache).features
    last = [FeatureStore.open(cache / name) for name in names if (cache / name).is_dir()]
    stores, _ = list_stores(cache)
    return last, [store for store in stores if store.path.name not in names]


def _unreadable(cache: Place) -> str:
    return "".join(f"; {p.name} cannot be read: {reason}" for p, reason in list_stores(cache)[1])


def _holds(store: FeatureStore, manifest: Manifest, *, strict: bool) -> bool:
    """Whether a store knows all images of a manifest; damage elsewhere is nobody's concern here."""
    if not store.recipe.preprocess.has_items:
        manifest = manifest.plain()
    readable = np.array([failure is None for failure in manifest.failure], dtype=bool)
    try:
        rows = store.rows(manifest.digest[readable], manifest.item[readable])
    except CorruptStoreError:
        if strict:
            raise
        return False
    return bool((rows >= 0).all())
