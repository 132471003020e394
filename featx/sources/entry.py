"""One image that was found but not yet read, and a whole set of them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from featx._types import Array
from featx.errors import ImageError, SourceReadError

if TYPE_CHECKING:
    from PIL import Image

Token: TypeAlias = tuple[bytes, int, int, int]
"""(absolute path or address, size, mtime in ns, inode or what stands for an ETag).

While it stays, the content is taken to stay.
"""
Payload: TypeAlias = "bytes | Array | Image.Image"

GONE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
)
"""Error numbers that speak about the path. All others speak about the disk or a permission."""


@dataclass(frozen=True, slots=True)
class Entry:
    r"""One image, not yet read.

    Attributes
    ----------
    path
        To show: as the user wrote it, or relative to the folder; bytes that are no UTF-8 as
        ``\xff``.
    token
        What tells that it has not changed; None: it has to be read always.
    failure
        Why it cannot be read, where that is known before reading.
    """

    path: str
    token: Token | None
    failure: str | None

    @property
    def elsewhere(self) -> bool:
        """Whether it is read over a network, so that reading is mostly waiting."""
        return False

    def read(self) -> Payload:
        """Read the file's bytes.

        Raises
        ------
        ImageError
            If the file is not there.
        SourceReadError
            If the disk or a permission stands in the way.
        """
        if self.token is None:
            raise ImageError(self.failure or "there is nothing to read")
        try:
            with open(self.token[0], "rb") as file:  # noqa: PTH123  (a bytes path keeps every name)
                return file.read()
        except OSError as error:
            raise unreadable(self.path, error) from error


@dataclass(frozen=True, slots=True)
class MemoryEntry(Entry):
    """One image that is in memory already."""

    payload: Payload

    def read(self) -> Payload:
        """Give the image."""
        return self.payload


@dataclass(frozen=True)
class Source:
    """A set of images.

    Attributes
    ----------
    name
        Of the data set.
    description
        Where it came from and how it was understood, for a person.
    entries
        (n,) in order.
    frame
        (n rows): the user's columns; ``label`` and ``split`` for folders.
    ignored
        How many files have no image extension.
    """

    name: str
    description: str
    entries: Sequence[Entry]
    frame: pd.DataFrame
    ignored: int


def unreadable(path: str, error: OSError) -> ImageError | SourceReadError:
    """Tell a path that leads nowhere from a disk or a permission that stands in the way."""
    reason = error.strerror or str(error)
    if error.errno in GONE:
        return ImageError(f"{reason.lower()}")
    return SourceReadError(
        f"cannot read {path!r}: {reason}; this is no fault of the image, so nothing was recorded; "
        "mend it and run again"
    )


def token_of(path: bytes, status: os.stat_result) -> Token:
    """Give the token of the file at ``path``.

    Windows gives no inode while a folder is listed, so there it is 0 everywhere.
    """
    inode = 0 if os.name == "nt" else status.st_ino
    return path, status.st_size, status.st_mtime_ns, inode


def hash63(*parts: object) -> int:
    """Give a number below 2^63 that stands for a few values."""
    digest = blake2b(repr(parts).encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def file_entry(path: str, shown: str) -> Entry:
    """Give the entry of the file at the absolute ``path``, shown as ``shown``.

    Raises
    ------
    SourceReadError
        If the disk or a permission stands in the way.
    """
    try:
        encoded = os.fsencode(path)
        status = os.stat(encoded)  # noqa: PTH116  (a bytes path keeps every name)
    except OSError as error:
        problem = unreadable(shown, error)
        if isinstance(problem, SourceReadError):
            raise problem from error
        return Entry(shown, None, f"{problem}: {shown_path(path)}")
    except ValueError as error:  # a NUL, or a character that no file name can have
        return Entry(shown, None, f"not a file name ({error})")
    if not stat.S_ISREG(status.st_mode):
        return Entry(shown, None, f"not a file: {shown_path(path)}")
    return Entry(shown, token_of(encoded, status), None)


def shown_path(path: str) -> str:
    """Show an absolute path in a message."""
    return ascii(path)[1:-1] if any("\udc80" <= c <= "\udcff" for c in path) else path


def text_column(values: Sequence[str | None]) -> pd.Series:
    """Give a column of text or None, the same under every version of pandas."""
    return pd.Series(values, dtype=object)
