"""Images in tar archives, as WebDataset lays them out, each read at its own offset."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

import pandas as pd

from featx._types import Progress
from featx._words import count
from featx.errors import SourceError, SourceNotFoundError, SourceReadError
from featx.sources.entry import Entry, Source, Token, hash63
from featx.sources.indexes import Indexes
from featx.sources.names import data_name, display
from featx.sources.sidecars import columns_of
from featx.sources.tars import Index, Readable, read_index

AT_ONCE = 4
"""Archives that are passed through side by side."""


class Shard(Protocol):
    """A tar archive somewhere."""

    @property
    def shown(self) -> str:
        """What it is called."""

    @property
    def token(self) -> Token:
        """What tells that it has not changed; begins with its place."""

    @property
    def elsewhere(self) -> bool:
        """Whether it is read over a network."""

    def open(self) -> AbstractContextManager[Readable]:
        """Open it for one pass.

        Raises
        ------
        SourceReadError
            If the disk, the network or a permission stands in the way, also while it is read.
        """

    def read(self, offset: int, size: int) -> bytes:
        """Read ``size`` bytes at an offset.

        Raises
        ------
        SourceReadError
            Likewise; or if it is not the archive any more that ``token`` tells of.
        """


@dataclass(frozen=True, slots=True)
class LocalShard:
    """A tar archive on a disk."""

    shown: str
    token: Token

    @property
    def elsewhere(self) -> bool:
        """It is not."""
        return False

    def open(self) -> AbstractContextManager[Readable]:
        """Open it for one pass."""
        try:
            return open(self.token[0], "rb")  # noqa: PTH123  (a bytes path keeps every name)
        except OSError as error:
            raise self._unreadable(error) from error

    def read(self, offset: int, size: int) -> bytes:
        """Read ``size`` bytes at an offset."""
        try:
            with open(self.token[0], "rb") as file:  # noqa: PTH123
                status = os.fstat(file.fileno())
                if (status.st_size, status.st_mtime_ns) != self.token[1:3]:
                    raise changed(self.shown)
                file.seek(offset)
                data = file.read(size)
        except SourceReadError:
            raise
        except OSError as error:
            raise self._unreadable(error) from error
        if len(data) < size:
            raise changed(self.shown)
        return data

    def _unreadable(self, error: OSError) -> SourceReadError:
        return SourceReadError(
            f"cannot read {self.shown}: {error.strerror or error}; mend it and run again"
        )


def changed(shown: str) -> SourceReadError:
    """Give the error of an archive that is not what it was when it was listed."""
    return SourceReadError(
        f"{shown} has changed since it was listed; run again when nobody writes to it any more"
    )


@dataclass(frozen=True, slots=True)
class MemberEntry(Entry):
    """One image of an archive."""

    shard: Shard
    offset: int
    size: int

    @property
    def elsewhere(self) -> bool:
        """Whether its archive is read over a network."""
        return self.shard.elsewhere

    def read(self) -> bytes:
        """Read its bytes at their offset.

        Raises
        ------
        SourceReadError
            If the disk, the network or a permission stands in the way.
        """
        return self.shard.read(self.offset, self.size)


def shard_source(
    shards: Sequence[Shard],
    where: str,
    name: str,
    *,
    indexes: Indexes,
    progress: Progress,
    every_file: bool = False,
    enough: int | None = None,
) -> Source:
    """Make a source of the images in tar archives.

    Parameters
    ----------
    where, name
        What messages call them, and the data set.
    indexes
        Where those of earlier runs are.
    every_file
        Take members of every name for images, but for sidecars.
    enough
        Rows after which no further archive is looked into.

    Raises
    ------
    SourceError
        If an archive is damaged, or none holds an image.
    SourceReadError
        If one cannot be read.
    """
    found: list[tuple[Shard, Index]] = []
    rows = 0
    for shard, index in _indexed(shards, indexes, every_file, progress):
        found.append((shard, index))
        rows += len(index.members)
        if enough is not None and rows >= enough:
            break
    if not rows:
        raise SourceError(
            f"no image in {_counted(len(shards))} of {where}; expected members with an image "
            "extension (.jpg, .png, .tif ...)"
        )
    entries = [entry for shard, index in found for entry in entries_of(shard, index)]
    members = [(shard.shown, one) for shard, index in found for one in index.members]
    frame, left = columns_of(members)
    several = _several(frame)
    left_out = f", without the nested JSON fields {', '.join(left)}" if left else ""
    part = "" if len(found) == len(shards) else f"{len(found):,} of "
    description = (
        f"{where}: {count(rows, 'image')} in {part}{_counted(len(shards))}{several}{left_out}"
    )
    ignored = sum(index.ignored for _, index in found)
    return Source(data_name(name), description, entries, frame, ignored)


def _counted(n: int) -> str:
    return f"{n:,} tar shard{'s' if n > 1 else ''}"


def _several(frame: pd.DataFrame) -> str:
    """Say how many keys have several images, each of which is a row."""
    n = int((frame.groupby(["shard", "key"], sort=False).size() > 1).sum())
    return f"; {n:,} keys have several images, each of which is a row" if n else ""


def _indexed(
    shards: Sequence[Shard], indexes: Indexes, every_file: bool, progress: Progress
) -> Iterator[tuple[Shard, Index]]:
    """Give the index of each archive, in order; a few are passed through side by side."""

    def look(shard: Shard) -> Index:
        known = indexes.get(shard.token, every_file)
        if known is not None:
            return known
        index = index_of(shard, every_file=every_file)
        indexes.put(shard.token, every_file, index)
        return index

    progress.start("looking into tar shards", len(shards))
    try:
        with ThreadPoolExecutor(AT_ONCE, "featx-shards") as pool:
            for start in range(0, len(shards), AT_ONCE):
                some = shards[start : start + AT_ONCE]
                for shard, index in zip(some, pool.map(look, some), strict=True):
                    yield shard, index
                    progress.advance()
    finally:
        progress.finish()


def index_of(shard: Shard, *, every_file: bool = False) -> Index:
    """Pass through an archive.

    Raises
    ------
    SourceError
        If it is damaged.
    SourceReadError
        If the disk, the network or a permission stands in the way.
    """
    try:
        with shard.open() as file:
            return read_index(file, shard.shown, every_file=every_file)
    except SourceReadError:
        raise
    except OSError as error:
        raise SourceReadError(f"cannot read {shard.shown}: {error.strerror or error}") from error


def entries_of(shard: Shard, index: Index) -> Iterator[Entry]:
    """Give the entries of an archive, in its order."""
    place, _, mtime_ns, ident = shard.token
    for one in index.members:
        inside = one.name.encode("utf-8", "surrogateescape")
        token = place + b"!" + inside, one.size, mtime_ns, hash63(one.offset, ident)
        path = f"{shard.shown}!{display(one.name)}"
        yield MemberEntry(path, token, None, shard, one.offset, one.size)


def local_shards(entries: Sequence[Entry]) -> list[Shard]:
    """Give the archives that entries name.

    Raises
    ------
    SourceNotFoundError
        If one is not there: it is none of many images, but many of them.
    """
    shards: list[Shard] = []
    for entry in entries:
        if entry.token is None:
            raise SourceNotFoundError(f"tar shard {entry.path}: {entry.failure}")
        shards.append(LocalShard(entry.path, entry.token))
    return shards


def common_name(shown: Sequence[str]) -> str:
    """Name a data set after its archives: what their names begin with, less the number."""
    stems = [name.replace("\\", "/").rpartition("/")[2].removesuffix(".tar") for name in shown]
    first, last = min(stems), max(stems)
    if first == last:
        return first
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(a for a, _ in same).rstrip("0123456789-_. ") or "shards"
