"""Which digest a file had when it was read last, so that an unchanged one is not read again.

Kept in ``tokens.sqlite`` in the cache, or on this machine for a cache in a bucket
(`featx._files.side_dir`). It only saves time: where it cannot be read or written, files are read
again, and that is said.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeAlias

from featx._files import side_dir
from featx._objects import Place

Token: TypeAlias = tuple[bytes, int, int, int]
Found: TypeAlias = tuple[bytes, int]
"""(16-byte digest, how many items the image is)."""

RACY_NS = 2_000_000_000
"""The coarsest time stamp of a file system that is in use (FAT): two seconds."""

_BATCH = 500
_WAIT_S = 10.0
_VERSION = 1
_CREATE = """
CREATE TABLE IF NOT EXISTS tokens (
    path BLOB, how TEXT, stamp TEXT, digest BLOB, items INTEGER, PRIMARY KEY (path, how)
) WITHOUT ROWID
"""
_SELECT = "SELECT path, stamp, digest, items FROM tokens WHERE how = ? AND path IN ({})"
_INSERT = "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?)"


class Tokens(Protocol):
    """What knows which digest a file had."""

    def get(self, tokens: Iterable[Token]) -> Mapping[Token, Found]:
        """Give what is known of ``tokens``."""

    def put(self, found: Mapping[Token, Found]) -> None:
        """Keep digests."""


class _NoTokens:
    def get(self, tokens: Iterable[Token]) -> Mapping[Token, Found]:  # noqa: ARG002
        return {}

    def put(self, found: Mapping[Token, Found]) -> None:
        pass


NO_TOKENS = _NoTokens()
"""Knows nothing and keeps nothing: for a part of a pass, of which all that is known is settled."""


class TokenIndex:
    """A table from tokens to digests, shared by processes.

    Parameters
    ----------
    cache
        The cache folder.
    how
        Under which options the items were counted; "" where an image is one item.
    say
        Takes one line about an index that cannot be used.

    Notes
    -----
    A file that changed within the last two seconds before this object was made is not kept: it
    could change once more without its time stamp showing it (as in git's index). The next run
    reads it again.
    """

    def __init__(
        self,
        cache: Place,
        how: str = "",
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path = side_dir(cache) / "tokens.sqlite"
        self._how = how
        self._say = say
        self._lock = threading.Lock()
        self._writable = True
        self._trusted_ns = time.time_ns() - RACY_NS
        self._database: sqlite3.Connection | None = None
        self._database = self._open()

    def __enter__(self) -> TokenIndex:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def get(self, tokens: Iterable[Token]) -> dict[Token, Found]:
        """Give what is known of ``tokens``; those that are not known are not in the result."""
        known: dict[Token, Found] = {}
        waiting = iter(tokens)
        while batch := {token[0]: token for token in islice(waiting, _BATCH)}:
            for path, stamp, digest, items in self._select(list(batch)):
                token = batch[path]
                if stamp == _stamp(token):
                    known[token] = (digest, items)
        return known

    def put(self, found: Mapping[Token, Found]) -> None:
        """Keep digests, in one transaction."""
        rows = [
            (token[0], self._how, _stamp(token), digest, items)
            for token, (digest, items) in found.items()
            if token[2] <= self._trusted_ns
        ]
        with self._lock:
            if self._database is None or not self._writable or not rows:
                return
            try:
                with self._database:
                    self._database.executemany(_INSERT, rows)
            except sqlite3.Error as error:
                self._writable = False
                self._failed(error)

    def paths(self) -> dict[bytes, bytes]:
        """Give, for each digest, the absolute path of a file that had it.

        An address elsewhere only where no path is known: in the order of bytes, paths come first.
        """
        with self._lock:
            if self._database is None:
                return {}
            try:
                return dict(
                    self._database.execute("SELECT digest, path FROM tokens ORDER BY path DESC")
                )
            except sqlite3.Error as error:
                self._failed(error)
                return {}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _select(self, paths: list[bytes]) -> list[tuple[bytes, str, bytes, int]]:
        query = _SELECT.format(",".join("?" * len(paths)))
        with self._lock:
            if self._database is None:
                return []
            try:
                return self._database.execute(query, [self._how, *paths]).fetchall()
            except sqlite3.Error as error:
                self._failed(error)
                return []

    def _open(self) -> sqlite3.Connection | None:
        try:
            return _connect(self.path)
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return None

    def _failed(self, error: Exception) -> None:
        """Say that the index is of no use, or of less; put a damaged file aside for the next run.

        A file that cannot be written (read-only, locked, full disk) can still be read.
        """
        if not _is_damage(error):
            self._say(f"{self.path}: {error}; what is read now will be read again by the next run")
            return
        if self._database is not None:
            self._database.close()
            self._database = None
        aside = self.path.with_name(f"tokens.damaged-{time.time_ns()}.sqlite")
        try:
            self.path.rename(aside)
            where = f"it is now {aside.name}"
        except OSError as second:
            where = f"and cannot be put aside ({second.strerror or second})"
        self._say(f"{self.path} is damaged ({error}), {where}; every file is read again")


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=_WAIT_S, check_same_thread=False)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise sqlite3.OperationalError("written by a newer featx")
        if version < _VERSION:
            with database:
                database.execute(_CREATE)
                database.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        database.close()
        raise
    return database


def _is_damage(error: Exception) -> bool:
    """Whether the file's bytes are wrong, not its permissions, its locks or its disk."""
    wrong = isinstance(error, sqlite3.DatabaseError)
    return wrong and not isinstance(error, sqlite3.OperationalError)


def _stamp(token: Token) -> str:
    """Put into text what SQLite's 64-bit integers may not hold: inodes are unsigned."""
    return ":".join(map(str, token[1:]))
