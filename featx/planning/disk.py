"""What vectors come to on the disk, and how fast they get there: by a block that is written."""

from __future__ import annotations

import math
import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from featx._files import writing
from featx._objects import ObjectPath
from featx.planning.memory import writers
from featx.store import block_rows
from featx.store.chunks import CRC_BYTES, write_chunk
from featx.store.layout import Layout

if TYPE_CHECKING:
    from featx._objects import Place
    from featx._types import Array
    from featx.recipe import Recipe
    from featx.store.layout import Compression

MAX_BLOCK_S = 20.0
"""After so long a block is written though it is not full (`featx.store.StoreWriter`)."""

_METADATA_BYTES = 4_500
"""Of a store's five ``zarr.json``."""


@dataclass(frozen=True)
class Written:
    """How vectors of one recipe are written.

    Attributes
    ----------
    share
        Of their size that is left by the compression.
    row_s
        Seconds a vector, with all threads that write at work: the slower of compressing and
        bringing to the disk.
    busy_s
        Seconds of work a vector in one of these threads.
    """

    share: float
    row_s: float
    busy_s: float


def existing(folder: Path) -> Path:
    """Give the folder, or the nearest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


def free_bytes(folder: Place) -> int | None:
    """Give the free space where a folder is or would be; None in a bucket."""
    if isinstance(folder, ObjectPath):
        return None
    return shutil.disk_usage(existing(folder)).free


def try_writing(cache: Place, recipe: Recipe, compression: Compression, rows: Array) -> Written:
    """Write one block as the store would, beside the stores, and remove it again.

    How far vectors are compressed is measured on ``rows`` (m, d), in the stored dtype; how fast, on
    as many of their copies as fill a block, brought to the disk itself.

    Raises
    ------
    CacheWriteError
        If nothing can be written there.
    """
    dim = rows.shape[1]
    size = block_rows(dim, recipe.dtype)
    if isinstance(cache, ObjectPath):
        return _try_sending(cache, Layout(cache, recipe, (), dim, "", size, compression), rows)
    parent = existing(cache)
    if (free_bytes(parent) or 0) < rows.nbytes + size * dim * rows.itemsize:
        parent = Path(gettempdir())  # there, what is planned does not fit anyway
    with writing(parent), TemporaryDirectory(prefix=".featx-plan-", dir=parent) as folder:
        layout = Layout(Path(folder), recipe, (), dim, "", size, compression)
        share = _share(layout, rows)
        block = np.resize(rows, (size, dim))
        start = time.perf_counter()
        write_chunk(layout, "features", 1, block)
        busy_s = time.perf_counter() - start
        with Path(folder, "features", "c", "1", "0").open("r+b") as file:
            os.fsync(file.fileno())
        disk_s = time.perf_counter() - start - busy_s
    return Written(share, max(busy_s / writers(), disk_s) / size, busy_s / size)


def _try_sending(cache: ObjectPath, layout: Layout, rows: Array) -> Written:
    """The same in a bucket, where what takes time is the way."""
    folder = cache / f".featx-plan-{uuid4().hex}"
    layout, size = replace(layout, path=folder), layout.block_rows
    try:
        share = _share(layout, rows)
        start = time.perf_counter()
        write_chunk(layout, "features", 1, np.resize(rows, (size, layout.dim)))
        sent_s = time.perf_counter() - start
    finally:
        folder.delete_tree()
    return Written(share, sent_s / size, sent_s / size)


def _share(layout: Layout, rows: Array) -> float:
    """Write rows and give what they take, as a share of what they are."""
    write_chunk(layout, "features", 0, rows)
    return (layout.chunk_sizes("features")[0] - CRC_BYTES) / rows.nbytes


def blocks(rows: int, size: int, rows_a_s: float | None) -> int:
    """Give the blocks that ``rows`` vectors take, where some are written before they are full."""
    filled = size if rows_a_s is None else max(1, min(size, int(rows_a_s * MAX_BLOCK_S)))
    return math.ceil(rows / filled)


def stored_bytes(
    rows: int, recipe: Recipe, dim: int, n_blocks: int, compression: Compression, share: float
) -> int:
    """Give what ``rows`` vectors add to a store's folder, metadata of a new one included.

    What is left of a block that is not full is compressed to nearly nothing, or takes its place.
    """
    if not rows:
        return 0
    size = block_rows(dim, recipe.dtype)
    held = n_blocks * size if compression == "none" else rows * share
    keys = n_blocks * (size * (16 + 2 + 1) + 4 * CRC_BYTES)
    return round(held * dim * np.dtype(recipe.dtype).itemsize) + keys + _METADATA_BYTES
