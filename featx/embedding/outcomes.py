"""What became of each entry, in columns: of ten million entries most are known before any is read.

Per entry there are 24 bytes here; an object for each would take ten times as many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from featx.embedding.sinks import are_bad, have_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from featx._types import Array, Bytes16s, Ints
    from featx.embedding.reading import Taken
    from featx.embedding.sinks import Sink
    from featx.recipe import Preprocess
    from featx.sources import Entry
    from featx.tokens import Recalled

UNKNOWN, TWIN = 0, -1
"""In ``items``: not read yet; another entry with the same bytes is decoded."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of n entries so far.

    Attributes
    ----------
    digest : (n, 16) uint8
        Of each entry's bytes; zeros where there are none, or none are known yet.
    items : (n,) int64
        How many vectors the image has, 1 for one that has none; or `UNKNOWN` or `TWIN`.
    failures
        Why there were no bytes, by entry.
    reasons
        Why bytes that were read now cannot be decoded, by entry.
    """

    digest: Bytes16s
    items: Ints
    failures: dict[int, str] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)

    @property
    def todo(self) -> list[int]:
        """The entries that are to be read, in order."""
        return np.flatnonzero(self.items == UNKNOWN).tolist()

    def put(self, one: Taken) -> None:
        """Note what became of one entry."""
        self.items[one.index] = TWIN if one.items is None else one.items
        if one.digest is not None:
            self.digest[one.index] = np.frombuffer(one.digest, np.uint8)
        if one.failure is not None:
            self.failures[one.index] = one.failure
        if one.reason is not None:
            self.reasons[one.index] = one.reason

    def take(self, places: Sequence[int], part: Outcomes) -> None:
        """Note what became of the entries at ``places``, which are those of ``part``."""
        self.digest[places], self.items[places] = part.digest, part.items
        self.failures.update((places[i], why) for i, why in part.failures.items())
        self.reasons.update((places[i], why) for i, why in part.reasons.items())

    def settle_twins(self) -> list[int]:
        """Give twins what became of the entry that brought their bytes; return which these are."""
        twins = np.flatnonzero(self.items == TWIN)
        start = self.digest.view("<u8")[:, 0]  # narrows all entries down to a few
        alike = np.flatnonzero((self.items > 0) & np.isin(start, start[twins]))
        brought = {self.digest[i].tobytes(): i for i in alike.tolist()}
        for twin in twins.tolist():
            first = brought[self.digest[twin].tobytes()]
            self.items[twin] = self.items[first]
            if first in self.reasons:
                self.reasons[twin] = self.reasons[first]
        return twins.tolist()

    def known(self, entries: Iterable[int]) -> dict[int, tuple[bytes, int]]:
        """Give the digest and the number of items of those ``entries`` that have them by now."""
        return {
            i: (self.digest[i].tobytes(), int(self.items[i]))
            for i in entries
            if self.items[i] > 0 and i not in self.failures
        }


def settle(
    entries: Sequence[Entry],
    recalled: Recalled,
    pre: Preprocess,
    sinks: Sequence[Sink],
    views: int = 1,
) -> Outcomes:
    """Say what becomes of the entries that need not be read: every sink has them, or they failed.

    Parameters
    ----------
    recalled
        The digests of files that are unchanged.
    views
        How many views of each image are wanted; 1 where its items are pages or channels.
    """
    failures = {i: e.failure for i, e in enumerate(entries) if e.failure is not None}
    failed = np.zeros(len(entries), dtype=bool)
    failed[list(failures)] = True
    complete = np.flatnonzero((recalled.items > 0) & ~failed)
    for sink in sinks:
        complete = complete[have_items(sink, *_asked(recalled, complete, pre, views))]
    digest = np.zeros((len(entries), 16), dtype=np.uint8)
    items = np.full(len(entries), UNKNOWN, dtype=np.int64)
    digest[complete], items[complete] = _asked(recalled, complete, pre, views)
    if views > 1:  # an image that is undecodable is a single item
        for sink in sinks:
            items[complete[are_bad(sink, digest[complete])]] = 1
    items[failed] = 1
    return Outcomes(digest, items, failures)


def _asked(recalled: Recalled, rows: Ints, pre: Preprocess, views: int) -> tuple[Bytes16s, Array]:
    """Give the digests of some entries, and how many items of each are wanted."""
    items = recalled.items[rows]
    return recalled.digest[rows], items if pre.has_parts else np.full_like(items, views)
