"""A table of images: one row an image, every column kept."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from featx._types import PathLike
from featx._words import count
from featx.errors import (
    SourceError,
    SourceNotFoundError,
    SourceReadError,
    UsageError,
    unknown_name,
)
from featx.sources.asking import unasked
from featx.sources.entry import Entry, Source, file_entry
from featx.sources.names import data_name, display, has_image_suffix
from featx.sources.text import read_text_table, refuse_double
from featx.sources.urls import base_name, is_address, is_remote, local_path

TEXT_SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".txt"})
PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
TABLE_SUFFIXES = TEXT_SUFFIXES | PARQUET_SUFFIXES

_NAMES = """
path file_path filepath image_path imagepath img_path file filename file_name image_file
image_filename image_name imagename img_name image img images picture photo
url image_url img_url
"""
_PATH_COLUMNS = tuple(_NAMES.split())
_LOOKED_AT = 1000


def open_table(path: Path, *, path_column: str | None, root: PathLike | None) -> Source:
    """Open a CSV, TSV or Parquet file with a column of paths.

    Raises
    ------
    SourceError
        If it is no table, or names no images.
    SourceNotFoundError
        If none of its images exists.
    """
    encoding = ""
    try:
        if path.suffix.lower() in PARQUET_SUFFIXES:
            frame = _read_parquet(path)
        else:
            frame, encoding = read_text_table(path)
    except OSError as error:
        raise SourceReadError(f"cannot read {path}: {error.strerror or error}") from error
    said = ", read as cp1252 because it is not UTF-8" if encoding == "cp1252" else ""
    where = display(os.path.abspath(path))  # noqa: PTH100
    source = frame_source(
        frame, where=where, name=data_name(path.stem), path_column=path_column,
        root=root or path.parent,
    )  # fmt: skip
    return Source(source.name, source.description + said, source.entries, source.frame, 0)


def frame_source(
    frame: pd.DataFrame, *, where: str, name: str, path_column: str | None, root: PathLike
) -> Source:
    """Make a source of a data frame, whose column of paths is found or named.

    Parameters
    ----------
    where
        What messages call it.
    root
        The folder, or the address, that its relative paths start from.
    """
    frame = _tidy(frame, where)
    if frame.empty:
        raise SourceError(f"{where} has no rows")
    column = _path_column(frame, path_column, where)
    base = str(root) if is_remote(str(root)) else os.path.abspath(root)  # noqa: PTH100
    entries = [_entry(cell, base) for cell in frame[column].tolist()]
    missing = sum(entry.failure is not None for entry in entries)
    if missing == len(entries):
        raise SourceNotFoundError(
            f"none of the {len(entries):,} images that {where} names in column {column!r} can be "
            f"read; the first: {entries[0].failure}; say where they lie with --root DIR, or which "
            "column names them with --path-column COLUMN"
        )
    frame[column] = pd.Series([entry.path for entry in entries], dtype=object)
    gone = f", {missing:,} of them missing" if missing else ""
    description = f"{where}: {count(len(entries), 'image')} named in column {column!r}{gone}"
    return Source(name, description, entries, frame, 0)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except OSError:
        raise
    except Exception as error:  # pyarrow has many
        raise SourceError(f"{path} is no Parquet table that can be read: {error}") from error


def _tidy(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Give a copy whose columns are text and unique, and whose index is among them if named."""
    named = any(level is not None for level in frame.index.names)
    frame = frame.reset_index() if named else frame.reset_index(drop=True)
    frame.columns = pd.Index([str(name) for name in frame.columns], dtype=object)
    refuse_double(list(frame.columns), where)
    return frame


def _path_column(frame: pd.DataFrame, wanted: str | None, where: str) -> str:
    """Find the column of paths: the one asked for, by its name, or by its values."""
    names = list(frame.columns)
    if wanted is not None:
        if wanted not in names:
            raise unknown_name(f"column of {where}", wanted, names)
        return wanted
    by_lower = {name.lower(): name for name in reversed(names)}
    named = [by_lower[name] for name in _PATH_COLUMNS if name in by_lower]
    looking = [name for name in names if _names_images(frame[name])]
    sure = [name for name in named if name in looking]
    found = sure or (looking if len(looking) == 1 else named)
    if found:
        return found[0]
    raise SourceError(
        f"which column of {where} names the image files? It has {', '.join(map(repr, names))}; "
        "say it with --path-column COLUMN"
    )


def _names_images(column: pd.Series) -> bool:
    values = column.dropna().head(_LOOKED_AT).tolist()
    if not all(isinstance(value, str | os.PathLike) for value in values):
        return False
    cells = [str(value) for value in values if str(value)]
    return bool(cells) and all(has_image_suffix(_name(cell.strip())) for cell in cells)


def _name(cell: str) -> str:
    return base_name(cell) if is_address(cell) else cell


def _entry(cell: Any, base: str) -> Entry:
    """Find the file that a cell names."""
    if not isinstance(cell, str | bytes | os.PathLike):
        absent = cell is None or cell is pd.NA or cell != cell
        return Entry("", None, "the row names no file" if absent else f"no path: {cell!r}")
    if not cell:
        return Entry("", None, "the row names no file")
    text = os.fspath(cell) if isinstance(cell, os.PathLike) else str(cell)
    text = os.fsdecode(text)
    shown = display(text)
    if is_address(text.strip()):
        return _elsewhere(text.strip(), shown)
    if is_remote(base):
        return replace(unasked(f"{base.rstrip('/')}/{text.lstrip('/')}"), path=shown)
    first = file_entry(os.path.join(base, text), shown)  # noqa: PTH118
    if first.token is not None:
        return first
    for variant in _variants(text):
        entry = file_entry(os.path.join(base, variant), shown)  # noqa: PTH118
        if entry.token is not None:
            return entry
    return first


def _elsewhere(url: str, shown: str) -> Entry:
    """Give the entry of an address; one of a file is that file's."""
    if is_remote(url):
        return replace(unasked(url), path=shown)
    try:
        return file_entry(local_path(url), shown)
    except UsageError as error:
        return Entry(shown, None, str(error))


def _variants(text: str) -> Iterator[str]:
    """Other spellings of one name: of Windows, of macOS, of Linux with an old locale."""
    seen = {text}
    for name in (text.strip(), text.strip().replace("\\", "/")):
        for variant in (
            name,
            unicodedata.normalize("NFC", name),
            unicodedata.normalize("NFD", name),
            os.fsdecode(name.encode("cp1252", "replace")),
        ):
            if variant not in seen:
                seen.add(variant)
                yield variant
