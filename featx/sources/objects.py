"""Images in a bucket: what a listing tells of them, and how they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from featx._buckets import DENIED, client, library, reading
from featx._objects import ObjectPath
from featx.errors import (
    ImageError,
    MissingDependencyError,
    SourceNotFoundError,
    SourceReadError,
)
from featx.sources.entry import Entry, Token, hash63
from featx.sources.folder import Listed
from featx.sources.names import has_image_suffix, is_hidden, is_tar, natural
from featx.sources.shards import changed
from featx.sources.tars import Ranged

MOST_BYTES = 2**30
"""Of one image that is read over a network."""
_PAGE = 1000
"""Objects that a store lists at once."""
_DENIED = ("status code: 401", "status code: 403")
"""How the client words what was not permitted; for listings it has no error of its own."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ObjectEntry(Entry):
    """One object of a bucket."""

    place: ObjectPath

    @property
    def elsewhere(self) -> bool:
        """It is."""
        return True

    def read(self) -> bytes:
        """Read the object.

        Raises
        ------
        ImageError
            If it is not there, or too large.
        SourceReadError
            If access is denied, or the network or the store fails after retries.
        """
        obstore = _obstore()
        if self.token is None:
            raise ImageError(self.failure or "there is nothing to read")
        if self.token[1] > MOST_BYTES:
            raise ImageError(too_large(self.token[1]))
        try:
            with reading(str(self.place)):
                return bytes(obstore.get(client(self.place.bucket), self.place.key).bytes())
        except FileNotFoundError as error:
            raise ImageError("no such object any more") from error


@dataclass(frozen=True, slots=True)
class ObjectShard:
    """A tar archive in a bucket."""

    shown: str
    token: Token
    place: ObjectPath
    tag: str | None

    @property
    def elsewhere(self) -> bool:
        """It is."""
        return True

    def open(self) -> nullcontext[Ranged]:
        """Open it for one pass."""
        return nullcontext(Ranged(self._range, self.token[1]))

    def read(self, offset: int, size: int) -> bytes:
        """Read ``size`` bytes at an offset."""
        return self._range(offset, offset + size) if size else b""

    def _range(self, start: int, end: int) -> bytes:
        obstore = _obstore()
        options: Any = {"range": (start, end)}
        if self.tag is not None:
            options["if_match"] = self.tag
        try:
            with reading(str(self.place)):
                try:
                    got = obstore.get(client(self.place.bucket), self.place.key, options=options)
                    data = bytes(got.bytes())
                except obstore.exceptions.PreconditionError as error:
                    raise changed(self.shown) from error
        except FileNotFoundError as error:
            raise SourceReadError(f"cannot read {self.shown}: it is not there any more") from error
        if len(data) != end - start:
            raise changed(self.shown)
        return data


def _obstore() -> Any:
    try:
        return library()
    except MissingDependencyError as error:
        raise MissingDependencyError(
            "images in a bucket need obstore: pip install 'featx[cloud]'"
        ) from error


def too_large(size: int) -> str:
    """Say that an image has too many bytes to be read over a network."""
    return f"it has {size:,} bytes, more than the {MOST_BYTES:,} that are read over a network"


def token_of_object(place: ObjectPath, meta: Mapping[str, Any]) -> Token:
    """Give the token of an object: its address, size, time, and a number made of its ETag."""
    time_ns = (meta["last_modified"] - _EPOCH) // timedelta(microseconds=1) * 1000
    ident = hash63(meta["e_tag"], meta["version"])
    return str(place).encode("utf-8", "surrogateescape"), meta["size"], time_ns, ident


def object_entry(place: ObjectPath, shown: str, meta: Mapping[str, Any] | None) -> Entry:
    """Give the entry of an object; None: it is not there."""
    if meta is None:
        return ObjectEntry(shown, None, "no such object", place)
    return ObjectEntry(shown, token_of_object(place, meta), None, place)


def object_shard(place: ObjectPath, shown: str, meta: Mapping[str, Any]) -> ObjectShard:
    """Give the archive that an object is."""
    return ObjectShard(shown, token_of_object(place, meta), place, meta["e_tag"])


def head(place: ObjectPath) -> Mapping[str, Any] | None:
    """Ask for what is known of an object; None if it is not there.

    Raises
    ------
    SourceReadError
        If access is denied, or the network or the store fails after retries.
    """
    obstore = _obstore()
    try:
        with reading(str(place)):
            found: Any = obstore.head(client(place.bucket), place.key)
            return found  # type: ignore[no-any-return]
    except FileNotFoundError:
        return None


def listing(folder: ObjectPath) -> Iterator[Mapping[str, Any]]:
    """Yield what is known of each object below a prefix, in the order of their keys.

    Raises
    ------
    SourceReadError
        As `head`.
    """
    obstore = _obstore()
    stream: Any = obstore.list(client(folder.bucket), folder.key or None, chunk_size=_PAGE)
    while True:
        with _whole_bucket(folder):
            page = next(stream, None)
        if page is None:
            return
        yield from page


class ListingDeniedError(SourceReadError):
    """A prefix that may not be listed; its objects may be read all the same."""


@contextmanager
def _whole_bucket(folder: ObjectPath) -> Iterator[None]:
    try:
        with reading(str(folder)):
            yield
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"there is no {folder}") from error
    except SourceReadError as error:
        if not any(sign in str(error.__cause__) for sign in _DENIED):
            raise
        advice = DENIED[folder.bucket.partition(":")[0]]
        raise ListingDeniedError(f"cannot list {folder}: access denied; {advice}") from error


def list_prefix(url: str, *, every_file: bool = False) -> tuple[Listed, list[ObjectShard]]:
    """List what lies below a prefix, with a folder's rules, and its tar archives.

    Raises
    ------
    SourceNotFoundError
        If nothing does.
    SourceReadError
        If access is denied, or the network or the store fails after retries.
    """
    folder = ObjectPath.of(url)
    start = len(folder.key) + 1 if folder.key else 0
    found = {meta["path"][start:]: meta for meta in listing(folder)}
    if not found:
        raise SourceNotFoundError(
            f"nothing lies below {folder}/; see to the name of the bucket and of the prefix"
        )
    entries: list[Entry] = []
    shards: list[Entry] = []
    archives: list[ObjectShard] = []
    ignored = 0
    for name in _wanted(found):
        place, meta = folder / name, found[name]
        if is_tar(name):
            archives.append(object_shard(place, name, meta))
            shards.append(object_entry(place, name, meta))
        elif every_file or has_image_suffix(name):
            entries.append(object_entry(place, name, meta))
        else:
            ignored += 1
    name = folder.name or folder.bucket.partition("://")[2]
    return Listed(str(folder), name, entries, shards, ignored), archives


def _wanted(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give the names that a local folder would show, in its order."""
    folders = {name[:i] for name in found for i, c in enumerate(name) if c == "/"}
    names = [
        name
        for name, meta in found.items()
        if not any(map(is_hidden, name.split("/"))) and not _is_marker(name, meta, folders)
    ]
    return sorted(names, key=lambda name: [natural(part) for part in name.split("/")])


def _is_marker(name: str, meta: Mapping[str, Any], folders: Collection[str]) -> bool:
    """Whether it is the empty object by which some tools make a folder."""
    return meta["size"] == 0 and (name in folders or "." not in name.rpartition("/")[2])
