"""Gather rows from many blocks into one array, whole blocks at a time, in a few threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx.errors import CorruptStoreError
from featx.store.chunks import Damage, damaged, not_finite, read_chunk
from featx.store.floats import is_finite, widened
from featx.store.index import is_dead
from featx.store.threads import MAX_REQUESTS, in_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import Array, Ints
    from featx.store.layout import Layout

STRIP_BYTES = 2**18
"""Rows are checked, widened and copied in strips that stay in a core's cache."""


def gather(layout: Layout, rows: Ints, out: Array) -> None:
    """Put the vectors of ``rows`` ((n,) int64, all DONE) into ``out`` ((n, dim)).

    Raises
    ------
    CorruptStoreError
        If a chunk is missing, empty, cut or flipped, or a value is not finite.
    """

    def one(part: tuple[int, Ints]) -> None:
        block, positions = part
        _copy_block(layout, block, rows[positions] - block * layout.block_rows, out, positions)

    parts = _by_block(rows, layout.block_rows)
    for _ in in_threads(one, parts, MAX_REQUESTS if layout.is_remote else None):
        pass


def _by_block(rows: Ints, size: int) -> Iterator[tuple[int, Ints]]:
    """Yield each block with the positions in ``rows`` that lie in it."""
    block = rows // size
    order = np.argsort(block, kind="stable")
    blocks, starts = np.unique(block[order], return_index=True)
    yield from zip(blocks.tolist(), np.split(order, starts[1:]), strict=False)


def _copy_block(layout: Layout, block: int, local: Ints, out: Array, positions: Ints) -> None:
    """Put rows of one block, numbered from its start, where they belong in ``out``."""
    values = read_chunk(layout, "features", block)
    if isinstance(values, Damage):
        raise _lost(layout, values)
    widen = values.dtype == np.float16 and out.dtype == np.float32
    step = max(1, STRIP_BYTES // values[:1].nbytes)
    for start in range(0, len(local), step):
        strip = values[local[start : start + step]]
        if not is_finite(strip):
            raise _lost(layout, not_finite(layout, block))
        out[positions[start : start + step]] = widened(strip) if widen else strip


def _lost(layout: Layout, damage: Damage) -> CorruptStoreError:
    if not is_dead(layout, damage.block):
        return damaged(layout, damage)
    return CorruptStoreError(
        f"the rows in {damage.file} were moved or repaired by another process (`featx gc`, "
        "`featx extract`) since the store was opened; refresh() it and look the rows up again"
    )
