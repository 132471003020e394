"""Indexes of tar archives, kept in the cache: an unchanged archive is not passed through again.

One Parquet file an archive, named by the archive's place. It only saves time: what cannot be read
is made anew.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from featx._files import replacing
from featx.sources.entry import Token
from featx.sources.tars import Index, Member

if TYPE_CHECKING:
    import pyarrow as pa

_FORMAT = b"1"
RACY_NS = 2_000_000_000
"""As for tokens: an archive that was just written could change once more under one time stamp."""
_TEXTS = ("label", "caption", "fields")


@dataclass(frozen=True)
class Indexes:
    """Where indexes are kept.

    Attributes
    ----------
    folder
        None: nowhere.
    write
        Whether new ones are kept.
    """

    folder: Path | None = None
    write: bool = True

    def get(self, token: Token, every_file: bool) -> Index | None:
        """Give the index of the archive that has this token, if it is known."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._path(token, every_file)
        if path is None or not path.is_file():
            return None
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException):
            return None
        kept = table.schema.metadata or {}
        if kept.get(b"token") != _stamp(token) or kept.get(b"format") != _FORMAT:
            return None
        return Index(_members(table), int(kept[b"ignored"]))

    def put(self, token: Token, every_file: bool, index: Index) -> None:
        """Keep the index of an archive.

        Raises
        ------
        CacheWriteError
            If the disk stands in the way.
        """
        import pyarrow.parquet as pq

        path = self._path(token, every_file)
        if path is None or not self.write or token[2] > time.time_ns() - RACY_NS:
            return
        kept = {"token": _stamp(token), "format": _FORMAT, "ignored": str(index.ignored)}
        with replacing(path) as temporary:
            pq.write_table(_table(index).replace_schema_metadata(kept), temporary)

    def _path(self, token: Token, every_file: bool) -> Path | None:
        if self.folder is None:
            return None
        kind = b"every file" if every_file else b""
        name = blake2b(token[0], digest_size=16, person=kind).hexdigest()
        return self.folder / f"{name}.parquet"


def _stamp(token: Token) -> bytes:
    return b"%s %d %d %d" % token


def _table(index: Index) -> pa.Table:
    """Put members into columns; names are bytes, for they may be no UTF-8."""
    import pyarrow as pa

    members = index.members
    columns = {
        "name": pa.array([m.name.encode("utf-8", "surrogateescape") for m in members], pa.binary()),
        "offset": pa.array([m.offset for m in members], pa.int64()),
        "size": pa.array([m.size for m in members], pa.int64()),
        **{text: pa.array([getattr(m, text) for m in members], pa.string()) for text in _TEXTS},
    }
    return pa.table(columns)


def _members(table: pa.Table) -> tuple[Member, ...]:
    columns = [table[name].to_pylist() for name in ("name", "offset", "size", *_TEXTS)]
    return tuple(
        Member(name.decode("utf-8", "surrogateescape"), *rest)
        for name, *rest in zip(*columns, strict=True)
    )
