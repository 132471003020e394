"""Gram matrices of a store's rows, kept in the cache.

``cache/gram/<store>/<fingerprint>.npy`` holds the products of distinct rows, rising, and a JSON
file beside it, written last, names them. The fingerprint covers the recipe, the rows and whose
vectors they are, never labels. Rows that were added are multiplied with what is there and with
themselves; a row that was repaired has a new number, so that its products are new too. What takes
a fraction of a second is not kept.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import google_crc32c
import numpy as np

from featx._files import replacing, side_dir, write_json
from featx._types import Ints, Progress, Silent
from featx.errors import CacheWriteError
from featx.gram.build import Gram, build_gram
from featx.gram.vectors import StoreVectors
from featx.store import FeatureStore
from featx.store.layout import DONE

if TYPE_CHECKING:
    import torch

    from featx._objects import Place

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class _Kept:
    """A matrix in the cache: its file, the rows that it holds, how it was made."""

    file: Path
    rows: Ints
    exact: bool
    crc: int


def stored_gram(
    cache: Place,
    vectors: StoreVectors,
    progress: Progress | None = None,
    device: torch.device | None = None,
) -> Gram:
    """Give the Gram matrix of the rows of ``vectors``, from the cache as far as it goes.

    Parameters
    ----------
    device
        As `build_gram` takes it.

    Raises
    ------
    CorruptStoreError
        If a row that has to be read is damaged.
    """
    report = progress or Silent()
    rows, place = np.unique(vectors.rows, return_inverse=True)
    return _distinct(cache, vectors.store, rows, report, device).take(place)


def _distinct(
    cache: Place,
    store: FeatureStore,
    rows: Ints,
    report: Progress,
    device: torch.device | None,
) -> Gram:
    """Give the matrix of distinct ``rows``, rising."""
    folder = side_dir(cache) / "gram" / store.path.name
    best: _Kept | None = None
    for kept in _kept(folder, store):
        if np.isin(rows, kept.rows).all():
            found = _read(kept, report)
            if found is not None:
                return found.take(np.searchsorted(kept.rows, rows))
        elif np.isin(kept.rows, rows).all() and len(kept.rows) > (len(best.rows) if best else 0):
            best = kept
    known = None if best is None else _read(best, report)
    if best is None or known is None:
        made = build_gram(StoreVectors(store, rows), device=device, progress=report)
    else:
        order = np.concatenate([best.rows, np.setdiff1d(rows, best.rows)])
        new = StoreVectors(store, order)
        made = build_gram(new, known=known, device=device, progress=report)
        made = made.take(np.argsort(order, kind="stable"))
    if not made.exact:
        _keep(folder, store, rows, made, report)
        if best is not None:
            _drop(best.file)
    return made


def _kept(folder: Path, store: FeatureStore) -> Iterator[_Kept]:
    """Yield the matrices whose rows still hold the vectors that they were made of."""
    for path in sorted(folder.glob("*.json")):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            if said["schema"] != SCHEMA_VERSION:
                continue
            rows = np.array(said["rows"], dtype=np.int64)
            kept = _Kept(path.with_suffix(".npy"), rows, bool(said["exact"]), int(said["crc32c"]))
        except (OSError, ValueError, LookupError, TypeError):
            continue  # half written or damaged: made anew
        if np.all(store.states(rows) == DONE) and store.fingerprint(rows) == path.stem:
            yield kept


def _read(kept: _Kept, report: Progress) -> Gram | None:
    """Read a matrix; None where it is damaged, which is said."""
    n = len(kept.rows)
    try:
        values = np.load(kept.file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        values = np.zeros(0)
    if values.shape != (n, n) or google_crc32c.value(values.tobytes()) != kept.crc:
        report.say(f"{kept.file} is damaged: the inner products are computed again")
        return None
    return Gram(values, kept.exact)


def _keep(folder: Path, store: FeatureStore, rows: Ints, made: Gram, report: Progress) -> None:
    path = folder / f"{store.fingerprint(rows)}.npy"
    values = np.ascontiguousarray(made.values)
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, values, allow_pickle=False)
        said = {
            "schema": SCHEMA_VERSION,
            "rows": rows.tolist(),
            "exact": made.exact,
            "crc32c": google_crc32c.value(values.tobytes()),
        }
        write_json(path.with_suffix(".json"), said)
    except CacheWriteError as error:
        report.say(f"the inner products are not kept: {error}")


def _drop(file: Path) -> None:
    """Remove a matrix that another holds whole; another process may have been faster."""
    for path in (file.with_suffix(".json"), file):
        path.unlink(missing_ok=True)


def prune(cache: Place, stores: list[FeatureStore]) -> int:
    """Remove matrices of stores that are gone and of rows that moved; give the bytes freed."""
    by_name, freed = {store.path.name: store for store in stores}, 0
    for folder in (side_dir(cache) / "gram").glob("*"):
        store = by_name.get(folder.name)
        alive = set() if store is None else {kept.file for kept in _kept(folder, store)}
        for file in folder.glob("*.npy"):
            if file not in alive:
                freed += file.stat().st_size
                _drop(file)
        if store is None:
            shutil.rmtree(folder, ignore_errors=True)
    return freed
