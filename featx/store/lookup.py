"""From the digest and item of an image to its row: one sorted array of 64-bit numbers.

A digest is as good as random, so its first eight bytes and the item, mixed by multiplication with
an odd number (Fibonacci hashing; Knuth, The Art of Computer Programming 3, 6.4), seldom agree for
two keys::

    h = digest[0:8] + 0x9E3779B97F4A7C15 item   (mod 2^64)

The upper bits of h and, below them, the row make one number. Of equal upper bits the newest row
comes last. What is found is compared in all 18 bytes; keys that agree in the upper bits without
being equal (some hundred among ten million) are kept in a dict besides. This takes 8 bytes a row
beside the arrays themselves, where a dict of keys takes 150, and sorting whole numbers is quick
(docs/decisions/ten-million-rows.md).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx._types import Array, Bytes16s, Ints

_MIXER = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1
_AT_ONCE = 2**18
"""Keys that are sought at a time: in their order, so that the sorted numbers pass by once."""


@dataclass(frozen=True, eq=False)
class Lookup:
    """Where each key lies; `Lookup.of` makes it.

    Attributes
    ----------
    digest : (N, 16) uint8
    item : (N,) uint16
        Of all rows.
    numbers : (m,) uint64
        Hash and row of those that can be found, sorted.
    low
        2^k - 1, the bits of a number that hold a row.
    crowded
        The newest row of each key whose upper bits another one has.
    """

    digest: Bytes16s
    item: Array
    numbers: Array
    low: int
    crowded: dict[bytes, int]

    @classmethod
    def of(cls, digest: Bytes16s, item: Array, rows: Ints) -> Lookup:
        """Let the ascending ``rows`` ((m,) int64) of N be found."""
        low = 2 ** max(1, len(digest).bit_length()) - 1
        numbers = _packed(_hashes(digest[rows], item[rows]), rows, low)
        lookup = cls(np.ascontiguousarray(digest), item, numbers, low, {})
        lookup.crowded.update(lookup._crowd())
        return lookup

    def _crowd(self) -> dict[bytes, int]:
        upper = self.numbers & np.uint64(_MASK ^ self.low)
        first = np.flatnonzero(upper[1:] == upper[:-1])
        one, two = (self._rows_at(first + side) for side in (0, 1))
        other = ~self._same(one, self.digest[two], self.item[two])
        if not other.any():
            return {}
        rows = np.sort(self._rows_at(np.flatnonzero(np.isin(upper, upper[first[other]]))))
        keys = [_key(self.digest[row].tobytes(), int(self.item[row])) for row in rows]
        return dict(zip(keys, rows.tolist(), strict=True))  # the newest of equal keys stays

    def find(self, digest: Bytes16s, item: Array) -> Ints:
        """Give the (n,) newest row of each key, -1 where there is none."""
        digest, item = np.ascontiguousarray(digest), np.asarray(item)
        found = np.full(len(digest), -1, dtype=np.int64)
        if len(self.numbers):
            for start in range(0, len(digest), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                found[part] = self._find(digest[part], item[part])
        return found

    def _find(self, digest: Bytes16s, item: Array) -> Ints:
        h, low = _hashes(digest, item), 2 ** max(1, len(digest).bit_length()) - 1
        order = (_packed(h, np.arange(len(h)), low) & np.uint64(low)).astype(np.int64)
        at = np.searchsorted(self.numbers, h[order] | np.uint64(self.low), side="right") - 1
        rows = np.empty(len(h), dtype=np.int64)
        rows[order] = self._rows_at(at)
        other = ~self._same(rows, digest, item)
        rows[other] = -1
        for i in np.flatnonzero(other).tolist() if self.crowded else ():
            rows[i] = self.crowded.get(_key(digest[i].tobytes(), int(item[i])), -1)
        return rows

    def row(self, digest: bytes, item: int) -> int:
        """Give the newest row of one key, -1 where there is none."""
        h = int.from_bytes(digest[:8], "little") + item * _MIXER & _MASK
        numbers, digests, items = self._flat
        at = bisect_right(numbers, h | self.low) - 1
        if at >= 0:
            row = numbers[at] & self.low
            if digests[16 * row : 16 * row + 16] == digest and items[row] == item:
                return row
        return self.crowded.get(_key(digest, item), -1) if self.crowded else -1

    @cached_property
    def _flat(self) -> tuple[memoryview[int], memoryview[int], memoryview[int]]:
        """The arrays for access one by one, which takes NumPy ten times as long."""
        return self.numbers.data, self.digest.reshape(-1).data, self.item.data

    def _rows_at(self, at: Ints) -> Ints:
        return (self.numbers[at] & np.uint64(self.low)).astype(np.int64)

    def _same(self, rows: Ints, digest: Bytes16s, item: Array) -> Array:
        """Say of each row whether it has this key."""
        mine, asked = self.digest.view(np.uint64)[rows], digest.view(np.uint64)
        same = (mine[:, 0] == asked[:, 0]) & (mine[:, 1] == asked[:, 1])
        return np.asarray(same & (self.item[rows] == item))


def _hashes(digest: Bytes16s, item: Array) -> Array:
    """Give the (n,) uint64 ``h`` of each key."""
    first = np.ascontiguousarray(digest).view("<u8")[:, 0]
    return np.asarray(first + item.astype(np.uint64) * np.uint64(_MIXER))


def _packed(h: Array, below: Ints, low: int) -> Array:
    """Give (n,) uint64, sorted: the upper bits of each hash, and a number in their place below."""
    packed = (h & np.uint64(_MASK ^ low)) | below.astype(np.uint64)
    packed.sort()
    return packed


def _key(digest: bytes, item: int) -> bytes:
    return digest + item.to_bytes(2, "little")
