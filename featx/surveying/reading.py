"""Read each file once, in threads, and keep of it only what is counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from featx import images
from featx.embedding.reading import in_order, workers
from featx.errors import ImageError, ImageOptionError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from featx._types import Progress
    from featx.recipe import Preprocess
    from featx.sources import Entry

AT_ONCE = 8
"""Files that a thread reads before it hands over: enough that handing over costs nothing."""


@dataclass(frozen=True, slots=True)
class File:
    """A file, or an image in memory, and the rows that name it."""

    entry: Entry
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a file.

    Attributes
    ----------
    digest
        Of its bytes; None where there were none to read.
    size_bytes
        How many; None of an image that is no file of its own.
    look
        None where it cannot be decoded.
    reason
        Why not; empty where it could.
    option
        Whether an option would say how to read it.
    """

    digest: bytes | None = None
    size_bytes: int | None = None
    look: images.Look | None = None
    reason: str = ""
    option: bool = False


def files_of(entries: Sequence[Entry]) -> list[File]:
    """Put rows together that name one file, in the order of their first."""
    rows: dict[Hashable, list[int]] = {}
    for row, entry in enumerate(entries):
        rows.setdefault(row if entry.token is None else entry.token[0], []).append(row)
    return [File(entries[named[0]], tuple(named)) for named in rows.values()]


def see_all(
    files: Sequence[File], pre: Preprocess, progress: Progress
) -> Iterator[tuple[File, Seen]]:
    """Read and decode each file; give what became of it, in order.

    Raises
    ------
    SourceReadError
        If the disk or a permission stands in the way.
    """
    jobs = (files[start : start + AT_ONCE] for start in range(0, len(files), AT_ONCE))
    see_some = partial(_see_some, pre=pre)
    progress.start("reading", len(files))
    readers = workers([file.entry for file in files])
    for found in in_order(see_some, jobs, readers, 2 * readers):
        yield from found
        progress.advance(len(found))
    progress.finish()


def _see_some(files: Sequence[File], pre: Preprocess) -> list[tuple[File, Seen]]:
    return [(file, _see(file.entry, pre)) for file in files]


def _see(entry: Entry, pre: Preprocess) -> Seen:
    digest, size_bytes = None, None
    try:
        payload = entry.read()
        digest = images.digest(payload)
        size_bytes = len(payload) if isinstance(payload, bytes) else None
        return Seen(digest, size_bytes, images.look(payload, pre))
    except ImageError as error:
        option = isinstance(error, ImageOptionError)
        return Seen(digest, size_bytes, reason=str(error), option=option)
