"""What a cache needs: list it, describe it, check it, tidy it, take from it, remove from it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from featx import catalog, datasets
from featx._files import remove_tree, side_dir, take_lock
from featx._types import Silent
from featx._words import count
from featx.costs import PassCost
from featx.drift import drift
from featx.errors import (
    AmbiguousNameError,
    CorruptStoreError,
    NotFoundError,
    UnknownNameError,
    UsageError,
)
from featx.export import FORMATS
from featx.export import export as write_export
from featx.features import load
from featx.gram import prune
from featx.modelinfo import INFO_FILE
from featx.provenance import blocks_of, describe_run
from featx.runs import find_run
from featx.store import FeatureStore, compact, list_stores, lock_file, size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from featx._objects import Place
    from featx._types import JsonObject, PathLike, Progress
    from featx.features import Features


def ls(cache: PathLike | None = None) -> JsonObject:
    """List a cache: ``stores``, ``data`` sets, and what is ``unreadable``."""
    folder = catalog.cache_dir(cache)
    stores, broken = list_stores(folder)
    rows = []
    for label, store in zip(catalog.unique_labels(stores), stores, strict=True):
        try:
            counts = store.counts()
        except CorruptStoreError as error:
            broken.append((store.path, str(error)))
        else:
            rows.append(
                {"features": label, "dim": store.dim, **counts} | {"size_bytes": store.size_bytes()}
            )
    return {
        "cache": str(folder.absolute()),
        "stores": rows,
        "data": [
            {"data": h.name, "rows": h.rows, "source": h.source}
            for h in datasets.list_heads(folder)
        ],
        "unreadable": [*_unreadable(broken), *_broken_data(folder)],
    }


def _unreadable(stores: Sequence[tuple[Place, str]]) -> list[JsonObject]:
    return [{"store": path.name, "reason": reason} for path, reason in stores]


def _broken_data(cache: Place, *, deep: bool = False) -> list[JsonObject]:
    """Name the data sets that cannot be read; ``deep`` reads their manifests for it."""
    broken = datasets.list_broken(cache)
    for found in datasets.list_heads(cache) if deep else ():
        try:
            datasets.load(cache, found.name)
        except CorruptStoreError as error:
            broken[found.name] = str(error)
    return [{"store": f"data set {name}", "reason": reason} for name, reason in broken.items()]


def info(name: str | None = None, cache: PathLike | None = None) -> JsonObject:
    """Describe one store or one data set; None for the last extraction's store.

    Raises
    ------
    NotFoundError, AmbiguousNameError
        If the name fits nothing, or several things.
    """
    folder = catalog.cache_dir(cache)
    if name is None:
        name = datasets.recall(folder).features[0]
    if name in {h.name for h in datasets.list_heads(folder)}:
        return _data_info(folder, name)
    store = catalog.find_store(folder, name)
    return {
        "features": store.recipe.label,
        "path": str(store.path.absolute()),
        "recipe_hash": store.recipe.hash,
        "recipe": store.recipe.to_json(),
        "preprocessing": store.recipe.preprocess.describe(),
        "weights": (store.runs[-1]["provenance"].get("weights") if store.runs else None) or {},
        "map_shape": list(store.map_shape),
        "dim": store.dim,
        "block_rows": store.block_rows,
        **store.counts(),
        "size_bytes": store.size_bytes(),
        "runs": _runs(store),
        "provenance": [run["provenance"] for run in store.runs],
    }


def _runs(store: FeatureStore) -> list[JsonObject]:
    """Say of each run which blocks it wrote, how many rows are in use, and how it computed them.

    ``seconds_a_row`` is None where its pass was killed, or is older than featx's counting.
    """
    live = store.index.live.reshape(-1, store.block_rows).sum(axis=1)
    found = []
    for run in store.runs:
        blocks = blocks_of(run, len(live))
        rows = sum(int(live[start:stop].sum()) for start, stop in blocks)
        described = describe_run(run, store.recipe.hash)
        cost = PassCost.of(run)
        told = {"seconds_a_row": None if cost is None else cost.row_s}
        found.append({"blocks": blocks, "rows": rows} | told | described)
    return found


def _data_info(cache: Place, name: str) -> JsonObject:
    manifest = datasets.load(cache, name)
    columns = {
        str(c): {"distinct": int(v.astype(str).nunique()), "empty": int(v.isna().sum())}
        for c, v in manifest.frame.items()
    }
    return {
        "data": name,
        "source": manifest.source,
        "rows": len(manifest),
        "missing_files": sum(f is not None for f in manifest.failure),
        "manifest": datasets.head(cache, name).manifest,
        "columns": columns,
    }


def verify(
    name: str | None = None,
    cache: PathLike | None = None,
    *,
    sample: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> JsonObject:
    """Read every stored byte of one store, or of all, and name each chunk that is damaged.

    What is damaged is marked; the next extraction computes it again. With ``sample``, so many
    seeded rows of each undamaged store are computed again and compared.

    Raises
    ------
    NotFoundError, AmbiguousNameError
        If the name fits nothing, or several things.
    FeatxError
        As `featx.drift.drift`, with ``sample``.
    """
    folder = catalog.cache_dir(cache)
    report = progress or Silent()
    if name is None:
        stores, broken = list_stores(folder)
    else:
        stores, broken = [catalog.find_store(folder, name)], []
    labels = catalog.unique_labels(stores)
    found = [
        (store, label, store.check(report)) for store, label in zip(stores, labels, strict=True)
    ]
    return {
        "cache": str(folder.absolute()),
        "stores": len(stores),
        "blocks": sum(len(store.layout.chunk_sizes("state")) for store in stores),
        "damages": [
            {
                "features": label,
                "array": damage.array,
                "block": damage.block,
                "file": str(damage.file),
                "reason": damage.reason,
            }
            for _, label, damages in found
            for damage in damages
        ],
        "drift": [
            {"features": label, **drift(store, folder, sample, seed, report)}
            for store, label, damages in found
            if sample and not damages and store.counts()["done"]
        ],
        "unreadable": [
            *_unreadable(broken),
            *(_broken_data(folder, deep=True) if name is None else ()),
        ],
    }


def remove(name: str, cache: PathLike | None = None) -> JsonObject:
    """Remove one store or one data set (its manifests; vectors stay in their stores).

    Raises
    ------
    NotFoundError, AmbiguousNameError
        If the name fits nothing, or several things.
    CacheWriteError
        If it cannot be removed, or is being written.
    """
    folder = catalog.cache_dir(cache)
    path, kind = locate(folder, name)
    lock = take_lock(lock_file(path) if kind == "store" else folder / "locks" / f"{name}.data.lock")
    try:
        size = size_bytes(path)
        remove_tree(path)
        shutil.rmtree(side_dir(folder) / "gram" / path.name, ignore_errors=True)
        if kind != "store":
            datasets.forget(folder, path.name)
    finally:
        lock.release()
    return {"removed": str(path.absolute()), "kind": kind, "size_bytes": size}


def locate(cache: Place, name: str) -> tuple[Place, str]:
    """Give the folder of a store or data set, and which of the two it is.

    A store named by its folder need not be readable.

    Raises
    ------
    NotFoundError, AmbiguousNameError
        If the name fits nothing, or both a store and a data set.
    """
    if name.endswith(".zarr") and Path(name).name == name and (cache / name).is_dir():
        return cache / name, "store"
    data = cache / "datasets" / name
    heads = [h.name for h in datasets.list_heads(cache)]
    try:
        store = catalog.find_store(cache, name).path
    except NotFoundError as error:
        if name in heads:
            return data, "data"
        raise NotFoundError(f"{error}; data sets: {', '.join(heads) or 'none'}") from None
    if name in heads:
        raise AmbiguousNameError(
            f"{name!r} is a data set and a store ({store.name}); name the store by its folder, or "
            f"remove the data set by deleting {data.absolute()}"
        )
    return store, "store"


def collect(cache: PathLike | None = None, progress: Progress | None = None) -> JsonObject:
    """Tidy every store: join small blocks, drop the bytes of superseded rows.

    ``products_bytes`` counts inner products of rows that are gone or moved, which are dropped too.

    Raises
    ------
    CorruptStoreError
        If a block that would be moved is damaged.
    CacheWriteError
        If the cache cannot be written.
    """
    folder = catalog.cache_dir(cache)
    stores, broken = list_stores(folder)
    before = sum(store.size_bytes() for store in stores)
    for store in stores:
        compact(folder, store.path, progress or Silent())
    tidy = [FeatureStore.open(store.path) for store in stores]
    return {
        "cache": str(folder.absolute()),
        "stores": len(stores),
        "before_bytes": before,
        "after_bytes": sum(store.size_bytes() for store in tidy),
        "products_bytes": prune(folder, tidy),
        "unreadable": _unreadable(broken),
    }


def export(
    name: str | None = None,
    to: str | None = None,
    output: PathLike | None = None,
    features: str | None = None,
    cache: PathLike | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Write a data set's vectors, paths and columns into one file for people without featx.

    Parameters
    ----------
    name
        Of the data set; None for the last extraction's.
    to
        A format of `featx.export.FORMATS`; None for what ``output`` ends in, else npz.
    output
        The file; None for the data set's name with the format as its ending.
    features, cache, say
        As `featx.load` takes them.

    Raises
    ------
    UsageError
        If ``output`` ends in another format's name, or ``name`` is a fitted head.
    FeatxError
        As `featx.load` and `featx.export.export`.
    """
    ending = None if output is None else Path(output).suffix.lower().removeprefix(".")
    if to is not None and ending in FORMATS and ending != to:
        raise UsageError(f"{output} ends in {ending}, and the format is {to}; change one of them")
    chosen = to or (ending if ending in FORMATS else "npz")
    found = _data(name, features, cache, say)
    if say is not None and len(found.failed):
        say(f"left out: {count(len(found.failed), 'image')} without a vector")
    path = Path(output) if output is not None else Path(f"{found.name}.{chosen}")
    return write_export(found, chosen, path)


def _data(
    name: str | None,
    features: str | None,
    cache: PathLike | None,
    say: Callable[[str], None] | None,
) -> Features:
    try:
        return load(name, features, cache=cache, say=say)
    except NotFoundError as error:
        if name is None or not _is_run(name):
            raise
        raise UsageError(
            f"{name} is a fitted head, and this writes the features of a data set; write the head "
            f"with `featx export {name} --to onnx`, or name a data set: `featx ls` lists them"
        ) from error


def _is_run(name: str) -> bool:
    try:
        return (find_run(name) / INFO_FILE).is_file()
    except (NotFoundError, UnknownNameError):
        return False
