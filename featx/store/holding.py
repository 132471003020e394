"""Take a store for writing: its lock, the store under it, and the first block that is free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx._files import take_lock
from featx._objects import place
from featx.errors import RecipeMismatchError
from featx.store.layout import is_made, lock_file, read_layout
from featx.store.making import compression_of, create
from featx.store.reader import FeatureStore
from featx.store.repair import next_block, repair

if TYPE_CHECKING:
    from collections.abc import Callable

    from featx._files import Lock
    from featx._objects import Place
    from featx.recipe import Recipe
    from featx.store.layout import Compression
    from featx.store.making import AskedCompression


@dataclass(frozen=True)
class Held:
    """A store that this process alone may append to, until it releases ``lock``.

    Attributes
    ----------
    store
        As it is after the repair of what was damaged.
    first
        The first block number that was never used.
    """

    lock: Lock
    store: FeatureStore
    first: int


def hold(
    cache: Place,
    recipe: Recipe,
    map_shape: tuple[int, ...],
    dim: int,
    compression: AskedCompression,
    on_wait: Callable[[], None],
) -> Held:
    """Take the lock of a recipe's store, and make the store fit to be appended to.

    Parameters
    ----------
    on_wait
        Called once if another process holds the lock.

    Raises
    ------
    CacheWriteError
        If the cache cannot be written.
    RecipeMismatchError
        If the folder holds another recipe, map shape or dimension.
    SchemaVersionError, CorruptStoreError
        As `FeatureStore.open`.
    """
    path = place(cache) / recipe.store_name
    stored = compression_of(compression)
    lock = take_lock(lock_file(path), on_wait)
    try:
        store = _open(path, recipe, map_shape, dim, stored)
        return Held(lock, store, next_block(store.layout, store.runs))
    except BaseException:
        lock.release()
        raise


def _open(
    path: Place, recipe: Recipe, map_shape: tuple[int, ...], dim: int, compression: Compression
) -> FeatureStore:
    """Open the store under its lock: made where missing, repaired where damaged."""
    if not is_made(path):
        create(path, recipe, map_shape, dim, compression)
    layout, runs = read_layout(path)
    differences = recipe.differences(layout.recipe, "here", "in the store")
    if (map_shape, dim) != (layout.map_shape, layout.dim):
        differences.append(
            f"map shape {map_shape} and dimension {dim} here, {layout.map_shape} and "
            f"{layout.dim} in the store"
        )
    if differences:
        raise RecipeMismatchError(f"{path} holds another recipe: {'; '.join(differences)}")
    repair(layout, runs)
    return FeatureStore(layout, runs)
