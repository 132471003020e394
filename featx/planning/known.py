"""What the cache knows of a source's images, told without reading one or changing anything."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from shutil import copyfile, copytree
from typing import TYPE_CHECKING

from featx.embedding.sinks import MemorySink, can_derive, has_items
from featx.store import UNDECODABLE, FeatureStore
from featx.tokens import TokenIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from featx.recipe import Preprocess, Recipe
    from featx.sources import Entry


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
    lacking
        For each recipe, how many of ``todo`` and ``derived`` its store lacks.
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
    lacking: tuple[int, ...]
    sinks: tuple[MemorySink, ...]
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """All entries."""
        known = self.cached + self.undecodable + self.missing
        return known + len(self.todo) + len(self.derived)


def copy_index(cache: Path, scratch: Path) -> None:
    """Copy what tells images and backbones apart into a folder that may be written to."""
    scratch.mkdir()
    with suppress(FileNotFoundError):
        copyfile(cache / "tokens.sqlite", scratch / "tokens.sqlite")
    if (cache / "memo").is_dir():
        copytree(cache / "memo", scratch / "memo")


def look_up(
    entries: Sequence[Entry], recipes: Sequence[Recipe], cache: Path, scratch: Path
) -> Known:
    """Sort entries by what a pass would do with them.

    Parameters
    ----------
    cache
        Where the stores are.
    scratch
        That of `copy_index`.

    Notes
    -----
    A file that was moved, copied or touched since it was read counts as one to be computed, for
    only its bytes tell that it is known.
    """
    notes: list[str] = []
    sinks = tuple(_sink(cache, recipe, notes) for recipe in recipes)
    pre = recipes[0].preprocess
    several = pre.page == "all" or pre.channels == "each"
    counting = f"page={pre.page} channels={pre.channels} reader={pre.reader}" if several else ""
    with TokenIndex(scratch, counting, notes.append) as tokens:
        known = tokens.get([entry.token for entry in entries if entry.token is not None])
    todo: list[int] = []
    derived: list[bytes] = []
    counts = {"cached": 0, "undecodable": 0, "missing": 0}
    lacking = [0] * len(sinks)
    for i, entry in enumerate(entries):
        if entry.failure is not None:
            counts["missing"] += 1
            continue
        found = known.get(entry.token) if entry.token is not None else None
        lacks = _lacks(sinks, found, pre)
        lacking = [n + one for n, one in zip(lacking, lacks, strict=True)]
        if found is None or (any(lacks) and not _derivable(sinks, found[0], lacks, several)):
            todo.append(i)
        elif any(lacks):
            derived.append(found[0])
        else:
            counts["undecodable" if _is_bad(sinks, found[0]) else "cached"] += 1
    return Known(
        tuple(todo), tuple(derived), **counts, lacking=tuple(lacking), sinks=sinks,
        notes=tuple(notes),
    )  # fmt: skip


def has_all(sinks: Sequence[MemorySink], digest: bytes, items: int) -> bool:
    """Say whether every store has an image."""
    return all(has_items(sink, digest, items) for sink in sinks)


def _sink(cache: Path, recipe: Recipe, notes: list[str]) -> MemorySink:
    flat = None
    if recipe.pooling != "flatten":
        flat = _sound(cache, replace(recipe, pooling="flatten"), [])
    return MemorySink(recipe, _sound(cache, recipe, notes), flat)


def _sound(cache: Path, recipe: Recipe, notes: list[str]) -> FeatureStore | None:
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
    sinks: Sequence[MemorySink], found: tuple[bytes, int] | None, pre: Preprocess
) -> list[bool]:
    """Say which stores lack an image."""
    if found is None:
        return [True] * len(sinks)
    digest, items = found
    several = pre.page == "all" or pre.channels == "each"
    return [not has_items(sink, digest, items if several else 1) for sink in sinks]


def _derivable(
    sinks: Sequence[MemorySink], digest: bytes, lacks: Sequence[bool], several: bool
) -> bool:
    pairs = zip(sinks, lacks, strict=True)
    return not several and all(can_derive(sink, digest) for sink, lack in pairs if lack)


def _is_bad(sinks: Sequence[MemorySink], digest: bytes) -> bool:
    return any(
        sink.store is not None and UNDECODABLE in sink.store.index.states_of(digest, 1)
        for sink in sinks
    )
