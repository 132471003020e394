"""One pass over a source: the recipes it fills, their stores, the engine, and who may write."""

from __future__ import annotations

import secrets
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from featx._objects import ObjectPath
from featx.backbones import resolve
from featx.costs import PassCost
from featx.embedding import pipeline
from featx.embedding.distributed import blocks_of, embed_on
from featx.embedding.engine import known_certificates, network, source_of
from featx.embedding.identifying import identify
from featx.embedding.outcomes import settle
from featx.embedding.sinks import MemorySink, StoreSink, reading_sink
from featx.errors import CacheWriteError
from featx.forward import Asked
from featx.images import check_preprocess
from featx.store import Adopter, FeatureStore, StoreWriter
from featx.tokens import Recalled, TokenIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from featx._objects import Place
    from featx._types import Progress
    from featx.backbones import BackboneRequest, Resolved
    from featx.cluster import Cluster
    from featx.embedding.outcomes import Outcomes
    from featx.embedding.pipeline import Located
    from featx.embedding.sinks import Sink
    from featx.forward import ChosenEngine
    from featx.recipe import Preprocess, Recipe
    from featx.sources import Source
    from featx.store.making import AskedCompression

MIB = 2**20
Held = TypeVar("Held", StoreWriter, Adopter)


@dataclass(frozen=True)
class How:
    """How to run a pass; none of it changes what a vector is, beyond the certificate's tolerance.

    Attributes
    ----------
    device, precision, batch_size, engine, decoder
        See `featx.forward.Asked`.
    write
        Whether new vectors go into the cache, or into memory alone.
    fresh
        Whether everything is computed, as if nothing were cached; with ``write`` off.
    rehash
        Whether files are read again though size, time and inode are unchanged.
    retry_failed
        Whether images known as undecodable are tried again.
    raise_on_error
        Whether the first bad image ends the run.
    kept
        How many networks stay loaded for the next pass.
    compression
        Of a store that is made; one that is there keeps its own.
    views
        How many views of each image are wanted; those beyond the first are varied as the recipe
        says.
    """

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    engine: str = "auto"
    decoder: str = "auto"
    write: bool = True
    fresh: bool = False
    rehash: bool = False
    retry_failed: bool = False
    raise_on_error: bool = False
    seed: int = 0
    kept: int = 1
    compression: AskedCompression = "auto"
    views: int = 1

    @property
    def asked(self) -> Asked:
        """How vectors are to be computed."""
        return Asked(self.device, self.precision, self.batch_size, self.engine, self.decoder)


@dataclass(frozen=True)
class Pass:
    """What a pass did.

    Attributes
    ----------
    sinks
        One for each recipe; their stores are those from before the pass.
    """

    recipes: tuple[Recipe, ...]
    sinks: Sequence[Sink]
    located: Located
    seconds: float
    notes: tuple[str, ...]

    def store_after(self, cache: Place, recipe: Recipe) -> FeatureStore:
        """Give the store of a recipe after the pass: as it was read, where nothing was written."""
        sinks = [sink for sink in self.sinks if sink.recipe == recipe]
        read = [sink.store for sink in sinks if isinstance(sink, MemorySink)]
        return next(filter(None, read), None) or FeatureStore.open(cache / recipe.store_name)


def run_pass(
    source: Source,
    request: BackboneRequest,
    cache: Place,
    how: How,
    progress: Progress,
    only: Sequence[Recipe] | None = None,
    cluster: Callable[[], Cluster] | None = None,
) -> Pass:
    """Bring the vectors of a source under the recipes of a request into stores or memory.

    Parameters
    ----------
    only
        Those of the recipes that are wanted; None: all.
    cluster
        Gives those whose workers compute what is to be written, if anything is; None for this
        process.

    Raises
    ------
    FeatxError
        From the parts; what was done by then is kept.
    """
    start = time.perf_counter()
    resolved = resolve(request, cache, progress)
    for note in resolved.notes:
        progress.say(note)
    notes = list(resolved.notes)
    recipes = [r for r in resolved.recipes if only is None or r in only]
    sinks: Sequence[Sink] = [
        MemorySink(recipe) if how.fresh else reading_sink(cache, recipe) for recipe in recipes
    ]
    pre = resolved.recipes[0].preprocess
    check_preprocess(pre)
    with ExitStack() as stack:
        tokens = stack.enter_context(TokenIndex(cache, _counting(pre), progress.say))
        run = _Run(source, request, resolved, cache, how, tokens, progress, notes)
        entries, asked = source.entries, [entry.token for entry in source.entries]
        write = how.write and _must_write(sinks, how)
        recalled, outcomes = None, None
        adopters: list[Adopter] = []
        if not write:
            recalled = tokens.find(asked)
            outcomes = settle(entries, recalled, pre, sinks, how.views)
            write = how.write and len(outcomes.todo) > 0
        if write:
            waiting = time.perf_counter()
            try:
                if cluster is None:
                    sinks = _writing(run, stack, sinks)
                else:
                    adopters = run.held(stack, sinks, Adopter)
                    sinks = blocks_of(sinks, adopters, how.retry_failed)
            except CacheWriteError:
                outcomes = None if recalled is None else run.by_bytes(sinks, recalled)
                if outcomes is None or outcomes.todo:
                    raise
                write = False
        if write:
            begun = start + time.perf_counter() - waiting  # for another's lock: that is no cost
            own = [sink.writer for sink in sinks if isinstance(sink, StoreSink)]
            stack.callback(_record_cost, [*own, *adopters], begun)
            recalled = tokens.find(asked, recalled)  # the other may have read some meanwhile
            outcomes = settle(entries, recalled, pre, sinks, how.views)
            run.warn_of_room(sinks, len(outcomes.todo) * how.views)
        if outcomes is None or how.rehash:
            outcomes = settle(entries, Recalled.nothing(len(asked)), pre, sinks, how.views)
        if cluster is None or not write:
            located = run.embed(sinks, outcomes)
        else:
            located = run.embed_on(cluster(), sinks, adopters, outcomes)
        for sink in sinks:
            if isinstance(sink, StoreSink) and sink.retry:
                sink.writer.supersede_shadowed()
    seconds = time.perf_counter() - start
    return Pass(tuple(recipes), sinks, located, seconds, tuple(notes))


@dataclass(frozen=True)
class _Run:
    """One pass, whoever computes it and wherever the vectors go."""

    source: Source
    request: BackboneRequest
    resolved: Resolved
    cache: Place
    how: How
    tokens: TokenIndex
    progress: Progress
    notes: list[str]

    def by_bytes(self, sinks: Sequence[Sink], known: Recalled) -> Outcomes:
        """Say what becomes of the entries where those that seem new are read."""
        pre, views = self.resolved.recipes[0].preprocess, self.how.views
        entries = self.source.entries
        if not pre.has_parts:  # how many there are is seen by decoding alone
            todo = settle(entries, known, pre, sinks, views).todo
            known = identify(entries, todo, known, self.tokens, self.progress)
        return settle(entries, known, pre, sinks, views)

    def embed(self, sinks: Sequence[Sink], outcomes: Outcomes) -> Located:
        """Compute in this process."""
        how, request, resolved = self.how, self.request, self.resolved

        def on_made(chosen: ChosenEngine) -> None:
            for note in chosen.notes:
                self.progress.say(note)
            self.notes.extend(chosen.notes)
            for sink in sinks:
                if isinstance(sink, StoreSink):
                    sink.writer.start_run(source_of(request, resolved) | chosen.provenance)

        known = known_certificates(sinks)
        made = network(request, resolved, sinks, how.asked, how.kept, known, on_made, self.progress)
        return pipeline.embed(
            self.source.entries,
            resolved.recipes[0].preprocess,
            sinks,
            outcomes,
            made,
            self.tokens,
            views=how.views,
            raise_on_error=how.raise_on_error,
            seed=how.seed,
            progress=self.progress,
        )

    def embed_on(
        self,
        cluster: Cluster,
        sinks: Sequence[Sink],
        adopters: Sequence[Adopter],
        outcomes: Outcomes,
    ) -> Located:
        """Have the workers of a cluster compute."""
        located, notes = embed_on(
            cluster,
            self.source.entries,
            self.request,
            sinks,
            adopters,
            outcomes,
            self.cache.absolute(),
            self.how,
            self.tokens,
            self.progress,
        )
        self.notes.extend(notes)
        return located

    def held(
        self, stack: ExitStack, sinks: Sequence[Sink], take: Callable[..., Held]
    ) -> list[Held]:
        """Take each sink's store for writing, in one order: two runs cannot block each other."""
        taken: dict[str, Held] = {}
        wanted = {sink.recipe.store_name for sink in sinks}
        for recipe, map_shape, dim in sorted(self.resolved.filled, key=lambda f: f[0].store_name):
            if recipe.store_name in wanted:
                told = f"another featx is writing {recipe.label}; waiting"
                taken[recipe.store_name] = stack.enter_context(
                    take(
                        self.cache,
                        recipe,
                        map_shape,
                        dim,
                        on_wait=partial(self.progress.say, told),
                        compression=self.how.compression,
                    )
                )
        return [taken[sink.recipe.store_name] for sink in sinks]

    def warn_of_room(self, sinks: Sequence[Sink], n: int) -> None:
        """Say so where the ``n`` vectors to come may not fit on the disk."""
        if isinstance(self.cache, ObjectPath):
            return
        dims = {recipe: dim for recipe, _, dim in self.resolved.filled}
        row = sum(dims[s.recipe] * np.dtype(s.recipe.dtype).itemsize for s in sinks)
        free = shutil.disk_usage(self.cache).free
        if n * row > free:
            self.progress.say(
                f"{n} vectors come to {n * row / MIB:,.0f} MiB before they are compressed, and "
                f"{free / MIB:,.0f} MiB are free in {self.cache}: they may not fit"
            )


def _record_cost(writers: Sequence[StoreWriter | Adopter], begun: float) -> None:
    """Have the stores say what the pass took, also one that an error or a user ended."""
    rows = max(writer.n_rows for writer in writers)
    cost = PassCost(secrets.token_hex(8), rows, time.perf_counter() - begun)
    for writer in writers if rows else ():
        writer.record_cost(cost)


def _counting(pre: Preprocess) -> str:
    """Under which options an image's items are counted."""
    several = f"page={pre.page} channels={pre.channels} reader={pre.reader}"
    return several if pre.has_parts else ""


def _must_write(sinks: Sequence[Sink], how: How) -> bool:
    """Whether a lock is to be taken though nothing were missing."""
    if how.rehash or how.retry_failed:
        return True
    return any(sink.store is None or sink.store.needs_repair() for sink in sinks)


def _writing(run: _Run, stack: ExitStack, sinks: Sequence[Sink]) -> list[Sink]:
    """Open a writer for each sink's store."""
    derived = source_of(run.request, run.resolved) | {"engine": "derived"}
    writers = run.held(stack, sinks, partial(StoreWriter, provenance=derived))
    return [
        StoreSink(sink.recipe, writer, sink.flat, run.how.retry_failed)
        for sink, writer in zip(sinks, writers, strict=True)
    ]
