"""Find stores, data sets and the cache itself by the names that people use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from featx import datasets
from featx.errors import AmbiguousNameError, NotFoundError
from featx.store import FeatureStore, list_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from featx._types import PathLike


def cache_dir(cache: PathLike | None = None) -> Path:
    """Give the cache folder: the argument, else ``FEATX_CACHE``, else ``cache``."""
    return Path(cache or os.environ.get("FEATX_CACHE") or "cache").expanduser()


def unique_labels(stores: Sequence[FeatureStore]) -> list[str]:
    """Give each store's label, with ``#`` and the start of its hash where labels repeat."""
    labels = [store.recipe.label for store in stores]
    return [
        label if labels.count(label) == 1 else f"{label}#{store.recipe.hash[:8]}"
        for label, store in zip(labels, stores, strict=True)
    ]


def find_store(cache: Path, name: str) -> FeatureStore:
    """Find the one store that a name fits.

    A name is a label (``vgg16:features:flatten@224``), the start of one up to a ``:`` or ``@``
    (``vgg16``, ``vgg16:features``), a label with ``#`` and the start of a hash, or the store's
    folder name.

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
    stores, broken = list_stores(cache)
    labels = unique_labels(stores)
    fits = [i for i, store in enumerate(stores) if _fits(name, store)]
    exact = [i for i in fits if name in {labels[i], stores[i].recipe.label}]
    found = exact if len(exact) == 1 else fits
    if len(found) == 1:
        return stores[found[0]]
    if found:
        candidates = ", ".join(labels[i] for i in found)
        raise AmbiguousNameError(f"{name!r} fits several stores; name one of: {candidates}")
    there = f"it holds {', '.join(labels)}" if labels else "it holds no store"
    unreadable = "".join(f"; {path.name} cannot be read: {reason}" for path, reason in broken)
    raise NotFoundError(
        f"no store {name!r} in {cache.absolute()}; {there}{unreadable}; "
        "`featx ls` lists them, --cache DIR looks elsewhere"
    )


def _fits(name: str, store: FeatureStore) -> bool:
    label, _, digest = name.partition("#")
    full = store.recipe.label
    starts = full == label or any(full.startswith(label + mark) for mark in ":@(")
    return starts and store.recipe.hash.startswith(digest)


def choose(
    cache: Path, data: str | None, features: str | None, say: Callable[[str], None]
) -> tuple[str, FeatureStore]:
    """Choose a data set and a store; what is not named is the last extraction's, said aloud.

    Raises
    ------
    NotFoundError, AmbiguousNameError
        As `find_store` and `featx.datasets.recall` do, and if the last extraction filled several
        stores and none is named.
    """
    if data is None or features is None:
        last = datasets.recall(cache)
        if data is None:
            data = last.data
            say(f"data set {data} (the last extraction; --data NAME for another)")
        if features is None:
            return data, _last_store(cache, last.features, say)
    datasets.head(cache, data)
    return data, find_store(cache, features)


def _last_store(cache: Path, names: Sequence[str], say: Callable[[str], None]) -> FeatureStore:
    missing = [name for name in names if not (cache / name).is_dir()]
    if missing:
        raise NotFoundError(
            f"the last extraction filled {cache.absolute() / missing[0]}, which is gone; "
            "`featx ls` lists what there is; name one with --features"
        )
    stores = [FeatureStore.open(cache / name) for name in names]
    if len(stores) > 1:
        labels = ", ".join(unique_labels(stores))
        raise AmbiguousNameError(
            f"the last extraction filled {len(stores)} stores; name one with --features: {labels}"
        )
    say(f"features {stores[0].recipe.label} (the last extraction; --features ID for others)")
    return stores[0]
