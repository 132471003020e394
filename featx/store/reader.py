"""The read side of a store; needs no lock, and never sees a row that is not whole."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._objects import ObjectPath, place
from featx._types import Array, Bytes16s, Ints, Progress, Silent
from featx.errors import CorruptStoreError, FeatxError, SourceReadError, UsageError
from featx.store.check import check_store
from featx.store.chunks import Damage, damaged
from featx.store.gather import gather
from featx.store.index import Index, load_index
from featx.store.layout import (
    DONE,
    EMPTY,
    SUPERSEDED,
    UNDECODABLE,
    Layout,
    failure_key,
    is_made,
    read_layout,
    size_bytes,
)
from featx.store.repair import needs_repair
from featx.store.threads import MAX_SMALL_REQUESTS, in_threads

if TYPE_CHECKING:
    from featx._objects import Place
    from featx._types import JsonObject


class FeatureStore:
    """The vectors of one recipe, as they were when the index was last read.

    Rows are numbered once and for all: a row number never comes to mean another vector. Pickles
    as its path; the index is read on first use.

    Attributes
    ----------
    path
        The store's folder.
    recipe
        What the vectors are.
    map_shape
        The shape of one image's feature map before the pooling.
    dim
        Values in a vector.
    uid
        32 hex digits, made with the store.
    block_rows
        Rows in a block.
    runs
        One a writing process, with its provenance; see `featx.store.layout.read_layout`.
    """

    def __init__(self, layout: Layout, runs: list[JsonObject]) -> None:
        self.layout = layout
        self.path = layout.path
        self.recipe = layout.recipe
        self.map_shape = layout.map_shape
        self.dim = layout.dim
        self.uid = layout.uid
        self.block_rows = layout.block_rows
        self.runs = runs
        self._index: Index | None = None

    @classmethod
    def open(cls, path: Place) -> FeatureStore:
        """Open the store in the folder ``path``.

        Raises
        ------
        NotFoundError
            If there is no such folder.
        SchemaVersionError
            If a newer featx wrote it.
        CorruptStoreError
            If its metadata is damaged. Damaged chunks show when they are read.
        """
        return cls(*read_layout(place(path)))

    def __reduce__(self) -> tuple[Any, ...]:
        return FeatureStore.open, (self.path,)

    def __repr__(self) -> str:
        return f"<FeatureStore {self.recipe.label}, d={self.dim}, {self.path}>"

    @property
    def index(self) -> Index:
        """The rows as last read; `refresh` reads them again.

        Raises
        ------
        CorruptStoreError
            If a chunk of digest, item or state is damaged: which rows there are is unknown then.
        """
        index = self._index  # read once: another thread may `refresh` meanwhile
        if index is None:
            index, damages = load_index(self.layout, self.runs)
            errors = [damaged(self.layout, damage) for damage in damages]
            if errors:
                raise errors[0]
            self._index = index
        return index

    def refresh(self) -> None:
        """See what was written since; the index is read on its next use.

        Raises
        ------
        CorruptStoreError
            If the store was deleted and made anew.
        """
        layout, runs = read_layout(self.path)
        if layout != self.layout:
            raise CorruptStoreError(f"{self.path} was deleted and made anew; open it again")
        self.runs, self._index = runs, None

    def rows(self, digest: Bytes16s, item: Array) -> Ints:
        """Look keys up.

        Parameters
        ----------
        digest : (n, 16) uint8
        item : (n,) uint16

        Returns
        -------
        rows : (n,) int64
            The newest row of each key, done or undecodable; -1 where there is none.

        Raises
        ------
        CorruptStoreError
            If a chunk of digest, item or state is damaged.
        """
        return self.index.find(digest, item)

    def states(self, rows: Ints) -> Array:
        """Give the (n,) uint8 state of each row, EMPTY for -1."""
        rows, state = np.asarray(rows), self.index.state
        known = (rows >= 0) & (rows < len(state))
        states = np.full(len(rows), EMPTY, dtype=np.uint8)
        states[known] = state[rows[known]]
        return states

    def reasons(self, rows: Ints) -> list[str | None]:
        """Say why each UNDECODABLE row has no vector; None for the others."""
        index = self.index
        failed = {key: why for run in self.runs for key, why in run["failed"].items()}
        reasons: list[str | None] = [None] * len(rows)
        for i in np.flatnonzero(self.states(rows) == UNDECODABLE).tolist():
            row = rows[i]
            key = failure_key(index.digest[row].tobytes(), int(index.item[row]))
            reasons[i] = failed.get(key)
        return reasons

    def read(
        self,
        rows: Ints,
        dtype: type[np.float16] | type[np.float32] | None = None,
        out: Array | None = None,
    ) -> Array:
        """Gather vectors, block by block into one array, each block decoded once.

        Parameters
        ----------
        rows : (n,) int64
            From `rows`, in any order, repeats allowed.
        dtype
            Of the result; None for the stored one.
        out : (n, dim)
            Where to put them, in its own dtype; a new array where None.

        Returns
        -------
        X : (n, dim)

        Raises
        ------
        CorruptStoreError
            If a row is not DONE, a chunk is missing, empty, cut or flipped, or a value is not
            finite. The message names the array, the block and the file.
        """
        rows = np.asarray(rows, dtype=np.int64)
        shape = (len(rows), self.dim)
        if out is None:
            out = np.empty(shape, dtype or self.recipe.dtype)
        elif out.shape != shape:
            raise UsageError(f"out has shape {out.shape}, expected {shape}")
        self._check_done(rows)
        gather(self.layout, rows, out)
        return out

    def _check_done(self, rows: Ints) -> None:
        bad = np.flatnonzero(self.states(rows) != DONE)
        if len(bad):
            raise CorruptStoreError(
                f"{len(bad)} of {len(rows)} rows have no vector in {self.recipe.label} "
                f"({self.path}), the first is number {bad[0]}; run `featx extract` on the data set"
            )

    def fingerprint(self, rows: Ints) -> str:
        """Give 32 hex digits that change with the recipe, the store, the rows or their order.

        A repaired vector has a new row, so what was derived from the old one is not found again.
        The keys are part of it: a store restored from a backup may give a row to another image.
        """
        rows = np.asarray(rows, dtype=np.int64)
        known = rows[self.states(rows) != EMPTY]
        h = blake2b(f"{self.recipe.hash} {self.uid}".encode(), digest_size=16)
        h.update(rows.astype("<i8").tobytes())
        h.update(self.index.digest[known].tobytes())
        h.update(self.index.item[known].astype("<u2").tobytes())
        return h.hexdigest()

    def check(self, progress: Progress | None = None) -> list[Damage]:
        """Read everything again; name and mark every damaged chunk."""
        _, runs = read_layout(self.path)
        return check_store(self.layout, runs, progress or Silent())

    def needs_repair(self) -> bool:
        """Say whether a chunk is missing, unreadable or marked as damaged.

        Features are not read for this: what `read` or `check` found wrong is marked.
        """
        index, damages = load_index(self.layout, self.runs)
        if self._index is None and not damages:
            self._index = index  # the next use need not read it once more
        return needs_repair(self.layout, index, damages)

    def size_bytes(self) -> int:
        """Give the size of all its files."""
        return size_bytes(self.path)

    def counts(self) -> dict[str, int]:
        """Count ``done``, ``undecodable`` and ``superseded`` rows, and ``blocks``."""
        tally = np.bincount(self.index.state, minlength=SUPERSEDED + 1)
        return {
            "done": int(tally[DONE]),
            "undecodable": int(tally[UNDECODABLE]),
            "superseded": int(tally[SUPERSEDED]),
            "blocks": len(self.index.state) // self.block_rows,
        }


def list_stores(cache: Place) -> tuple[list[FeatureStore], list[tuple[Place, str]]]:
    """Give the stores of a cache by name, and those that cannot be opened with the reason."""
    stores: list[FeatureStore] = []
    broken: list[tuple[Place, str]] = []
    # a name that begins with a dot is being made, or left by a kill
    paths = sorted(path for path in cache.glob("*.zarr") if not path.name.startswith("."))
    remote = isinstance(cache, ObjectPath)
    opened = in_threads(_open, paths, MAX_SMALL_REQUESTS) if remote else map(_open, paths)
    for path, store in zip(paths, opened, strict=True):
        if isinstance(store, FeatureStore):
            stores.append(store)
        elif store is not None:
            broken.append((path, store))
    return stores, broken


def _open(path: Place) -> FeatureStore | str | None:
    """Open a store, or say why it cannot be; None where it is only being made, or was removed."""
    try:
        return FeatureStore.open(path)
    except SourceReadError:
        raise
    except FeatxError as error:
        if isinstance(path, ObjectPath) and not is_made(path) and not _has_chunks(path):
            return None
        return str(error)


def _has_chunks(path: ObjectPath) -> bool:
    return any(not name.endswith("zarr.json") for name in path.sizes())
