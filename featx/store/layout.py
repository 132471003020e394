"""The folder of a feature store: its arrays, its chunk files, its attributes.

A store is a zarr v3 group with four arrays that are cut along their rows into *blocks*; a block
has one chunk file in each array::

    features (N, d)  float16 or float32, zstd level 1 or none, CRC32C, fill NaN
    digest   (N, 16) uint8,  CRC32C      BLAKE2b-128 of the image's bytes
    item     (N,)    uint16, CRC32C      page, channel or view of that image
    state    (N,)    uint8,  CRC32C      EMPTY, DONE, UNDECODABLE or SUPERSEDED; written last

zarr makes the folder and any zarr library reads it. featx reads and writes the chunk files itself:
zarr gives the fill value for a missing chunk without a word (docs/decisions/store-chunks.md).
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from featx._files import json_text, write_json
from featx._objects import ObjectPath
from featx.errors import (
    CacheWriteError,
    CorruptStoreError,
    NotFoundError,
    RecipeMismatchError,
    SchemaVersionError,
)
from featx.recipe import Recipe, StoredDtype
from featx.store.threads import in_threads

if TYPE_CHECKING:
    from featx._objects import Place
    from featx._types import JsonObject

Compression: TypeAlias = Literal["zstd", "none"]
"""Of the features; whatever it is, a vector comes back bit by bit."""

SCHEMA_VERSION = 1
EMPTY, DONE, UNDECODABLE, SUPERSEDED = 0, 1, 2, 3
ARRAYS = ("features", "digest", "item", "state")
MAX_BLOCK_BYTES = 32 * 2**20
MAX_BLOCK_ROWS = 1024


def block_rows(dim: int, dtype: StoredDtype) -> int:
    """Give the rows of a block: at most 32 MiB of features, at most 1024, at least 1."""
    return max(1, min(MAX_BLOCK_ROWS, MAX_BLOCK_BYTES // (dim * np.dtype(dtype).itemsize)))


@dataclass(frozen=True)
class Spec:
    """One array: the dtype in its files, the shape after the rows, whether zstd is used.

    ``dims`` names the dimensions, for readers that label them, as xarray does.
    """

    dtype: np.dtype[Any]
    tail: tuple[int, ...] = ()
    compressed: bool = False
    fill: float = 0
    dims: tuple[str, ...] = ("row",)

    @property
    def codecs(self) -> list[str]:
        """The names of its codecs in zarr's metadata, in their order."""
        return ["bytes", *(["zstd"] if self.compressed else []), "crc32c"]


@dataclass(frozen=True)
class Layout:
    """What never changes in a store, and where its files are.

    Attributes
    ----------
    path
        The store's folder.
    recipe
        What its vectors are.
    map_shape
        The shape of one image's feature map before the pooling.
    dim
        Values in a vector.
    uid
        32 random hex digits, made with the store: a store made anew is another one.
    block_rows
        Rows in a block.
    compression
        Of its features.
    """

    path: Place
    recipe: Recipe
    map_shape: tuple[int, ...]
    dim: int
    uid: str
    block_rows: int
    compression: Compression = "zstd"

    @property
    def is_remote(self) -> bool:
        """Whether it lies in a bucket, where each request takes its time."""
        return isinstance(self.path, ObjectPath)

    def spec(self, array: str) -> Spec:
        """Describe one of the four arrays."""
        return specs(self.dim, self.recipe.dtype, self.compression)[array]

    def chunk(self, array: str, block: int) -> Place:
        """Give the chunk file of a block, by zarr's default chunk key."""
        rest = ("0",) * len(self.spec(array).tail)
        return self.path.joinpath(array, "c", str(block), *rest)

    def chunk_sizes(self, array: str) -> dict[int, int]:
        """Give the size in bytes of each chunk file that is there, by block."""
        folder = self.path / array / "c"
        if isinstance(folder, ObjectPath):  # one request for a thousand of them
            keys = ((name.partition("/")[0], size) for name, size in folder.sizes().items())
            return {int(name): size for name, size in keys if name.isdigit()}
        rest = "/0" * len(self.spec(array).tail)
        if not folder.is_dir():
            return {}
        with os.scandir(folder) as found:
            paths = {int(one.name): one.path + rest for one in found if one.name.isdigit()}
        sizes: dict[int, int] = {}
        for block, path in paths.items():
            with suppress(FileNotFoundError, NotADirectoryError):
                status = os.stat(path)  # noqa: PTH116 - of many files, and twice as fast
                if stat.S_ISREG(status.st_mode):
                    sizes[block] = status.st_size
        return sizes


@cache
def specs(dim: int, dtype: StoredDtype, compression: Compression) -> dict[str, Spec]:
    """Describe the four arrays of a store."""
    stored, compressed = np.dtype(dtype).newbyteorder("<"), compression == "zstd"
    return {
        "features": Spec(stored, (dim,), compressed, float("nan"), ("row", "feature")),
        "digest": Spec(np.dtype("u1"), (16,), dims=("row", "byte")),
        "item": Spec(np.dtype("<u2")),
        "state": Spec(np.dtype("u1")),
    }


def read_layout(path: Place) -> tuple[Layout, list[JsonObject]]:
    """Read what a store is, and its runs.

    Returns
    -------
    layout
        What never changes.
    runs
        One a writing process: ``{"blocks": [[start, stop]], "provenance": {...}, "closed": bool,
        "failed": {"<digest hex>:<item>": reason}}``; ``stop`` of a run that is not closed is
        not known yet. A ``cost`` (`featx.costs`) where the pass came to its end.

    Raises
    ------
    NotFoundError
        If there is no such folder.
    SchemaVersionError
        If a newer featx wrote it.
    CorruptStoreError
        If its metadata is not what featx wrote.
    """
    if not path.is_dir():
        raise NotFoundError(f"no feature store at {path.absolute()}; `featx ls` lists them")
    header = _read_metadata(path)["attributes"].get("featx")
    try:
        _check_version(path, header["schema_version"])
        layout, runs = _layout(path, header), list(header["runs"])
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(path / "zarr.json", f"its featx attributes lack {error}") from error
    _check_arrays(layout)
    return layout, runs


def is_made(path: Place) -> bool:
    """Say whether there is a store: in a bucket, ``zarr.json`` is made last and goes first."""
    return (path / "zarr.json").is_file() if isinstance(path, ObjectPath) else path.exists()


def _check_version(path: Place, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path} has schema version {version}, this featx knows {SCHEMA_VERSION}; a newer "
            "featx wrote it: upgrade with `pip install -U featx`, or choose another --cache DIR"
        )


def _layout(path: Place, header: JsonObject) -> Layout:
    try:
        recipe = Recipe.from_json(header["recipe"])
    except RecipeMismatchError as error:
        raise SchemaVersionError(f"{path} holds {error}") from error
    if recipe.hash != header["recipe_hash"]:
        raise _unusable(path / "zarr.json", "its recipe does not have the recorded hash")
    return Layout(
        path=path,
        recipe=recipe,
        map_shape=tuple(header["map_shape"]),
        dim=header["dim"],
        uid=header["uid"],
        block_rows=header["block_rows"],
        compression=_known(header.get("compression", "zstd")),
    )


def _known(compression: Compression) -> Compression:
    if compression not in get_args(Compression):
        raise KeyError("a compression that this featx knows")
    return compression


def _check_arrays(layout: Layout) -> None:
    def check(array: str) -> None:
        _check_array(layout, array)

    for _ in in_threads(check, ARRAYS, len(ARRAYS)) if layout.is_remote else map(check, ARRAYS):
        pass


def _check_array(layout: Layout, array: str) -> None:
    spec, path = layout.spec(array), layout.path / array
    meta = _read_metadata(path)
    try:
        got = (
            meta["data_type"],
            meta["chunk_grid"]["configuration"]["chunk_shape"],
            [codec["name"] for codec in meta["codecs"]],
        )
    except (KeyError, TypeError) as error:
        raise _unusable(path / "zarr.json", f"it lacks {error}") from error
    expected = (spec.dtype.name, [layout.block_rows, *spec.tail], spec.codecs)
    if got != expected:
        raise _unusable(path / "zarr.json", f"it says {got}, expected {expected}")


def _read_metadata(path: Place) -> JsonObject:
    file = path / "zarr.json"
    try:
        return _metadata(file, file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _unusable(file, "it is missing") from error
    except UnicodeDecodeError as error:
        raise _unusable(file, f"it is no JSON: {error}") from error


def _metadata(file: Place, text: str | bytes) -> JsonObject:
    try:
        meta: Any = json.loads(text)
    except ValueError as error:
        raise _unusable(file, f"it is no JSON: {error}") from error
    if not isinstance(meta, dict) or not isinstance(meta.get("attributes"), dict):
        raise _unusable(file, "it is no zarr metadata")
    return dict(meta)


def _unusable(file: Place, reason: str) -> CorruptStoreError:
    folder = next((path for path in file.parents if path.suffix == ".zarr"), file.parent)
    return CorruptStoreError(
        f"{file} is damaged: {reason}; delete the store with `featx rm {folder.name}` and extract "
        "again"
    )


def failure_key(digest: bytes, item: int) -> str:
    """Give the key of a failure in a run's ``failed``."""
    return f"{digest.hex()}:{item}"


def write_runs(layout: Layout, runs: list[JsonObject]) -> None:
    """Replace the runs in the store's attributes.

    Raises
    ------
    CacheWriteError
        If they cannot be written; in a bucket also if another writer has changed them.
    """
    if isinstance(layout.path, ObjectPath):
        _swap_runs(layout, layout.path / "zarr.json", runs)
        return
    meta = _read_metadata(layout.path)
    meta["attributes"]["featx"]["runs"] = runs
    write_json(layout.path / "zarr.json", meta)


def _swap_runs(layout: Layout, file: ObjectPath, runs: list[JsonObject]) -> None:
    """Replace the runs, provided that what is there is what this writer knows."""
    there = file.read_tagged()
    meta = _metadata(file, there.data)
    header = meta["attributes"]["featx"]
    own = {run["blocks"][0][0]: run for run in runs}
    if header["uid"] == layout.uid and all(_follows(own, run) for run in header["runs"]):
        header["runs"] = runs
        if file.swap(json_text(meta).encode(), there.tag) is not None:
            return
    raise CacheWriteError(
        f"cannot write to {file}: another featx has changed it, so it holds the lock by now; run "
        "it again: what is done is kept"
    )


def _follows(own: dict[int, JsonObject], run: JsonObject) -> bool:
    """Whether a run that is written is one of ``own``, by its first block, and closed by nobody."""
    known = own.get(run["blocks"][0][0])
    return known is not None and (not run["closed"] or known["blocks"] == run["blocks"])


def grow(layout: Layout, n_blocks: int) -> None:
    """Set the length of the four arrays to ``n_blocks`` blocks, for other readers of zarr."""
    for array in ARRAYS:
        meta = _read_metadata(layout.path / array)
        meta["shape"][0] = n_blocks * layout.block_rows
        meta["dimension_names"] = list(layout.spec(array).dims)  # older featx wrote none
        write_json(layout.path / array / "zarr.json", meta)


def lock_file(path: Place) -> Place:
    """Give the file whose lock a writer of the store holds."""
    return path.parent / "locks" / f"{path.name}.lock"


def size_bytes(path: Place) -> int:
    """Give the size of all files of a store; a file that a writer just moved counts nothing."""
    if isinstance(path, ObjectPath):
        return sum(path.sizes().values())
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(f"{folder}/{name}").st_size  # noqa: PTH116 - twice as fast
    return total
