"""Data sets in the cache: immutable manifests, and a head that names the current one.

``datasets/<name>/<manifest hash>.parquet`` holds the user's columns beside four of featx's own,
whose names begin with ``featx:``. ``datasets/<name>/head.json`` names the current manifest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._files import replacing, take_lock, write_json
from featx.errors import CorruptStoreError, NotFoundError, UsageError, unknown_name
from featx.manifest import Manifest

if TYPE_CHECKING:
    import pandas as pd

    from featx._types import JsonObject

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


def save(cache: Path, manifest: Manifest) -> None:
    """Write a manifest and let the head name it; nothing is written where nothing changed.

    Raises
    ------
    CacheWriteError
        If the cache cannot be written.
    """
    folder = cache / "datasets" / manifest.name
    digest = manifest.hash
    path = folder / f"{digest}.parquet"
    if not path.exists():
        with replacing(path) as temporary:
            _write_parquet(temporary, manifest)
    head = {"manifest": digest, "rows": len(manifest), "source": manifest.source}
    if _read_json(folder / "head.json") != head:
        write_json(folder / "head.json", head)


def append(cache: Path, manifest: Manifest) -> None:
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


def load(cache: Path, name: str) -> Manifest:
    """Read the current manifest of a data set.

    Raises
    ------
    NotFoundError
        If the cache holds no data set of that name.
    CorruptStoreError
        If its manifest cannot be read.
    """
    current = head(cache, name)
    path = cache / "datasets" / name / f"{current.manifest}.parquet"
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        frame: pd.DataFrame = table.drop_columns(list(_OWN)).to_pandas()
        own = {column: table[column].to_numpy() for column in _OWN}
    except (OSError, pa.ArrowException, KeyError) as error:
        raise CorruptStoreError(
            f"the manifest {path.absolute()} cannot be read ({error}); "
            "run the extraction of this data set again: cached vectors are kept"
        ) from error
    digests = b"".join(own["featx:digest"].tolist())
    return Manifest(
        name=name,
        source=current.source,
        path=own["featx:path"].astype(object),
        digest=np.frombuffer(digests, dtype=np.uint8).reshape(-1, 16).copy(),
        item=own["featx:item"].astype(np.uint16),
        failure=np.array([None if v is None else str(v) for v in own["featx:failure"]], object),
        frame=frame,
    )


def head(cache: Path, name: str) -> Head:
    """Say which manifest is the current one of a data set.

    Raises
    ------
    NotFoundError
        If the cache holds no data set of that name.
    """
    path = cache / "datasets" / name / "head.json"
    value = _read_json(path)
    if value is None:
        known = [h.name for h in list_heads(cache)]
        tried = f"looked for {path.absolute()}"
        try:
            raise unknown_name("data set", name, known, tried)
        except UsageError as error:
            raise NotFoundError(str(error)) from None
    return Head(name, value["manifest"], value["rows"], value["source"])


def list_heads(cache: Path) -> list[Head]:
    """List the data sets of a cache by name."""
    files = sorted((cache / "datasets").glob("*/head.json"))
    return [head(cache, path.parent.name) for path in files if _read_json(path) is not None]


def remember(cache: Path, last: Last) -> None:
    """Note the last extraction, for commands that name no data set."""
    value = {"data": last.data, "features": list(last.features)}
    if _read_json(cache / "last.json") != value:
        write_json(cache / "last.json", value)


def recall(cache: Path) -> Last:
    """Give the last extraction.

    Raises
    ------
    NotFoundError
        If there was none in this cache.
    """
    value = _read_json(cache / "last.json")
    if value is None:
        raise NotFoundError(
            f"nothing has been extracted into {cache.absolute()} yet; run "
            "`featx extract FOLDER --backbone vgg16`, or point --cache at the right folder"
        )
    return Last(value["data"], tuple(value["features"]))


def _read_json(path: Path) -> JsonObject | None:
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CorruptStoreError(
            f"{path.absolute()} cannot be read ({error}); "
            "delete it and run the extraction again: cached vectors are kept"
        ) from error
    return value if isinstance(value, dict) else None


def _write_parquet(path: Path, manifest: Manifest) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    digests = [row.tobytes() for row in manifest.digest]
    columns: dict[str, Any] = {
        "featx:path": pa.array(manifest.path.tolist(), pa.string()),
        "featx:digest": pa.array(digests, pa.binary(16)),
        "featx:item": pa.array(manifest.item.astype(np.uint16)),
        "featx:failure": pa.array(manifest.failure.tolist(), pa.string()),
    }
    for name in manifest.frame.columns:
        columns[str(name)] = _column(manifest.frame[name])
    pq.write_table(pa.table(columns), path)


def _column(values: pd.Series[Any]) -> Any:
    """One column for Parquet; cells of several types become text."""
    import pyarrow as pa

    try:
        return pa.Array.from_pandas(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        cells = [None if v is None or v != v else str(v) for v in values]
        return pa.array(cells, pa.string())
