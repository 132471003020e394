"""What a person gives as data, understood as a sequence of images with columns."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featx._objects import ObjectPath
from featx._types import PathLike, Progress, Silent
from featx.errors import SourceError, SourceNotFoundError, UsageError
from featx.sources import asking
from featx.sources.arrays import ARRAY_SUFFIXES, array_source, open_array_file, payload_source
from featx.sources.entry import Entry, Payload, Source, Token, file_entry
from featx.sources.folder import Listed, folder_source, list_folder
from featx.sources.indexes import Indexes
from featx.sources.memory import (
    ACCEPTED,
    is_image_path,
    path_source,
    refuse_overlap,
    sequence_source,
    sort_items,
)
from featx.sources.names import display, has_image_suffix, is_packed_tar, is_tar
from featx.sources.objects import head, list_prefix, object_shard
from featx.sources.places import Places
from featx.sources.select import select
from featx.sources.shards import Shard, common_name, local_shards, shard_source
from featx.sources.table import TABLE_SUFFIXES, frame_source, open_table
from featx.sources.urls import WEB, base_name, expanded, is_remote, plain, scheme_of

__all__ = ["Entry", "Payload", "Places", "Source", "Token", "is_remote", "open_source"]


@dataclasses.dataclass(frozen=True)
class _Reading:
    """How the data is to be understood, beyond what it says itself."""

    path_column: str | None = None
    root: PathLike | None = None
    every_file: bool = False
    indexes: Indexes = dataclasses.field(default_factory=Indexes)
    enough: int | None = None
    progress: Progress = dataclasses.field(default_factory=Silent)


def open_source(
    data: Any,
    *,
    name: str | None = None,
    path_column: str | None = None,
    root: PathLike | None = None,
    limit: int | None = None,
    limit_per_class: int | None = None,
    label_column: str | None = None,
    seed: int = 0,
    every_file: bool = False,
    shards: Path | None = None,
    keep_shards: bool = True,
    progress: Progress | None = None,
) -> Source:
    """Understand data as a sequence of images with columns; no image is read yet.

    Of images elsewhere it is asked what tells that they have not changed, by listings where that
    takes fewer requests; tar shards are passed through once, unless their index is known.

    Parameters
    ----------
    data
        A path: a folder (flat, of class folders, or of train/val/test folders of those), a CSV,
        TSV or Parquet table, a ``.npy`` or ``.npz`` file, one image, a ``.tar`` shard, a folder of
        those, or a pattern such as ``{000..099}.tar``. Or the address of a folder, a shard or an
        image in a bucket (``s3://``, ``gs://``, ``az://``), or of an image on the web. Or a
        DataFrame, an array (N, H, W[, C]), or a sequence of any of: such paths, Pillow images,
        bytes, arrays.
    name
        Of the data set; made of the data's own name unless given.
    path_column
        The table's column that names the image files.
    root
        The folder, or the address, that a table's relative paths start from; the table's own unless
        given, the working folder for a DataFrame.
    limit, limit_per_class, label_column, seed
        Take a part: see `featx.sources.select.select`.
    every_file
        Take files of every name in a folder for images: for formats that need a reader.
    shards, keep_shards
        The folder of indexes of tar shards, and whether new ones are kept there. None: nowhere.
    progress
        Told how far asking has come.

    Raises
    ------
    SourceNotFoundError
        If a path leads nowhere; the message holds the absolute one.
    SourceReadError
        If the disk, the network or a permission stands in the way.
    SourceError
        If the data cannot be understood as images.
    MissingDependencyError
        If it lies in a bucket and obstore is not installed.
    UsageError
        If an argument has no meaning, or folders would bring the same images twice.
    """
    report = progress or Silent()
    how = _Reading(
        path_column=path_column,
        root=_root(root),
        every_file=every_file,
        indexes=Indexes(shards, keep_shards),
        enough=limit if limit_per_class is None else None,
        progress=report,
    )
    source = select(
        _open(plain(data), how),
        limit=limit,
        limit_per_class=limit_per_class,
        label_column=label_column,
        seed=seed,
    )
    source = asking.ask(source, report)
    return source if name is None else dataclasses.replace(source, name=name)


def _root(root: PathLike | None) -> PathLike | None:
    if root is None or is_remote(str(root)):
        return root
    folder = Path(plain(root))
    if not folder.is_dir():
        raise SourceNotFoundError(f"--root {folder.absolute()} is not a folder")
    return folder


def _open(data: Any, how: _Reading) -> Source:
    if isinstance(data, str | os.PathLike):
        return _open_path(data, how)
    if isinstance(data, pd.DataFrame):
        return frame_source(
            data, where="the data frame", name="frame", path_column=how.path_column,
            root=how.root or Path(),
        )  # fmt: skip
    if isinstance(data, bytes | bytearray) or hasattr(data, "getbands"):
        return payload_source([data])
    if hasattr(data, "__array__") and np.asarray(data).dtype.kind not in "OU":
        return array_source(np.asarray(data))
    if isinstance(data, Mapping) or not isinstance(data, Iterable):
        raise UsageError(f"data of type {type(data).__name__}; expected {ACCEPTED}")
    return _open_many(data, how)


def _open_path(data: str | os.PathLike[str], how: _Reading) -> Source:
    if not os.fspath(data):
        raise UsageError(f"DATA is an empty text; expected {ACCEPTED}")
    path = Path(data)
    suffix = path.suffix.lower()
    if scheme := scheme_of(data):
        return _open_address(str(data), scheme, how)
    if path.is_dir():
        return _open_listed(list_folder(path, every_file=how.every_file), how)
    if not path.exists() and len(several := expanded(os.fsdecode(data))) > 1:
        return _open_many(several, how)
    if is_tar(path.name):
        return _open_shards([data], how)
    if not path.exists():
        where = display(os.path.abspath(path))  # noqa: PTH100
        raise SourceNotFoundError(f"there is no {where}; expected {ACCEPTED}")
    if suffix in TABLE_SUFFIXES:
        return open_table(path, path_column=how.path_column, root=how.root)
    if suffix in ARRAY_SUFFIXES:
        return open_array_file(path)
    if is_image_path(path, how.every_file):
        return path_source([data])
    raise _not_read(str(path))


def _not_read(shown: str) -> SourceError:
    if is_packed_tar(shown):
        return SourceError(
            f"{shown} is compressed, so that no member of it can be read alone; unpack it to a "
            ".tar (gunzip, zstd -d): images are compressed by themselves"
        )
    return SourceError(f"{shown} is nothing featx reads; expected {ACCEPTED}")


def _open_address(url: str, scheme: str, how: _Reading) -> Source:
    """Open an image on the web, or what lies in a bucket."""
    name = base_name(url)
    several = expanded(url) if scheme not in WEB else []
    if len(several) > 1:
        return _open_many(several, how)
    if not url.endswith("/") and (has_image_suffix(name) or (scheme in WEB and how.every_file)):
        return path_source([url])
    if scheme in WEB:
        raise SourceError(
            f"{url} is not the address of an image; images on the web are read one by one, by a "
            "table with a column of addresses, and folders and shards in buckets (s3://, gs://, "
            "az://)"
        )
    if is_tar(name) and not url.endswith("/"):
        return _open_shards([url], how)
    if Path(name).suffix.lower() in TABLE_SUFFIXES | ARRAY_SUFFIXES or is_packed_tar(name):
        raise SourceError(
            f"{url}: tables and arrays are read here alone, and no compressed archives; download "
            "it first. The paths in a table may be addresses"
        )
    listed, archives = list_prefix(url, every_file=how.every_file)
    return _open_listed(listed, how, archives)


def _open_listed(listed: Listed, how: _Reading, archives: Sequence[Shard] = ()) -> Source:
    """Open a folder: the images in it, or the tar archives where it holds those alone."""
    if listed.entries or not listed.shards:
        return folder_source(listed)
    archives = archives or local_shards(listed.shards)
    source = _indexed(archives, listed.root, listed.name, how)
    return dataclasses.replace(source, ignored=source.ignored + listed.ignored)


def _open_shards(items: Sequence[Any], how: _Reading) -> Source:
    """Open tar archives that are named one by one."""
    texts = [os.fsdecode(plain(item)) for item in items]
    if len(set(texts)) < len(texts):
        raise UsageError("a tar shard is given twice; its images would count twice")
    with ThreadPoolExecutor(asking.AT_ONCE, "featx-ask") as pool:
        shards = list(pool.map(_shard, texts))
    where = display(texts[0]) if len(texts) == 1 else f"{display(texts[0])} and others"
    return _indexed(shards, where, common_name(texts), how)


def _shard(text: str) -> Shard:
    if not is_remote(text):
        return local_shards([file_entry(os.path.abspath(text), display(text))])[0]  # noqa: PTH100
    place = ObjectPath.of(text)
    meta = head(place)
    if meta is None:
        raise SourceNotFoundError(f"there is no tar shard {place}")
    return object_shard(place, text, meta)


def _indexed(shards: Sequence[Shard], where: str, name: str, how: _Reading) -> Source:
    return shard_source(
        shards, where, name, indexes=how.indexes, progress=how.progress,
        every_file=how.every_file, enough=how.enough,
    )  # fmt: skip


def _open_many(data: Iterable[Any], how: _Reading) -> Source:
    """Open each of several, and put their rows and columns together in order."""
    sources: list[Source] = []
    runs = sort_items(map(plain, data), how.every_file)
    refuse_overlap(
        [item for kind, items in runs if kind == "path" for item in items],
        [item for kind, items in runs if kind in ("image", "shard") for item in items],
    )
    for kind, items in runs:
        if kind == "path":
            sources += [_open_path(item, how) for item in items]
        elif kind == "shard":
            sources.append(_open_shards(items, how))
        else:
            sources.append(sequence_source(kind, items))
    if len(sources) == 1:
        return sources[0]
    frames = [source.frame for source in sources]
    together = pd.concat([f.astype(object) for f in frames], ignore_index=True)
    return Source(
        "-".join(dict.fromkeys(source.name for source in sources))[:80],
        "; ".join(source.description for source in sources),
        [entry for source in sources for entry in source.entries],
        together.astype(object).where(together.notna(), None),
        sum(source.ignored for source in sources),
    )
