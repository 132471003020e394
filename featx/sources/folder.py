"""A folder of images: flat, of class folders, or of train/val/test folders of class folders."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from featx._words import count
from featx.errors import SourceError, SourceReadError
from featx.sources.entry import Entry, Source, text_column, token_of
from featx.sources.names import (
    data_name,
    display,
    has_image_suffix,
    is_hidden,
    is_tar,
    natural,
)

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def open_folder(folder: Path, *, every_file: bool = False) -> Source:
    """List a folder.

    Parameters
    ----------
    folder
        An existing folder.
    every_file
        Take files of every name for images, not only those with an image extension.

    Raises
    ------
    SourceError
        If it holds no image.
    SourceReadError
        If it, or a folder in it, cannot be read.
    """
    return folder_source(list_folder(folder, every_file=every_file))


@dataclass(frozen=True)
class Listed:
    """What lies below a folder, or below a prefix of a bucket, in natural order.

    Attributes
    ----------
    root
        The folder's absolute path, or the prefix's address, to show.
    name
        The last part of it.
    entries
        Images, shown by their paths below ``root``.
    shards
        Tar archives, likewise.
    ignored
        How many other files there are.
    """

    root: str
    name: str
    entries: Sequence[Entry]
    shards: Sequence[Entry]
    ignored: int


def list_folder(folder: Path, *, every_file: bool = False) -> Listed:
    """List a folder; as `open_folder`."""
    root = os.path.abspath(folder)  # noqa: PTH100  (pathlib would lose bytes that are no UTF-8)
    listing = _Listing(every_file)
    listing.walk(root, "", ())
    name = os.path.basename(root)  # noqa: PTH119
    return Listed(display(root), name, listing.entries, listing.shards, listing.ignored)


def folder_source(listed: Listed) -> Source:
    """Make a source of the images of a folder, with the columns that its folders stand for.

    Raises
    ------
    SourceError
        If there are none.
    """
    entries, ignored = listed.entries, listed.ignored + len(listed.shards)
    if not entries:
        raise SourceError(
            f"no image in {listed.root}"
            + (f" ({count(ignored, 'file')} without an image extension)" if ignored else "")
            + "; expected images (.jpg, .png, .tif ...) in it or in its folders"
        )
    frame, layout = folder_columns([entry.path for entry in entries])
    description = f"{listed.root}: {count(len(entries), 'image')}{layout}"
    return Source(data_name(listed.name), description, entries, frame, ignored)


class _Listing:
    """The images below a folder, in natural order, each directory entry asked once."""

    def __init__(self, every_file: bool) -> None:
        self.entries: list[Entry] = []
        self.shards: list[Entry] = []
        self.ignored = 0
        self._every_file = every_file

    def walk(self, folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> None:
        """Add what is below ``folder``; ``above`` are the identities of the folders above it."""
        try:
            status = os.stat(folder)  # noqa: PTH116
            me = (status.st_dev, status.st_ino)
            if me in above:  # a link that leads back to a folder it lies in
                return
            with os.scandir(folder) as found:
                items = [item for item in found if not is_hidden(item.name)]
            for item in sorted(items, key=lambda item: natural(item.name)):
                if _leads_nowhere(item):
                    self.ignored += 1
                elif item.is_dir():
                    self.walk(item.path, f"{prefix}{item.name}/", (*above, me))
                else:
                    self._add(item, prefix)
        except OSError as error:
            where = display(str(error.filename or folder))
            raise SourceReadError(f"cannot read {where!r}: {error.strerror or error}") from error

    def _add(self, item: os.DirEntry[str], prefix: str) -> None:
        is_shard = is_tar(item.name)
        if not (self._every_file or is_shard or has_image_suffix(item.name)):
            self.ignored += 1
            return
        shown, kind = display(prefix + item.name), self.shards if is_shard else self.entries
        if item.is_file():
            kind.append(Entry(shown, token_of(os.fsencode(item.path), item.stat()), None))
        elif item.is_symlink():
            kind.append(Entry(shown, None, "a link to a file that is not there"))
        else:
            self.ignored += 1  # a pipe, a socket or a device: opening one could wait for ever


def _leads_nowhere(item: os.DirEntry[str]) -> bool:
    """Whether an entry is a link that leads to itself."""
    try:
        item.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return True
    return False


def folder_columns(paths: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Give the columns that the folders stand for, and the layout in words."""
    parts = [path.split("/") for path in paths]
    tops = {p[0] for p in parts if len(p) > 1}
    if not tops:
        return pd.DataFrame(index=pd.RangeIndex(len(paths))), ""
    if not _are_splits(tops, parts):
        labels = [p[0] if len(p) > 1 else None for p in parts]
        return pd.DataFrame(
            {"label": text_column(labels)}
        ), f" in {count(len(tops), 'class folder')}"
    splits = [SPLITS[p[0].lower()] if len(p) > 1 else None for p in parts]
    labels = [p[1] if len(p) > 2 else None for p in parts]
    classes = len({label for label in labels if label is not None})
    columns = {"label": text_column(labels)} if classes else {}
    columns["split"] = text_column(splits)
    names = ", ".join(dict.fromkeys(split for split in splits if split is not None))
    return pd.DataFrame(columns), f" in {count(classes, 'class', 'classes')}, split into {names}"


def _are_splits(tops: set[str], parts: list[list[str]]) -> bool:
    """Whether the folders are train/val/test, not classes of which one is a railway train."""
    named = [SPLITS.get(top.lower()) for top in tops]
    return None not in named and "train" in named and (len(tops) > 1 or max(map(len, parts)) > 2)
