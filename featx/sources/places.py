"""Find an image again by the place that its token names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from featx._objects import ObjectPath
from featx.errors import FeatxError, SourceError, SourceReadError
from featx.sources.entry import Entry, file_entry
from featx.sources.hosts import Hosts, WebEntry
from featx.sources.indexes import Indexes
from featx.sources.names import display
from featx.sources.objects import head, object_entry, object_shard
from featx.sources.shards import Shard, entries_of, index_of, local_shards
from featx.sources.urls import WEB, is_remote, scheme_of

_IN_A_SHARD = ".tar!"


@dataclass
class Places:
    """Gives entries of images that were read before, each archive looked into once.

    Attributes
    ----------
    shards
        The folder of indexes of tar shards; None: there is none.
    """

    shards: Path | None = None
    _inside: dict[str, dict[str, Entry]] = field(default_factory=dict)

    def entry(self, place: bytes) -> Entry:
        """Give the image at a place, to be read; one with a `failure` where there is none.

        Raises
        ------
        SourceReadError
            If the disk, the network or a permission stands in the way.
        """
        text = os.fsdecode(place)
        archive, inside, _ = text.partition(_IN_A_SHARD)
        if inside:
            return self._member(archive + ".tar", text)
        if not is_remote(text):
            return file_entry(text, display(text))
        if scheme_of(text) in WEB:
            return WebEntry(text, None, None, text, Hosts([text]))
        where = ObjectPath.of(text)
        return object_entry(where, text, head(where))

    def _member(self, archive: str, place: str) -> Entry:
        if archive not in self._inside:
            self._inside[archive] = self._look_into(archive)
        return self._inside[archive].get(place) or Entry(
            display(place), None, f"not in the tar shard {display(archive)} any more"
        )

    def _look_into(self, archive: str) -> dict[str, Entry]:
        """Give the entries of an archive by their places; none where it is not there."""
        try:
            shard = _shard(archive)
            index = Indexes(self.shards).get(shard.token, every_file=False)
            index = index_of(shard) if index is None else index
        except SourceReadError:
            raise
        except FeatxError:  # not there, or another archive by now
            return {}
        return {os.fsdecode(e.token[0]): e for e in entries_of(shard, index) if e.token}


def _shard(archive: str) -> Shard:
    if not is_remote(archive):
        return local_shards([file_entry(archive, display(archive))])[0]
    place = ObjectPath.of(archive)
    meta = head(place)
    if meta is None:
        raise SourceError(f"there is no {place}")
    return object_shard(place, archive, meta)
