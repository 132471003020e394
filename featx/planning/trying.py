"""One backbone: what the cache has, what a few images took, and what that makes of all."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from featx._memory import peak_bytes
from featx.backbones import resolve
from featx.images import check_preprocess
from featx.planning.disk import Written, blocks, stored_bytes, try_writing
from featx.planning.heads import Vectors, plan_heads
from featx.planning.known import Known, has_all, look_up
from featx.planning.memory import IMAGE_BYTES, VIEW_BYTES, writers, writing_bytes
from featx.planning.probe import Probe, probe, probe_derived
from featx.planning.result import PlannedBackbone, PlannedStore
from featx.store import block_rows
from featx.store.making import compression_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from featx._objects import Place as CachePlace
    from featx._types import Progress
    from featx.backbones import BackboneRequest, Resolved
    from featx.embedding.sinks import MemorySink
    from featx.planning.heads import Target
    from featx.preparing import Prepared
    from featx.store.layout import Compression


@dataclass(frozen=True)
class Place:
    """Where things lie.

    Attributes
    ----------
    cache
        The user's; it is only read, but for the block that is tried.
    scratch
        A folder of this plan alone.
    workers
        That will compute side by side.
    """

    cache: CachePlace
    scratch: Path
    workers: int
    progress: Progress

    @property
    def index(self) -> Path:
        """A copy of what the cache knows of files."""
        return self.scratch / "index"


@dataclass(frozen=True)
class Understood:
    """A request and its recipes.

    Attributes
    ----------
    seconds
        That it took to resolve.
    loaded
        Whether the network had to be loaded for that.
    """

    request: BackboneRequest
    resolved: Resolved
    seconds: float
    loaded: bool


def resolve_all(place: Place, prepared: Prepared) -> list[Understood]:
    """Resolve every request before the first is tried: a slip in the last name shows now."""
    found = []
    for request in prepared.requests:
        start = time.perf_counter()
        resolved = resolve(request, place.index, place.progress)
        check_preprocess(resolved.recipes[0].preprocess)
        seconds = time.perf_counter() - start
        loaded = resolved.backbone is not None
        found.append(Understood(request, replace(resolved, backbone=None), seconds, loaded))
    return found


@dataclass(frozen=True)
class Tried:
    """What is known of a backbone after its probes.

    Attributes
    ----------
    views
        That are wanted of each image.
    workers
        That compute side by side, each as fast as this machine.
    read_bytes
        Of the files of images to be computed.
    seen
        What a few images took; None where there is nothing to compute.
    pooled
        What it took to pool a few; None where there is nothing to pool.
    written
        For each recipe, how its vectors are written; None where there were none to try.
    peak_bytes
        Of memory, after the images.
    """

    asked: Understood
    known: Known
    compressions: tuple[Compression, ...]
    views: int
    workers: int
    read_bytes: int
    seen: Probe | None
    pooled: Probe | None
    written: tuple[Written | None, ...]
    peak_bytes: int

    @property
    def items(self) -> float:
        """Vectors of an image: its views, or its pages or channels."""
        return float(self.views) if self.views > 1 or self.seen is None else self.seen.items

    @property
    def image_s(self) -> float | None:
        """Seconds an image with all its views: computed, or written where that is slower."""
        if self.seen is None or self.seen.image_s is None:
            return None
        return max(self.seen.image_s, self.items * sum(w.row_s for w in self.written if w))

    def planned(self, heads: Sequence[str], asked: Target, free: int) -> PlannedBackbone:
        """Add up what all images will take, and ask for the heads."""
        known, busy = self.known, self._busy()
        return PlannedBackbone(
            backbone=self.asked.resolved.recipes[0].backbone,
            compute=len(known.todo),
            compute_views=known.todo_views,
            derived=len(known.derived),
            cached=known.cached,
            copies=known.copies,
            undecodable=known.undecodable,
            start_s=self._start_s(),
            images_per_second=1 / self.image_s if self.image_s else None,
            seconds=self._seconds(),
            read_bytes=self.read_bytes,
            busy=busy,
            bound_by=max(busy, key=lambda stage: busy[stage], default=""),
            memory_bytes=self._memory() if known.todo or known.derived else None,
            stores=tuple(self._store(i, heads, asked, free) for i in range(len(known.sinks))),
            notes=self._notes(),
        )

    def _start_s(self) -> float:
        return self.asked.seconds + (self.seen.start_s if self.seen else 0.0)

    def _seconds(self) -> float | None:
        if self.known.todo and self.image_s is None:
            return None
        computing = self.known.todo_views / self.views * (self.image_s or 0.0)
        pooling = self.known.derived_views * ((self.pooled and self.pooled.image_s) or 0.0)
        starts = 1 if self.workers == 1 else 2  # one makes the certificate, then the others begin
        return starts * self._start_s() + (computing + pooling / self.views) / self.workers

    def _busy(self) -> dict[str, float]:
        """Give the shares at the rate of the whole, with writing."""
        if self.seen is None or self.seen.image_s is None or self.image_s is None:
            return {}
        slower = self.seen.image_s / self.image_s
        writing = self.items * sum(w.busy_s for w in self.written if w)
        threads = writers() * len(self.written)
        share = max(writing / threads, self.items * sum(w.row_s for w in self.written if w))
        busy = {stage: value * slower for stage, value in self.seen.busy.items()}
        return busy | {"write": min(1.0, share / self.image_s)}

    def _store(self, i: int, heads: Sequence[str], asked: Target, free: int) -> PlannedStore:
        recipe, _, dim = self.asked.resolved.filled[i]
        rows, n_blocks, written = self._rows(i), self._blocks(i), self.written[i]
        share = None if written is None else written.share
        taken = stored_bytes(rows, recipe, dim, n_blocks, self.compressions[i], share or 1.0)
        vectors = Vectors(self.items / self.views, self.views, dim, recipe.dtype)
        found = plan_heads(heads, asked, vectors, free)
        return PlannedStore(recipe.label, dim, rows, n_blocks, taken, share, found)

    def _rows(self, i: int) -> int:
        return round(self.known.lacking[i] * self.items / self.views)

    def _blocks(self, i: int) -> int:
        recipe, _, dim = self.asked.resolved.filled[i]
        a_second = self.items / self.image_s if self.image_s else None
        return blocks(self._rows(i), block_rows(dim, recipe.dtype), a_second)

    def _memory(self) -> int:
        total = self.peak_bytes + (IMAGE_BYTES + VIEW_BYTES * (self.views - 1)) * self.known.n
        for i, (recipe, _, dim) in enumerate(self.asked.resolved.filled):
            block = block_rows(dim, recipe.dtype) * dim * np.dtype(recipe.dtype).itemsize
            written = self.written[i]
            total += writing_bytes(block, self._blocks(i), written.share if written else 1.0)
        return total

    def _notes(self) -> tuple[str, ...]:
        notes = [*self.asked.resolved.notes, *self.known.notes]
        if self.seen is None:
            return tuple(notes)
        notes += [note for note in self.seen.notes if note not in notes]
        n = self.seen.tried
        again = sum(has_all(self.known.sinks, *key) for key in self.seen.digests)
        if again:
            notes.append(f"{again} of {n} images tried are cached already, under another name")
        if self.seen.failures:
            whys = Counter(self.seen.failures).most_common()
            said = "; ".join(f"{why} ({k})" if len(whys) > 1 else why for why, k in whys)
            notes.append(f"{len(self.seen.failures)} of {n} images tried have no vector: {said}")
        return tuple(notes)


def try_one(place: Place, prepared: Prepared, asked: Understood) -> Tried:
    """Look a source's images up, and try some of those to come."""
    entries, recipes, views = prepared.source.entries, asked.resolved.recipes, prepared.how.views
    known = look_up(entries, recipes, place.cache, place.index, place.progress, views)
    seen = pooled = None
    if known.todo:
        name = recipes[0].backbone
        place.progress.say(f"{name}: trying some of {len(known.todo):,} images to come")
        scratch = place.scratch / recipes[0].hash
        seen = probe(
            prepared.source, known.todo, asked.request, prepared.how, scratch, place.progress,
            loaded=asked.loaded,
        )  # fmt: skip
    if known.derived:
        pooled = probe_derived(known, views)
    peak = peak_bytes()
    found = seen or pooled
    stored = tuple(_compression(sink, prepared.how.compression) for sink in known.sinks)
    written = [
        try_writing(place.cache, recipe, how, rows) if len(rows) else None
        for recipe, how, rows in zip(recipes, stored, found.rows, strict=True)
    ] if found else [None] * len(recipes)  # fmt: skip
    to_read = (entries[i].token for i in known.todo)
    read_bytes = sum(token[1] for token in to_read if token is not None)
    return Tried(
        asked, known, stored, views, place.workers, read_bytes, seen, pooled, tuple(written), peak
    )


def _compression(sink: MemorySink, asked: str) -> Compression:
    """A store that is there keeps its own."""
    made = compression_of(asked)
    return made if sink.store is None else sink.store.layout.compression
