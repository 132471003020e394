"""Which digest a file had when it was read last, so that an unchanged one is not read again.

Kept in ``tokens.sqlite`` in the cache, or on this machine for a cache in a bucket
(`featx._files.side_dir`). It only saves time: where it cannot be read or written, files are read
again, and that is said.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import numpy as np

from featx._files import side_dir
from featx._objects import Place
from featx._types import Bytes16s, Ints

Token: TypeAlias = tuple[bytes, int, int, int]
Found: TypeAlias = tuple[bytes, int]
"""(16-byte digest, how many items the image is)."""

RACY_NS = 2_000_000_000
"""The coarsest time stamp of a file system that is in use (FAT): two seconds."""

_BATCH = 500
_RANGE = 10_000
_WAIT_S = 10.0
_VERSION = 1
_CREATE = """
CREATE TABLE IF NOT EXISTS tokens (
    path BLOB, how TEXT, stamp TEXT, digest BLOB, items INTEGER, PRIMARY KEY (path, how)
) WITHOUT ROWID
"""
_SELECT = "SELECT path, how, stamp, digest, items FROM tokens WHERE path "
_PATHS = "SELECT digest, path FROM tokens ORDER BY instr(path, CAST('://' AS BLOB)) = 0, path"
_REASONS = {
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be made or opened",
}
"""By SQLite's primary codes."""
_INSERT = "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?)"


class Tokens(Protocol):
    """What keeps which digest a file had."""

    def put(self, found: Mapping[Token, Found]) -> None:
        """Keep digests."""


class _NoTokens:
    def put(self, found: Mapping[Token, Found]) -> None:
        pass


NO_TOKENS = _NoTokens()
"""Keeps nothing: for a part of a pass, whose leader does."""


@dataclass(frozen=True, eq=False)
class Recalled:
    """What is known of n files.

    Attributes
    ----------
    digest : (n, 16) uint8
        Zeros where nothing is known.
    items : (n,) int64
        How many items the image is; 0 where nothing is known.
    """

    digest: Bytes16s
    items: Ints

    @classmethod
    def nothing(cls, n: int) -> Recalled:
        """Know nothing of ``n`` files."""
        return cls(np.zeros((n, 16), np.uint8), np.zeros(n, np.int64))

    def copy(self) -> Recalled:
        """Give the same, to be added to."""
        return Recalled(self.digest.copy(), self.items.copy())


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
        asked = list(tokens)
        recalled = self.find(asked)
        return {
            asked[i]: (recalled.digest[i].tobytes(), int(recalled.items[i]))
            for i in np.flatnonzero(recalled.items).tolist()
        }

    def find(self, tokens: Sequence[Token | None], before: Recalled | None = None) -> Recalled:
        """Say what is known of each token, in arrays.

        Parameters
        ----------
        tokens
            n of them; None is not known.
        before
            What was known of them some time ago: only of the others is asked.
        """
        found = Recalled.nothing(len(tokens)) if before is None else before.copy()
        waiting = (i for i in np.flatnonzero(found.items == 0).tolist() if tokens[i] is not None)
        while batch := list(islice(waiting, _RANGE)):
            asked = [(i, token) for i in batch if (token := tokens[i]) is not None]
            known = self._known([token[0] for _, token in asked])
            same = [
                (i, one[1], one[2])
                for i, token in asked
                if (one := known.get(token[0])) is not None and one[0] == _stamp(token)
            ]
            rows = [i for i, _, _ in same]
            digests = b"".join(digest for _, digest, _ in same)
            found.digest[rows] = np.frombuffer(digests, np.uint8).reshape(-1, 16)
            found.items[rows] = [items for _, _, items in same]
        return found

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

        An address elsewhere only where no path is known; of several paths the last.
        """
        with self._lock:
            if self._database is None:
                return {}
            try:
                return dict(self._database.execute(_PATHS))
            except sqlite3.Error as error:
                self._failed(error)
                return {}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _known(self, paths: list[bytes]) -> dict[bytes, tuple[str, bytes, int]]:
        """Give stamp, digest and items of the paths that are kept, and perhaps of others.

        Files that are asked for together mostly lie together: what is kept between the first and
        the last path is read in one go, unless there is far more than what was asked for.
        """
        limit = 2 * len(paths) + 1
        rows = self._select("BETWEEN ? AND ? LIMIT ?", [min(paths), max(paths), limit])
        if len(rows) == limit:
            starts = range(0, len(paths), _BATCH)
            parts = [paths[start : start + _BATCH] for start in starts]
            rows = [
                row
                for part in parts
                for row in self._select(f"IN ({','.join('?' * len(part))})", part)
            ]
        return {path: rest for path, how, *rest in rows if how == self._how}

    def _select(self, where: str, values: Sequence[bytes | int]) -> list[Any]:
        with self._lock:
            if self._database is None:
                return []
            try:
                return self._database.execute(_SELECT + where, values).fetchall()
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
            why = _REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, str(error))
            self._say(f"{self.path}: {why}; files that are read now are read again by the next run")
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
