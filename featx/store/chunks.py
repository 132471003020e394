"""Read and write one chunk file, and leave marks on the damaged ones.

A chunk file is what zarr's codecs make of the values: little-endian bytes, zstd where the array is
compressed, then the CRC32C (RFC 3720, appendix B.4) of what comes before as four little-endian
bytes. Reading through these functions never yields a value that was not written: a chunk that is
missing, empty, cut or flipped is a `Damage`, where zarr's pipelines give the fill value for a
missing chunk, and zarrs skips the checksum when part of a chunk is asked for.
"""

from __future__ import annotations

import errno
import math
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from featx._files import write_new, write_parts
from featx._objects import ObjectPath
from featx.errors import CacheWriteError, CorruptStoreError, SourceReadError
from featx.store.layout import ARRAYS
from featx.store.threads import MAX_SMALL_REQUESTS, in_threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from featx._files import Part
    from featx._objects import Place
    from featx._types import Array
    from featx.store.layout import Layout

CRC_BYTES = 4
STRIP_BYTES = 2**19
"""What is summed up and written at a time: it stays in a core's cache in between."""


_A_TASK = 32
_READERS = 8
"""More than cores: a thread waits for the disk most of the time. Each reads 32 chunks at a go."""


@dataclass(frozen=True)
class Damage:
    """A chunk file whose values are lost."""

    array: str
    block: int
    file: Place
    reason: str


def write_chunk(layout: Layout, array: str, block: int, values: Array) -> None:
    """Write the ``(block_rows, ...)`` values of a block, there whole or not at all.

    Raises
    ------
    CacheWriteError
        If the disk is full, read-only or not permitted.
    """
    write_parts(layout.chunk(array, block), _encoded(layout, array, values))


def write_new_chunk(layout: Layout, array: str, block: int, values: Array, owner: str) -> None:
    """Write a block that is not there yet; to a bucket under the condition that it is not.

    A writer that lost its lease, and does not know it yet, so overwrites nothing of its successor.

    Parameters
    ----------
    owner
        What the lock calls its holder: what it has written itself may be written again.

    Raises
    ------
    CacheWriteError
        As `write_chunk`; or if another writer has written the block.
    """
    file = layout.chunk(array, block)
    if not isinstance(file, ObjectPath):
        write_chunk(layout, array, block, values)
        return
    data = b"".join(_encoded(layout, array, values))
    if file.create(data, owner) is not None:
        return
    if file.read_tagged().writer != owner:
        raise CacheWriteError(
            f"cannot write to {file}: another featx has written it, so it holds the lock by now; "
            "run it again: what is done is kept"
        )
    file.write_bytes(data)


def _encoded(layout: Layout, array: str, values: Array) -> Iterator[Part]:
    """Yield what a chunk file is made of, and its checksum in the end."""
    spec = layout.spec(array)
    raw = np.ascontiguousarray(values, dtype=spec.dtype)
    data: Array = np.frombuffer(_zstd().encode(raw) if spec.compressed else raw, dtype=np.uint8)
    crc = 0
    for start in range(0, len(data), STRIP_BYTES):
        strip = data[start : start + STRIP_BYTES]
        crc = google_crc32c.extend(crc, strip)
        yield strip.data
    yield crc.to_bytes(CRC_BYTES, "little")


def reserve(layout: Layout, block: int, digests: Array) -> bool:
    """Write the digests of a block unless its number is taken; the block is the caller's then.

    Parameters
    ----------
    digests : (block_rows, 16) uint8

    Raises
    ------
    CacheWriteError
        If the disk is full, read-only or not permitted.
    """
    return write_new(layout.chunk("digest", block), b"".join(_encoded(layout, "digest", digests)))


def read_chunk(layout: Layout, array: str, block: int) -> Array | Damage:
    """Read the ``(block_rows, ...)`` values of a block, read-only, or say why they are lost."""
    file = layout.chunk(array, block)
    data = _bytes(file)
    if isinstance(data, str):
        return Damage(array, block, file, data)
    spec = layout.spec(array)
    raw = _decompress(data) if spec.compressed else data
    shape = (layout.block_rows, *spec.tail)
    size = math.prod(shape) * spec.dtype.itemsize
    if raw is None or len(raw) != size:
        got = "something else" if raw is None else f"{len(raw)} bytes"
        return Damage(array, block, file, f"holds {got}, expected {size} bytes")
    return np.frombuffer(raw, dtype=spec.dtype).reshape(shape)


def read_chunks(layout: Layout, array: str, blocks: Sequence[int]) -> Iterator[Array | Damage]:
    """Yield `read_chunk` of each block in order; read ahead in threads where there are many."""

    def some(part: Sequence[int]) -> list[Array | Damage]:
        return [read_chunk(layout, array, block) for block in part]

    each, n_threads = (1, MAX_SMALL_REQUESTS) if layout.is_remote else (_A_TASK, _READERS)
    parts = [blocks[start : start + each] for start in range(0, len(blocks), each)]
    if len(parts) < 2:
        yield from some(blocks)
        return
    for chunks in in_threads(some, parts, n_threads):
        yield from chunks


def _bytes(file: Place) -> bytes | Array | str:
    """Read what comes before the checksum, apart from it: no copy is taken to cut it off."""
    try:
        body, crc = _object_parts(file) if isinstance(file, ObjectPath) else _file_parts(file)
    except FileNotFoundError:
        return "missing"
    except SourceReadError:
        raise
    except OSError as error:
        if error.errno != errno.EIO:  # a permission, say: nothing that a repair would cure
            raise SourceReadError(
                f"cannot read {file}: {error.strerror}; see to it that you may read the cache"
            ) from error
        return f"cannot be read: {error}"
    if not len(body):
        return f"only {len(crc)} bytes long"
    if google_crc32c.value(body) != int.from_bytes(bytes(crc), "little"):
        return "its checksum does not fit"
    return body


def _file_parts(file: Path) -> tuple[bytes, bytes]:
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        return opened.read(max(0, size - CRC_BYTES)), opened.read()


def _object_parts(file: ObjectPath) -> tuple[Array, Array]:
    data = np.frombuffer(file.read_buffer(), dtype=np.uint8)  # what google_crc32c takes
    end = max(0, len(data) - CRC_BYTES)
    return data[:end], data[end:]


def _decompress(data: bytes | Array) -> bytes | None:
    try:
        return bytes(_zstd().decode(data))
    except (RuntimeError, ValueError):  # a valid checksum over what is no zstd frame
        return None


@cache
def _zstd() -> Any:
    from numcodecs.zstd import Zstd  # 0.2 s to import, and listing the cache needs none

    return Zstd(level=1)


def not_finite(layout: Layout, block: int) -> Damage:
    """Name a block of features with a valid checksum over values that were never accepted."""
    file = layout.chunk("features", block)
    return Damage("features", block, file, "holds a value that is not finite")


def damaged(layout: Layout, damage: Damage) -> CorruptStoreError:
    """Mark a damaged chunk for the next writer, and build the error that names it."""
    mark(layout, damage)
    return CorruptStoreError(
        f"{damage.array} block {damage.block} of {layout.recipe.label} is damaged: {damage.file} "
        f"{damage.reason}; run the same `featx extract` again: it computes the lost rows anew"
    )


def _marks(layout: Layout) -> Place:
    return layout.path.parent / "damaged" / layout.path.name


def mark(layout: Layout, damage: Damage) -> None:
    """Leave an empty file that tells the next writer to look; a read-only cache gets none."""
    folder = _marks(layout)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{damage.array}.{damage.block}").touch()
    except OSError:
        return


def marked_blocks(layout: Layout) -> set[int]:
    """Give the blocks that someone found damaged."""
    folder = _marks(layout)
    names = [path.name.partition(".") for path in folder.iterdir()] if folder.is_dir() else []
    return {int(block) for array, _, block in names if array in ARRAYS and block.isdigit()}


def clear_marks(layout: Layout) -> None:
    """Forget the marks, after a repair."""
    folder = _marks(layout)
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        folder.rmdir()
