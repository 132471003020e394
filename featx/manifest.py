"""A data set: rows of (path, digest, item) with every column of the user's table.

Which column is the target, the split or the group is chosen when fitting, never here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd

from featx._types import Array, Bytes16s, Ints

NO_DIGEST = bytes(16)
"""Stands for the digest of a row whose image could not be read."""
_CELLS = 2**16
"""That are written for the hash at a time."""


@dataclass(frozen=True)
class Manifest:
    r"""Rows in the user's order.

    Attributes
    ----------
    name
        Of the data set.
    source
        Where it came from, in words that the user would recognise.
    path
        (n,) str: as the user wrote it, or relative to the folder; bytes that are no UTF-8 are
        shown as ``\xff``.
    digest
        (n, 16) uint8: BLAKE2b-128 of the image's bytes; zeros where ``failure`` is set.
    item
        (n,) uint16: page, channel or view of that image; 0 as a rule.
    failure
        (n,) object: None, or why there were no bytes to read (a missing file, say).
    frame
        (n rows): the user's columns, text as text; ``label`` and ``split`` for folders.
    asked
        What each `featx extract` that it was made by was given as data, as words of a command
        line; empty where one had no path. No part of its identity.
    """

    name: str
    source: str
    path: Array
    digest: Bytes16s
    item: Array
    failure: Array
    frame: pd.DataFrame
    asked: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.path)

    @property
    def hash(self) -> str:
        """32 hex digits: the identity of the rows, their order and their columns."""
        h = blake2b(digest_size=16)
        h.update(np.ascontiguousarray(self.digest).tobytes())
        h.update(np.ascontiguousarray(self.item, dtype="<u2").tobytes())
        columns = {"": self.path, "!": self.failure} | {
            f"={name}\x1d{_kind(self.frame[name])}": self.frame[name].to_numpy(dtype=object)
            for name in self.frame
        }
        for name, values in columns.items():
            h.update(f"\x1d{name}".encode("utf-8", "backslashreplace"))
            for start in range(0, len(values), _CELLS):
                text = _written(values[start : start + _CELLS])
                h.update(text.encode("utf-8", "backslashreplace"))
        return h.hexdigest()

    @property
    def entry(self) -> Ints:
        """(n,) which image of the user's list each row is an item of, numbered as they come.

        Rows with the same path, bytes and item are copies of each other: the second of each item
        belong together, as do the first.
        """
        number: dict[tuple[str, bytes, int], int] = {}
        keys = [(path, digest, copy) for path, digest, _, copy in self._keys()]
        return np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)

    def take(self, rows: Array) -> Manifest:
        """Give the manifest of ``rows`` ((m,) int or bool), in that order."""
        return Manifest(
            name=self.name,
            source=self.source,
            path=self.path[rows],
            digest=self.digest[rows],
            item=self.item[rows],
            failure=self.failure[rows],
            frame=self.frame.iloc[np.arange(len(self))[rows]].reset_index(drop=True),
            asked=self.asked,
        )

    def plain(self) -> Manifest:
        """Give each image once: the rows of item 0."""
        return self.take(self.item == 0) if self.item.any() else self

    def append(self, other: Manifest) -> Manifest:
        """Give the manifest with the rows of ``other`` after its own.

        A row that both have (same path, digest and item) stays where it is and takes what is not
        empty in the columns of ``other``; of several such rows the first is paired with the first,
        the second with the second. Columns that only one side has are empty in the other's rows.
        """
        at = self._same_as(other)
        new = np.flatnonzero(at < 0)
        kept = np.concatenate([np.arange(len(self)), len(self) + new])
        frame = pd.concat([self.frame, other.frame], ignore_index=True).astype(object)
        columns = {name: frame[name].to_numpy()[kept] for name in frame}
        for name in other.frame:
            given = (at >= 0) & other.frame[name].notna().to_numpy()
            columns[name][at[given]] = frame[name].to_numpy()[len(self) :][given]
        return Manifest(
            name=self.name,
            source=other.source,
            path=np.concatenate([self.path, other.path[new]]),
            digest=np.concatenate([self.digest, other.digest[new]]),
            item=np.concatenate([self.item, other.item[new]]),
            failure=np.concatenate([self.failure, other.failure[new]]),
            frame=pd.DataFrame(columns, index=range(len(kept)), dtype=object),
            asked=tuple(dict.fromkeys((*self.asked, *other.asked))),
        )

    def _same_as(self, other: Manifest) -> Ints:
        """Give for each row of ``other`` the row here that is the same, -1 where there is none.

        Only the rows whose digest begins like one of ``other``'s are looked at closely.
        """
        start = self._starts()
        near = np.flatnonzero(np.isin(start, other._starts()))
        row = dict(zip(self.take(near)._keys(), near.tolist(), strict=True))
        return np.array([row.get(key, -1) for key in other._keys()], dtype=np.int64)

    def _starts(self) -> Array:
        """Give (n,) uint64: the first eight bytes of each digest."""
        return np.ascontiguousarray(self.digest).view(np.uint64)[:, 0]

    def _keys(self) -> list[tuple[str, bytes, int, int]]:
        """(path, digest, item, how many rows before have these) of each row."""
        seen: Counter[tuple[str, bytes, int]] = Counter()
        keys = []
        for path, digest, item in zip(self.path, self.digest, self.item.tolist(), strict=True):
            same = (path, digest.tobytes(), item)
            keys.append((*same, seen[same]))
            seen[same] += 1
        return keys


def _written(values: Array) -> str:
    r"""Write cells for the hash: ``\x1e`` and the text of each, ``\x1f`` for an empty one."""
    empty = pd.isna(values)
    if not empty.any():
        return "\x1e" + "\x1e".join(map(format, values))
    if empty.all():
        return "\x1f" * len(values)
    pairs = zip(values, empty, strict=True)
    return "".join("\x1f" if none else f"\x1e{value}" for value, none in pairs)


def _kind(column: pd.Series[Any]) -> str:
    """Tell numbers, truths and times from text, whatever type a version of pandas gives text."""
    kind = column.dtype.kind
    return kind if kind in "biufcmM" else ""
