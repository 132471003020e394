"""Make the folder of an empty store, with zarr."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from featx._files import writing
from featx._objects import ObjectPath
from featx.errors import unknown_name
from featx.store.layout import SCHEMA_VERSION, Compression, Spec, block_rows, specs

if TYPE_CHECKING:
    from pathlib import Path

    from zarr.abc.store import Store

    from featx._objects import Place
    from featx._types import JsonObject
    from featx.recipe import Recipe

AskedCompression: TypeAlias = Literal["auto", "zstd", "none"]

_COMPRESSIONS: dict[str, Compression] = {"auto": "zstd", "zstd": "zstd", "none": "none"}
"""What each asks for; docs/decisions/store-chunks.md says why auto is zstd."""


def compression_of(asked: str) -> Compression:
    """Give the compression that is meant.

    Raises
    ------
    UnknownNameError
        If ``asked`` means none.
    """
    if asked not in _COMPRESSIONS:
        raise unknown_name("compression", asked, _COMPRESSIONS)
    return _COMPRESSIONS[asked]


def create(
    path: Place,
    recipe: Recipe,
    map_shape: tuple[int, ...],
    dim: int,
    compression: Compression = "zstd",
) -> None:
    """Make an empty store at ``path``, there whole or not at all.

    Raises
    ------
    CacheWriteError
        If the folder cannot be written.
    """
    header = {
        "schema_version": SCHEMA_VERSION,
        "recipe": recipe.to_json(),
        "recipe_hash": recipe.hash,
        "map_shape": list(map_shape),
        "dim": dim,
        "uid": uuid.uuid4().hex,
        "block_rows": block_rows(dim, recipe.dtype),
        "runs": [],
    }
    if compression != "zstd":  # what a store without the field has
        header["compression"] = compression
    described = specs(dim, recipe.dtype, compression)
    if isinstance(path, ObjectPath):
        _create_objects(path, header, described)
        return
    temporary = path.with_name(f".{path.name}.new")
    with writing(path):
        shutil.rmtree(temporary, ignore_errors=True)  # left by a kill
        _create_zarr(temporary, header, described)
        temporary.rename(path)


def _create_objects(path: ObjectPath, header: JsonObject, specs: dict[str, Spec]) -> None:
    """Put what zarr makes in memory into a bucket, the group's metadata last."""
    from zarr.storage import MemoryStore

    made: dict[str, Any] = {}
    _create_zarr(MemoryStore(made), header, specs)
    path.delete_tree()  # left by a kill: without the group's metadata it is nothing
    for name in sorted(made, key=lambda name: name == "zarr.json"):
        (path / name).write_bytes(made[name].to_bytes())


def _create_zarr(path: Path | Store, header: JsonObject, specs: dict[str, Spec]) -> None:
    import zarr
    from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

    group = zarr.create_group(path, attributes={"featx": header})
    for name, spec in specs.items():
        group.create_array(
            name,
            shape=(0, *spec.tail),
            chunks=(header["block_rows"], *spec.tail),
            dtype=spec.dtype.newbyteorder("="),
            fill_value=spec.fill,
            dimension_names=spec.dims,
            serializer=BytesCodec(endian="little" if spec.dtype.itemsize > 1 else None),
            compressors=[*([ZstdCodec(level=1)] if spec.compressed else []), Crc32cCodec()],
        )
