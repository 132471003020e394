"""What a person gives as data, understood as a sequence of images with columns."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featx._types import PathLike
from featx.errors import SourceError, SourceNotFoundError, UsageError
from featx.sources.arrays import ARRAY_SUFFIXES, array_source, open_array_file, payload_source
from featx.sources.entry import Entry, Payload, Source, Token
from featx.sources.folder import open_folder
from featx.sources.memory import (
    ACCEPTED,
    is_image_path,
    path_source,
    refuse_overlap,
    sequence_source,
    sort_items,
)
from featx.sources.names import display
from featx.sources.select import select
from featx.sources.table import TABLE_SUFFIXES, frame_source, open_table

__all__ = ["Entry", "Payload", "Source", "Token", "open_source"]


@dataclasses.dataclass(frozen=True)
class _Reading:
    """How the data is to be understood, beyond what it says itself."""

    path_column: str | None
    root: Path | None
    every_file: bool


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
) -> Source:
    """Understand data as a sequence of images with columns; no image is read yet.

    Parameters
    ----------
    data
        A path: a folder (flat, of class folders, or of train/val/test folders of those), a CSV,
        TSV or Parquet table, a ``.npy`` or ``.npz`` file, one image. Or a DataFrame, an array
        (N, H, W[, C]), or a sequence of any of: such paths, Pillow images, bytes, arrays.
    name
        Of the data set; made of the data's own name unless given.
    path_column
        The table's column that names the image files.
    root
        The folder that a table's relative paths start from; the table's own unless given, the
        working folder for a DataFrame.
    limit, limit_per_class, label_column, seed
        Take a part: see `featx.sources.select.select`.
    every_file
        Take files of every name in a folder for images: for formats that need a reader.

    Raises
    ------
    SourceNotFoundError
        If a path leads nowhere; the message holds the absolute one.
    SourceReadError
        If the disk or a permission stands in the way.
    SourceError
        If the data cannot be understood as images.
    UsageError
        If an argument has no meaning, or folders would bring the same images twice.
    """
    folder = Path(root) if root is not None else None
    if folder is not None and not folder.is_dir():
        raise SourceNotFoundError(f"--root {folder.absolute()} is not a folder")
    source = _open(data, _Reading(path_column, folder, every_file))
    source = select(
        source, limit=limit, limit_per_class=limit_per_class, label_column=label_column, seed=seed
    )
    return source if name is None else dataclasses.replace(source, name=name)


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
    if path.is_dir():
        return open_folder(path, every_file=how.every_file)
    if not path.exists():
        where = display(os.path.abspath(path))  # noqa: PTH100
        raise SourceNotFoundError(f"there is no {where}; expected {ACCEPTED}")
    if suffix in TABLE_SUFFIXES:
        return open_table(path, path_column=how.path_column, root=how.root)
    if suffix in ARRAY_SUFFIXES:
        return open_array_file(path)
    if is_image_path(path, how.every_file):
        return path_source([data])
    raise SourceError(f"{path} is nothing featx reads; expected {ACCEPTED}")


def _open_many(data: Iterable[Any], how: _Reading) -> Source:
    """Open each of several, and put their rows and columns together in order."""
    sources: list[Source] = []
    runs = sort_items(data, how.every_file)
    refuse_overlap(
        [item for kind, items in runs if kind == "path" for item in items],
        [item for kind, items in runs if kind == "image" for item in items],
    )
    for kind, items in runs:
        if kind == "path":
            sources += [_open_path(item, how) for item in items]
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
