"""Data that a notebook holds: paths, Pillow images, bytes, arrays, a data frame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import pandas as pd

from featx.errors import SourceError, SourceNotFoundError, UsageError
from featx.sources.arrays import ARRAY_SUFFIXES, payload_source
from featx.sources.asking import unasked
from featx.sources.entry import Entry, Source, file_entry
from featx.sources.names import display, has_image_suffix, is_tar
from featx.sources.table import TABLE_SUFFIXES
from featx.sources.urls import base_name, is_address, is_remote

ACCEPTED = (
    "a folder of images or of class folders, here or in a bucket (s3://, gs://, az://), a table "
    "(.csv, .tsv, .parquet) with a column of paths or addresses, tar shards, an array of images "
    "(.npy, .npz), or an image file; from Python also a DataFrame, a sequence of paths, Pillow "
    "images, bytes or arrays, or an array (N, H, W[, C])"
)


def is_image_path(path: Path, every_file: bool) -> bool:
    """Whether it is the path of one image, not of a set of them."""
    if is_tar(path.name):
        return False
    if every_file and path.suffix.lower() not in TABLE_SUFFIXES | ARRAY_SUFFIXES:
        return path.is_file()
    return has_image_suffix(path.name) and not path.is_dir()


def sort_items(data: Iterable[Any], every_file: bool) -> list[tuple[str, list[Any]]]:
    """Group a sequence into runs of images' paths, shards' paths, others, and what is in memory."""
    items = list(data)
    if not items:
        raise SourceError(f"nothing was given; expected {ACCEPTED}")
    return [(kind, list(run)) for kind, run in groupby(items, key=partial(_kind, every_file))]


def refuse_overlap(paths: list[Any], files: list[Any]) -> None:
    """Refuse folders and tables that would bring the same images twice.

    Parameters
    ----------
    paths
        Of folders and tables.
    files
        Of single images.

    Raises
    ------
    UsageError
        If one is given twice, or a folder or an image lies in a folder that is given.
    """
    real = [_place(path) for path in paths]
    for n, (path, place) in enumerate(zip(paths, real, strict=True)):
        shown = display(os.fsdecode(path))
        if place in real[:n]:
            raise UsageError(f"{shown} is given twice; its images would count twice")
        if is_address(os.fsdecode(path)) or Path(place).is_dir():
            _refuse_inside(shown, place, real)
    for path in files if real else ():
        _refuse_inside(display(os.fsdecode(path)), _place(path), real)


def _place(path: Any) -> PurePath:
    """Give where something lies, for comparing; an address as if it were a path."""
    text = os.fsdecode(path)
    return PurePosixPath(text) if is_address(text) else Path(os.path.realpath(path))


def _refuse_inside(shown: str, place: PurePath, folders: list[PurePath]) -> None:
    outer = next((folder for folder in folders if folder in place.parents), None)
    if outer is not None:
        where = display(str(outer).replace(":/", "://", 1 if not isinstance(outer, Path) else 0))
        raise UsageError(
            f"{shown} lies in {where}, which is given too; its images would count twice: give one "
            "of both"
        )


def path_source(paths: list[Any]) -> Source:
    """Make a source of the paths of images, shown as they were written.

    Raises
    ------
    SourceNotFoundError
        If none of them exists.
    """
    texts = [os.fsdecode(path) for path in paths]
    entries = [_entry(text) for text in texts]
    if all(entry.failure is not None for entry in entries):
        raise SourceNotFoundError(f"{entries[0].failure}; expected {ACCEPTED}")
    frame = pd.DataFrame(index=pd.RangeIndex(len(entries)))
    only = len(entries) == 1
    description = display(texts[0]) if only else f"{len(entries):,} paths"
    return Source("images", description, entries, frame, 0)


def _entry(text: str) -> Entry:
    if is_remote(text):
        return unasked(text)
    return file_entry(os.path.abspath(text), display(text))  # noqa: PTH100


def _kind(every_file: bool, item: Any) -> str:
    if isinstance(item, str | os.PathLike):
        remote = is_remote(os.fsdecode(item))
        name = base_name(str(item)) if remote else Path(item).name
        if is_tar(name) and (remote or not Path(item).is_dir()):
            return "shard"
        image = has_image_suffix(name) if remote else is_image_path(Path(item), every_file)
        return "image" if image else "path"
    if isinstance(item, pd.DataFrame | Mapping | int | float | None):
        raise UsageError(f"{type(item).__name__} in a sequence of data; expected {ACCEPTED}")
    return "memory"


def sequence_source(kind: str, items: list[Any]) -> Source:
    """Make a source of a run of images."""
    return path_source(items) if kind == "image" else payload_source(items)
