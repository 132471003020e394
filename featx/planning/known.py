"""What the cache knows of a source's images, told without decoding one or changing anything."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from shutil import copyfile, copytree
from typing import TYPE_CHECKING

import numpy as np

from featx._files import side_dir
from featx.embedding.identifying import identify
from featx.embedding.sinks import MemorySink, can_derive, has_item, has_items
from featx.store import UNDECODABLE, FeatureStore
from featx.tokens import TokenIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from featx._objects import Place
    from featx._types import Progress
    from featx.recipe import Preprocess, Recipe
    from featx.sources import Entry
    from featx.tokens import Recalled


READ_AT_MOST = 4 * 2**30
"""Bytes of files whose content is looked at: a minute's reading or less."""


@dataclass(frozen=True)
class Known:
    """What would become of each entry.

    Attributes
    ----------
    todo
        Entries to be computed.
    derived
        Digests of images whose vectors would be pooled from a flattened store.
    cached, undecodable, missing
        Numbers of images: that every store has, that are known to be bad, that are not there.
    copies
        Number of images whose bytes another one of ``todo`` or ``derived`` has.
    todo_views, derived_views
        Of these images, how many views any store lacks; the pages or channels of an image count as
        one.
    lacking
        For each recipe, how many of these views its store lacks.
    sinks
        What the stores hold; what is damaged counts as nothing.
    notes
        Lines for the user.
    """

    todo: tuple[int, ...]
    derived: tuple[bytes, ...]
    cached: int
    undecodable: int
    missing: int
    copies: int
    todo_views: int
    derived_views: int
    lacking: tuple[int, ...]
    sinks: tuple[MemorySink, ...]
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """All entries."""
        known = self.cached + self.undecodable + self.missing + self.copies
        return known + len(self.todo) + len(self.derived)


def copy_index(cache: Place, scratch: Path) -> None:
    """Copy what tells images and backbones apart into a folder that may be written to."""
    scratch.mkdir()
    with suppress(FileNotFoundError):
        copyfile(side_dir(cache) / "tokens.sqlite", scratch / "tokens.sqlite")
    if (side_dir(cache) / "memo").is_dir():
        copytree(side_dir(cache) / "memo", scratch / "memo")


def look_up(
    entries: Sequence[Entry],
    recipes: Sequence[Recipe],
    cache: Place,
    scratch: Path,
    progress: Progress,
    views: int = 1,
) -> Known:
    """Sort entries by what a pass would do with them.

    Parameters
    ----------
    cache
        Where the stores are.
    scratch
        That of `copy_index`.
    views
        That are wanted of each image.

    Notes
    -----
    A file that was moved, copied or touched since it was read is read again, for only its bytes
    tell that it is known: where a store may have it, or another file is as large. What lies
    elsewhere is not fetched for that, and of more than 4 GiB nothing is read: a note says so.
    """
    notes: list[str] = []
    sinks = tuple(_sink(cache, recipe, notes) for recipe in recipes)
    pre = recipes[0].preprocess
    counting = f"page={pre.page} channels={pre.channels} reader={pre.reader}"
    with TokenIndex(scratch, counting if pre.has_parts else "", notes.append) as tokens:
        known = tokens.find([entry.token for entry in entries])
        if not pre.has_parts:  # how many there are is seen by decoding alone
            stored = any(sink.store or sink.flat for sink in sinks)
            those = _to_read(entries, known, notes, stored=stored)
            known = identify(entries, those, known, tokens, progress)
    return replace(_sorted(entries, known, sinks, pre, views), notes=tuple(notes))


def _to_read(
    entries: Sequence[Entry], known: Recalled, notes: list[str], *, stored: bool
) -> list[int]:
    """Give the entries whose bytes may tell that they need not be computed.

    Parameters
    ----------
    stored
        Whether a store may have any of them; else only files as large as another one may be known.
    """
    at = [i for i in np.flatnonzero(known.items == 0).tolist() if _is_here(entries[i])]
    sizes = Counter(_size(entries[i]) for i in at)
    at = [i for i in at if stored or sizes[_size(entries[i])] > 1]
    n_bytes = sum(_size(entries[i]) or 0 for i in at)
    if n_bytes <= READ_AT_MOST:
        return at
    notes.append(
        f"{len(at):,} files ({n_bytes / 2**30:,.1f} GiB) were not read to see whether the cache "
        "knows them by another name; `featx extract` computes only what it does not know"
    )
    return []


def _is_here(entry: Entry) -> bool:
    return entry.failure is None and not entry.elsewhere


def _size(entry: Entry) -> int | None:
    return None if entry.token is None else entry.token[1]


def _sorted(
    entries: Sequence[Entry],
    known: Recalled,
    sinks: tuple[MemorySink, ...],
    pre: Preprocess,
    views: int,
) -> Known:
    todo: list[int] = []
    derived: list[bytes] = []
    counts = Counter(cached=0, undecodable=0, missing=0, copies=0, todo_views=0, derived_views=0)
    claimed: set[bytes] = set()
    lacking = [0] * len(sinks)
    for i, entry in enumerate(entries):
        if entry.failure is not None:
            counts["missing"] += 1
            continue
        n_items = int(known.items[i])
        found = (known.digest[i].tobytes(), n_items) if n_items else None
        lacks = _lacks(sinks, found, pre, views)
        if found is not None and any(map(any, lacks)):
            if found[0] in claimed:
                counts["copies"] += 1
                continue
            claimed.add(found[0])
        lacking = [n + sum(one) for n, one in zip(lacking, lacks, strict=True)]
        new = sum(map(any, zip(*lacks, strict=True)))
        if found is None or (new and not _derivable(sinks, found[0], lacks, pre)):
            todo.append(i)
            counts["todo_views"] += new
        elif new:
            derived.append(found[0])
            counts["derived_views"] += new
        else:
            counts["undecodable" if _is_bad(sinks, found[0]) else "cached"] += 1
    return Known(
        tuple(todo), tuple(derived), **counts, lacking=tuple(lacking), sinks=sinks, notes=()
    )


def has_all(sinks: Sequence[MemorySink], digest: bytes, items: int) -> bool:
    """Say whether every store has an image."""
    return all(has_items(sink, digest, items) for sink in sinks)


def _sink(cache: Place, recipe: Recipe, notes: list[str]) -> MemorySink:
    flat = None
    if recipe.pooling != "flatten":
        flat = _sound(cache, replace(recipe, pooling="flatten"), [])
    return MemorySink(recipe, _sound(cache, recipe, notes), flat)


def _sound(cache: Place, recipe: Recipe, notes: list[str]) -> FeatureStore | None:
    path = cache / recipe.store_name
    if not path.is_dir():
        return None
    store = FeatureStore.open(path)
    if not store.needs_repair():
        return store
    notes.append(
        f"{path.name} is damaged: what the next extraction can save of it is not counted here"
    )
    return None


def _lacks(
    sinks: Sequence[MemorySink], found: tuple[bytes, int] | None, pre: Preprocess, views: int
) -> list[list[bool]]:
    """Say of each store which views of an image it lacks, or whether any page or channel."""
    if found is None:
        return [[True] * views for _ in sinks]
    digest, items = found
    if pre.has_parts:
        return [[not has_items(sink, digest, items)] for sink in sinks]
    return [[not has_item(sink, digest, view) for view in range(views)] for sink in sinks]


def _derivable(
    sinks: Sequence[MemorySink], digest: bytes, lacks: Sequence[list[bool]], pre: Preprocess
) -> bool:
    pairs = zip(sinks, lacks, strict=True)
    return not pre.has_parts and all(
        can_derive(sink, digest, len(lack)) for sink, lack in pairs if any(lack)
    )


def _is_bad(sinks: Sequence[MemorySink], digest: bytes) -> bool:
    return any(
        sink.store is not None and UNDECODABLE in sink.store.index.states_of(digest, 1)
        for sink in sinks
    )
