"""Data sets in the cache: immutable manifests, and a head that names the current one.

``datasets/<name>/<manifest hash>.parquet`` holds the user's columns beside four of featx's own,
whose names begin with ``featx:``. ``datasets/<name>/head.json`` names the current manifest.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._files import take_lock, write_json, write_parts
from featx.errors import (
    CorruptStoreError,
    NotFoundError,
    SourceReadError,
    UsageError,
    unknown_name,
)
from featx.manifest import Manifest

if TYPE_CHECKING:
    import pandas as pd

    from featx._objects import Place
    from featx._types import Bytes16s, JsonObject

_OWN = ("featx:path", "featx:digest", "featx:item", "featx:failure")


@dataclass(frozen=True)
class Head:
    """The current manifest of a data set."""

    name: str
    manifest: str
    rows: int
    source: str


@dataclass(frozen=True)
class Last:
    """The last extraction: its data set, and the folder names of its stores."""

    data: str
    features: tuple[str, ...]


def safe_name(name: str) -> str:
    """Make a folder name, safe on every system, of what the user calls a data set.

    Raises
    ------
    UsageError
        If nothing of it is left.
    """
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-. ")[:100]
    if not safe:
        raise UsageError(f"{name!r} cannot name a data set; give it letters or digits with --name")
    return safe


def save(cache: Place, manifest: Manifest) -> None:
    """Write a manifest and let the head name it; nothing is written where nothing changed.

    Raises
    ------
    UsageError
        If a column has a name that is featx's own.
    CacheWriteError
        If the cache cannot be written.
    """
    check_columns(manifest.frame)
    identity = manifest.hash
    path = cache / "datasets" / manifest.name / f"{identity}.parquet"
    value = {"manifest": identity, "rows": len(manifest), "source": manifest.source}
    value |= {"asked": list(manifest.asked)} if manifest.asked else {}
    try:
        old = _read_head(path.with_name("head.json"))
        if old == value | {"bytes": old["bytes"]} and old["bytes"] == _digest(path.read_bytes()):
            return
    except SourceReadError:
        raise
    except (OSError, CorruptStoreError):
        pass  # not there, or damaged: written anew
    data = _parquet(manifest)
    write_parts(path, [data])
    write_json(path.with_name("head.json"), value | {"bytes": _digest(data)})


def check_columns(frame: pd.DataFrame) -> None:
    """Raise `UsageError` if a user's column has a name that is featx's own."""
    taken = [str(name) for name in frame.columns if str(name).startswith("featx:")]
    if taken:
        raise UsageError(
            f"column {taken[0]!r}: names that begin with 'featx:' are featx's own; rename it"
        )


def append(cache: Place, manifest: Manifest) -> None:
    """Put a manifest's rows after those of the data set of its name, one process at a time.

    Raises
    ------
    NotFoundError, CorruptStoreError, CacheWriteError
        As `load` and `save`.
    """
    lock = take_lock(cache / "locks" / f"{manifest.name}.data.lock")
    try:
        save(cache, load(cache, manifest.name).append(manifest))
    finally:
        lock.release()


def load(cache: Place, name: str) -> Manifest:
    """Read the current manifest of a data set.

    Raises
    ------
    NotFoundError
        If the cache holds no data set of that name.
    CorruptStoreError
        If its manifest cannot be read.
    """
    value = _head_of(cache, name)
    path = cache / "datasets" / name / f"{value['manifest']}.parquet"
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise _damaged(path, "it is missing") from None
    if _digest(data) != value["bytes"]:
        raise _damaged(path, "its bytes are not those that were written")
    table = pq.read_table(pa.BufferReader(data))
    del data
    path, failure = (table[own].to_numpy() for own in ("featx:path", "featx:failure"))
    return Manifest(
        name=name,
        source=value["source"],
        path=path,
        digest=_digests(table["featx:digest"].combine_chunks()),
        item=table["featx:item"].to_numpy().astype(np.uint16),
        failure=failure,
        frame=table.drop_columns(list(_OWN)).to_pandas(),
        asked=tuple(map(str, value.get("asked", ()))),
    )


def _digests(column: Any) -> Bytes16s:
    """Give (n, 16) uint8 of a column of 16 bytes a row, without an object for each."""
    values = np.frombuffer(column.buffers()[1], dtype=np.uint8).reshape(-1, 16)
    return values[column.offset : column.offset + len(column)].copy()


def head(cache: Place, name: str) -> Head:
    """Say which manifest is the current one of a data set.

    Raises
    ------
    NotFoundError
        If the cache holds no data set of that name.
    CorruptStoreError
        If what names the current one is damaged.
    """
    value = _head_of(cache, name)
    return Head(name, value["manifest"], value["rows"], value["source"])


def list_heads(cache: Place) -> list[Head]:
    """List the data sets of a cache by name; those whose head is damaged are left out."""
    broken = list_broken(cache)
    return [head(cache, name) for name in _names(cache) if name not in broken]


def list_broken(cache: Place) -> dict[str, str]:
    """Give, for each data set that cannot be read, the reason."""
    broken = {}
    for name in _names(cache):
        try:
            _head_of(cache, name)
        except CorruptStoreError as error:
            broken[name] = str(error)
    return broken


def _names(cache: Place) -> list[str]:
    return sorted(path.parent.name for path in (cache / "datasets").glob("*/head.json"))


def _head_of(cache: Place, name: str) -> JsonObject:
    path = cache / "datasets" / name / "head.json"
    try:
        return _read_head(path)
    except FileNotFoundError:
        raise NotFoundError(_unknown(cache, name)) from None


_LISTED = 20
"""Data sets that an error names."""


def _unknown(cache: Place, name: str) -> str:
    names = _names(cache)
    if not names:
        return (
            f"unknown data set {name!r}; {cache.absolute()} holds none: run `featx extract FOLDER "
            "--backbone vgg16`, or point --cache at the right folder"
        )
    listed = ", ".join(names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    hint = f"{cache.absolute()} holds {listed}{more}"
    return str(unknown_name("data set", name, names, hint))


def _read_head(path: Place) -> JsonObject:
    value = _read_json(path)
    types = {"manifest": str, "rows": int, "source": str, "bytes": str}
    for key, kind in types.items():
        if not isinstance(value.get(key), kind):
            raise _damaged(path, f"it has no {key}")
    return value


def remember(cache: Place, last: Last) -> None:
    """Note the last extraction, for commands that name no data set."""
    value = {"data": last.data, "features": list(last.features)}
    path = cache / "last.json"
    try:
        if _read_json(path) == value:
            return
    except (OSError, CorruptStoreError):
        pass  # not there, or damaged: written anew
    write_json(path, value)


def forget(cache: Place, data: str) -> None:
    """Let a data set that is removed no longer be the last extraction's."""
    with suppress(NotFoundError, CorruptStoreError):
        if recall(cache).data == data:
            (cache / "last.json").unlink(missing_ok=True)


def recall(cache: Place) -> Last:
    """Give the last extraction.

    Raises
    ------
    NotFoundError
        If there was none in this cache.
    CorruptStoreError
        If the note of it is damaged.
    """
    path = cache / "last.json"
    try:
        value = _read_json(path)
    except FileNotFoundError:
        raise NotFoundError(_nothing_last(cache)) from None
    data, features = value.get("data"), value.get("features")
    if not isinstance(data, str) or not isinstance(features, list):
        raise _damaged(path, "it does not name an extraction")
    return Last(data, tuple(map(str, features)))


def _nothing_last(cache: Place) -> str:
    names = [head.name for head in list_heads(cache)]
    if names:
        return f"the data set that was extracted last is removed; name another: {', '.join(names)}"
    if any(True for _ in cache.glob("*.zarr")):
        return (
            f"no extraction into {cache.absolute()} has come to its end yet; run `featx extract` "
            "on the images again: what is cached is not computed again"
        )
    return (
        f"nothing has been extracted into {cache.absolute()} yet; run "
        "`featx extract FOLDER --backbone vgg16`, or point --cache at the right folder"
    )


def _read_json(path: Place) -> JsonObject:
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, SourceReadError):
        raise
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(value, dict):
        raise _damaged(path, "it holds no object")
    return value


def _damaged(path: Place, why: str) -> CorruptStoreError:
    return CorruptStoreError(
        f"{path.absolute()} cannot be read: {why}; run the same extraction again, which writes it "
        "anew: cached vectors are kept"
    )


def _digest(data: bytes | memoryview) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def _parquet(manifest: Manifest) -> memoryview:
    import pyarrow as pa
    import pyarrow.parquet as pq

    n, digests = len(manifest), pa.py_buffer(np.ascontiguousarray(manifest.digest))
    columns: dict[str, Any] = {
        "featx:path": pa.array(manifest.path, pa.string()),
        "featx:digest": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), n, [None, digests]),
        "featx:item": pa.array(manifest.item.astype(np.uint16)),
        "featx:failure": pa.array(manifest.failure, pa.string()),
    }
    for name in manifest.frame.columns:
        columns[str(name)] = _column(manifest.frame[name])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return memoryview(sink.getvalue())


def _column(values: pd.Series[Any]) -> Any:
    """One column for Parquet; cells of several types become text."""
    import pyarrow as pa

    try:
        return pa.Array.from_pandas(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        cells = [None if v is None or v != v else str(v) for v in values]
        return pa.array(cells, pa.string())
