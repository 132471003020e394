"""What a tar archive holds: images at their offsets, and what lies beside them.

Members are grouped by key as WebDataset does: the name up to the first dot of its last part. The
archive is passed through once and nothing of it is written to disk.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Protocol, cast

from featx.errors import SourceError
from featx.sources.names import display, has_image_suffix, is_hidden

BLOCK = 512
RANGE = 2**25
"""Bytes that are fetched at once of an archive that lies elsewhere."""
MOST_SIDECAR = 2**24
"""Bytes of a label, a caption or JSON fields: what is longer is none of these."""

_SIDECARS = ("cls", "txt", "json")
_NOTHING = bytes(BLOCK)


class Readable(Protocol):
    """A file that is read forwards; `seek` goes back by a block at most."""

    def read(self, n: int = -1, /) -> bytes:
        """Read ``n`` bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an offset."""

    def tell(self) -> int:
        """Give the offset."""


@dataclass(frozen=True, slots=True)
class Member:
    """One image of an archive.

    Attributes
    ----------
    name
        As the archive has it.
    offset, size
        Of its bytes.
    label, caption, fields
        The texts of ``.cls``, ``.txt`` and ``.json`` under the same key.
    """

    name: str
    offset: int
    size: int
    label: str | None = None
    caption: str | None = None
    fields: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """The images of an archive in its order, and how many members are none."""

    members: tuple[Member, ...]
    ignored: int


class Ranged:
    """A file somewhere else, of which ranges are fetched; made to be read forwards.

    Parameters
    ----------
    fetch
        Gives the bytes from an offset up to another.
    size
        Of the whole.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._held = b""
        self._start = 0  # offset of the first byte that is held
        self._at = 0

    def tell(self) -> int:
        """Give the offset."""
        return self._at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an offset from the start."""
        if whence:
            raise ValueError("offsets are from the start")
        self._at = offset
        return offset

    def read(self, n: int = -1, /) -> bytes:
        """Read ``n`` bytes; fewer at the end."""
        end = self._size if n < 0 else min(self._at + n, self._size)
        parts: list[bytes] = []
        while self._at < end:
            if not self._start <= self._at < self._start + len(self._held):
                self._pull()
            here = self._held[self._at - self._start : end - self._start]
            parts.append(here)
            self._at += len(here)
        return b"".join(parts)

    def _pull(self) -> None:
        """Fetch from here on; with the block before, which tarfile goes back to."""
        self._start = max(0, self._at - BLOCK)
        self._held = self._fetch(self._start, min(self._start + RANGE, self._size))


def key_of(name: str) -> tuple[str, str]:
    """Split a name at the first dot of its last part: the key, and the extension."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return folder + slash + stem, extension.lower()


def read_index(file: Readable, where: str, *, every_file: bool = False) -> Index:
    """Pass through an archive.

    Parameters
    ----------
    where
        What messages call it.
    every_file
        Take every member for an image that is no sidecar.

    Raises
    ------
    SourceError
        If it is no archive, is damaged or cut short, or cannot be understood without doubt.
    """
    images: list[Member] = []
    beside: dict[str, dict[str, str]] = {}
    ignored = 0
    seen: set[str] = set()
    for info in _members(file, where):
        name = info.name
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if info.isdir() or not parts or any(is_hidden(part) for part in parts):
            continue
        key, extension = key_of(name)
        wanted = every_file or has_image_suffix(name)
        if not (info.isreg() and (extension in _SIDECARS or wanted)):
            ignored += 1
            continue
        if name in seen:
            raise SourceError(
                f"{where} holds two members called {display(name)!r}, the second at byte "
                f"{info.offset:,}: which one counts? Write the archive anew with each name once"
            )
        seen.add(name)
        if extension in _SIDECARS:
            beside.setdefault(key, {})[extension] = _text(file, info, where)
        elif info.issparse():
            raise SourceError(
                f"{where}: {display(name)!r} is stored with holes (a sparse file), and cannot be "
                "read at its offset; write the archive anew without --sparse"
            )
        else:
            images.append(Member(name, info.offset_data, info.size))
    members = tuple(_joined(image, beside.get(key_of(image.name)[0], {})) for image in images)
    used = {key_of(image.name)[0] for image in images}
    alone = sum(len(found) for key, found in beside.items() if key not in used)
    return Index(members, ignored + alone)


def _joined(image: Member, beside: dict[str, str]) -> Member:
    texts = (beside.get(extension) for extension in _SIDECARS)
    return Member(image.name, image.offset, image.size, *texts)


def _members(file: Readable, where: str) -> Iterator[tarfile.TarInfo]:
    """Give each member; then make sure that the archive ended where it says it does."""
    n = 0
    try:
        with tarfile.open(
            fileobj=cast("IO[bytes]", file),  # it reads, seeks and tells, and that is all
            mode="r:",
            encoding="utf-8",
            errors="surrogateescape",
        ) as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
                n += 1
                yield info
            end = archive.offset
    except tarfile.TarError as error:
        raise _damaged(where, file.tell(), n, str(error)) from error
    _check_end(file, end, where, n)


def _check_end(file: Readable, end: int, where: str, n: int) -> None:
    """Refuse what tarfile would pass over: no end mark, a header that is none, a second archive."""
    file.seek(end)
    block = file.read(BLOCK)
    if block != _NOTHING:
        what = "it ends without an end mark" if len(block) < BLOCK else "what lies there is none"
        raise _damaged(where, end, n, f"a member's header was expected; {what}")
    at = end + BLOCK
    while rest := file.read(2**20):
        if rest.strip(b"\0"):
            raise SourceError(
                f"{where}: more follows after the end of the archive, at byte {at:,}: two archives "
                "one after the other? Give each a file of its own"
            )
        at += len(rest)


def _damaged(where: str, at: int, n: int | None, why: str) -> SourceError:
    after = "" if n is None else f", after {n:,} members"
    return SourceError(
        f"{where} is damaged, cut short or no tar archive: at byte {at:,}{after}, {why}; nothing "
        "of it was used: copy it again, or write it anew"
    )


def _text(file: Readable, info: tarfile.TarInfo, where: str) -> str:
    """Read a sidecar."""
    if info.size > MOST_SIDECAR:
        raise SourceError(
            f"{where}: {display(info.name)!r} has {info.size:,} bytes; a label, a caption or "
            f"fields beside an image have {MOST_SIDECAR:,} at most"
        )
    file.seek(info.offset_data)
    data = file.read(info.size)
    if len(data) < info.size:
        raise _damaged(where, info.offset_data, None, f"{display(info.name)!r} is cut short")
    return data.decode("utf-8-sig", "backslashreplace").strip()
