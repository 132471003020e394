"""Addresses: which texts are some, what they are called, and patterns that stand for several."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from featx.errors import UsageError

OBJECTS = frozenset({"s3", "gs", "az"})
WEB = frozenset({"http", "https"})
SCHEMES = OBJECTS | WEB | {"file"}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_BRACES = re.compile(r"\{([^{}]*(?:\.\.|,)[^{}]*)\}")
_RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)")
_MOST = 1_000_000


def scheme_of(data: Any) -> str:
    """Give the scheme of an address in lower case; empty for a path and for all that is no text.

    Raises
    ------
    UsageError
        If it is one that featx does not read.
    """
    found = _SCHEME.match(data) if isinstance(data, str) else None
    if found is None:
        return ""
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        raise UsageError(
            f"{data}: addresses that begin with {scheme}:// are not read; expected one of "
            f"{', '.join(f'{one}://' for one in sorted(SCHEMES))}"
        )
    return scheme


def is_address(text: str) -> bool:
    """Whether a text begins with a scheme that featx reads."""
    found = _SCHEME.match(text)
    return found is not None and found[1].lower() in SCHEMES


def is_remote(place: str | bytes) -> bool:
    """Whether it lies in an object store or on the web: of a token's path, or of a text."""
    text = os.fsdecode(place)
    return is_address(text) and not text.lower().startswith("file:")


def local_path(url: str) -> str:
    """Give the path of a ``file://`` address.

    Raises
    ------
    UsageError
        If it names another machine.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(
            f"{url} names the machine {parts.netloc!r}; a file of this one has three slashes, "
            "file:///folder/image.jpg"
        )
    return url2pathname(parts.path)


def plain(data: Any) -> Any:
    """Give the path of a ``file://`` address, and everything else as it is."""
    return local_path(data) if scheme_of(data) == "file" else data


def base_name(url: str) -> str:
    """Give the last part of an address's path, for its extension: without a query."""
    scheme = url.partition("://")[0].lower()
    path = unquote(urlsplit(url).path) if scheme in WEB else url.partition("://")[2]
    return path.rstrip("/").rpartition("/")[2]


def expanded(pattern: str) -> list[str]:
    """Give what a pattern with ``{000..099}`` or ``{a,b}`` stands for, in order.

    Raises
    ------
    UsageError
        If it stands for more than a million.
    """
    pieces = _BRACES.split(pattern)
    choices = [[piece] if i % 2 == 0 else list(_choices(piece)) for i, piece in enumerate(pieces)]
    n = 1
    for choice in choices:
        n *= len(choice)
    if n > _MOST:
        raise UsageError(f"{pattern} stands for {n:,} names; {_MOST:,} at most")
    return ["".join(parts) for parts in product(*choices)]


def _choices(inside: str) -> Iterator[str]:
    for piece in inside.split(","):
        found = _RANGE.fullmatch(piece)
        if found is None:
            yield piece
            continue
        first, last = int(found[1]), int(found[2])
        if abs(last - first) >= _MOST:
            raise UsageError(f"{{{piece}}} stands for {abs(last - first) + 1:,} names")
        padded = any(one.startswith("0") and len(one) > 1 for one in found.groups())
        width = max(map(len, found.groups())) if padded else 0
        step = 1 if last >= first else -1
        yield from (str(number).zfill(width) for number in range(first, last + step, step))
