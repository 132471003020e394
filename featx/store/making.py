"""Make the folder of an empty store, with zarr."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING, Literal, TypeAlias

from featx._files import writing
from featx.errors import unknown_name
from featx.store.layout import SCHEMA_VERSION, Compression, Spec, block_rows, specs

if TYPE_CHECKING:
    from pathlib import Path

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
    path: Path,
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
    temporary = path.with_name(f".{path.name}.new")
    with writing(path):
        shutil.rmtree(temporary, ignore_errors=True)  # left by a kill
        _create_zarr(temporary, header, specs(dim, recipe.dtype, compression))
        temporary.rename(path)


def _create_zarr(path: Path, header: JsonObject, specs: dict[str, Spec]) -> None:
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
