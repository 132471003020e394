"""Ask what is known of images that lie elsewhere: many at once, and none of them read."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from featx._objects import ObjectPath
from featx._types import Progress
from featx.errors import ImageError, SourceNotFoundError, UsageError
from featx.sources.entry import Entry, Source
from featx.sources.hosts import Hosts, WebEntry
from featx.sources.names import display
from featx.sources.objects import ListingDeniedError, head, listing, object_entry
from featx.sources.urls import WEB, scheme_of

AT_ONCE = 32
"""Requests."""
_WORTH_LISTING = 20
"""Images of one folder of a bucket for which a listing is begun."""
_MOST_LISTED = 100
"""Times as many objects are listed before each image is asked for instead: a listing gives 1,000 in
one request, so that it never takes more than a tenth of the requests."""


@dataclass(frozen=True, slots=True)
class Unasked(Entry):
    """An image elsewhere, of which nothing is known yet."""

    url: str


def unasked(url: str) -> Entry:
    """Give the entry of an address in a bucket or on the web, before anything is asked."""
    return Unasked(display(url), None, None, url)


def ask(source: Source, progress: Progress) -> Source:
    """Give a source every image of which is known by a token, or to be missing, or neither.

    Raises
    ------
    SourceNotFoundError
        If all of its images are elsewhere and none is there.
    SourceReadError
        If access is denied, or the network fails after retries.
    """
    urls = dict.fromkeys(e.url for e in source.entries if isinstance(e, Unasked))
    if not urls:
        return source
    web = [url for url in urls if scheme_of(url) in WEB]
    progress.start("asking for images elsewhere", len(urls))
    try:
        stored = [url for url in urls if scheme_of(url) not in WEB]
        known = _ask_buckets(stored, progress) | _ask_web(web, progress)
    finally:
        progress.finish()
    entries = [
        dataclasses.replace(known[entry.url], path=entry.path)
        if isinstance(entry, Unasked)
        else entry
        for entry in source.entries
    ]
    gone = [entry for entry in entries if entry.failure is not None]
    if len(gone) == len(entries):
        raise SourceNotFoundError(
            f"none of the {len(entries):,} images can be read; the first: {gone[0].path}: "
            f"{gone[0].failure}"
        )
    return dataclasses.replace(
        source, description=source.description + _said(list(known.values())), entries=entries
    )


def _said(entries: Sequence[Entry]) -> str:
    counts = Counter(
        "missing" if one.failure is not None else "unknown" if one.token is None else "known"
        for one in entries
    )
    said = f", {len(entries):,} addresses"
    if counts["missing"]:
        said += f", {counts['missing']:,} of them without an image"
    if counts["unknown"]:
        said += (
            f", {counts['unknown']:,} read in every run because their servers give neither ETag "
            "nor Last-Modified"
        )
    return said


def _each(
    ask_one: Callable[[str], Entry], urls: Sequence[str], progress: Progress
) -> dict[str, Entry]:
    """Ask for each address in threads; the first error ends it."""
    found: dict[str, Entry] = {}
    with ThreadPoolExecutor(AT_ONCE, "featx-ask") as pool:
        try:
            for url, entry in zip(urls, pool.map(ask_one, urls), strict=True):
                found[url] = entry
                progress.advance()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _ask_web(urls: Sequence[str], progress: Progress) -> dict[str, Entry]:
    hosts = Hosts(urls)

    def ask_one(url: str) -> Entry:
        try:
            return WebEntry(url, hosts.ask(url), None, url, hosts)
        except ImageError as error:
            return WebEntry(url, None, str(error), url, hosts)

    return _each(ask_one, urls, progress)


def _ask_buckets(urls: Sequence[str], progress: Progress) -> dict[str, Entry]:
    """Ask for objects: by listings where many lie in one folder, and for each of the others."""
    found: dict[str, Entry] = {}
    places: dict[str, ObjectPath] = {}
    for url in urls:
        try:
            places[url] = ObjectPath.of(url)
        except UsageError as error:
            found[url] = Entry(url, None, str(error))
    for folder, wanted in _folders(places).items():
        metas = _listed(folder, {places[url].key for url in wanted})
        for url in wanted if metas is not None else ():
            found[url] = object_entry(places[url], url, (metas or {}).get(places[url].key))
            progress.advance()
    rest = [url for url in urls if url not in found]
    found.update(_each(lambda u: object_entry(places[u], u, head(places[u])), rest, progress))
    return found


def _folders(places: Mapping[str, ObjectPath]) -> dict[ObjectPath, list[str]]:
    """Give the folders of which enough images are wanted, with their addresses."""
    folders: dict[ObjectPath, list[str]] = defaultdict(list)
    for url, place in places.items():
        folders[place.parent].append(url)
    return {folder: urls for folder, urls in folders.items() if len(urls) >= _WORTH_LISTING}


def _listed(folder: ObjectPath, keys: Iterable[str]) -> dict[str, Mapping[str, Any]] | None:
    """Give what is known of those keys that there are.

    None if the folder holds far too much, or may not be listed, though its objects may be read.
    """
    wanted = set(keys)
    found: dict[str, Mapping[str, Any]] = {}
    try:
        for n, meta in enumerate(listing(folder)):
            if meta["path"] in wanted:
                found[meta["path"]] = meta
                if len(found) == len(wanted):
                    break
            elif n > _MOST_LISTED * len(wanted):
                return None
    except ListingDeniedError:
        return None
    return found
