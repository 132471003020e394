"""One pass over a source: the recipes it fills, their stores, the engine, and who may write."""

from __future__ import annotations

import secrets
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from featx.backbones import load_backbone, resolve
from featx.costs import PassCost
from featx.embedding import pipeline
from featx.embedding.outcomes import settle
from featx.embedding.sinks import MemorySink, StoreSink
from featx.embedding.work import Network
from featx.errors import RecipeMismatchError
from featx.forward import ROWS, Asked, choose_engine
from featx.forward.ways import pays_compiling
from featx.images import check_preprocess
from featx.store import FeatureStore, StoreWriter
from featx.tokens import Recalled, TokenIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from featx._types import JsonObject, Progress
    from featx.backbones import Backbone, BackboneRequest, Resolved
    from featx.embedding.pipeline import Located
    from featx.embedding.sinks import Sink
    from featx.forward import ChosenEngine, Sample
    from featx.recipe import Preprocess, Recipe
    from featx.sources import Source
    from featx.store.making import AskedCompression


MIB = 2**20


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

    def store_after(self, cache: Path, recipe: Recipe) -> FeatureStore:
        """Give the store of a recipe after the pass: as it was read, where nothing was written."""
        sinks = [sink for sink in self.sinks if sink.recipe == recipe]
        read = [sink.store for sink in sinks if isinstance(sink, MemorySink)]
        return next(filter(None, read), None) or FeatureStore.open(cache / recipe.store_name)


def run_pass(
    source: Source,
    request: BackboneRequest,
    cache: Path,
    how: How,
    progress: Progress,
    only: Sequence[Recipe] | None = None,
) -> Pass:
    """Bring the vectors of a source under the recipes of a request into stores or memory.

    Parameters
    ----------
    only
        Those of the recipes that are wanted; None: all.

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
        MemorySink(recipe) if how.fresh else _reading(cache, recipe) for recipe in recipes
    ]
    pre = resolved.recipes[0].preprocess
    check_preprocess(pre)
    with ExitStack() as stack:
        tokens = stack.enter_context(TokenIndex(cache, _counting(pre), progress.say))
        entries, asked = source.entries, [entry.token for entry in source.entries]
        write = how.write and _must_write(sinks, how)
        recalled, outcomes = None, None
        if not write:
            recalled = tokens.find(asked)
            outcomes = settle(entries, recalled, pre, sinks, how.views)
            write = how.write and len(outcomes.todo) > 0
        if write:
            waiting = time.perf_counter()
            sinks = _writing(stack, cache, request, resolved, sinks, how, progress)
            begun = start + time.perf_counter() - waiting  # for another's lock: that is no cost
            stack.callback(_record_cost, sinks, begun)
            recalled = tokens.find(asked, recalled)  # the other may have read some meanwhile
            outcomes = settle(entries, recalled, pre, sinks, how.views)
            _warn_of_room(cache, resolved, sinks, len(outcomes.todo) * how.views, progress)
        if outcomes is None or how.rehash:
            outcomes = settle(entries, Recalled.nothing(len(asked)), pre, sinks, how.views)
        network = _network(request, resolved, sinks, how, notes, progress)
        located = pipeline.embed(
            entries,
            pre,
            sinks,
            outcomes,
            network,
            tokens,
            views=how.views,
            raise_on_error=how.raise_on_error,
            seed=how.seed,
            progress=progress,
        )
        for sink in sinks:
            if isinstance(sink, StoreSink) and sink.retry:
                sink.writer.supersede_shadowed()
    seconds = time.perf_counter() - start
    return Pass(tuple(recipes), sinks, located, seconds, tuple(notes))


def _record_cost(sinks: Sequence[Sink], begun: float) -> None:
    """Have the stores say what the pass took, also one that an error or a user ended."""
    writers = [sink.writer for sink in sinks if isinstance(sink, StoreSink)]
    rows = max(writer.n_rows for writer in writers)
    cost = PassCost(secrets.token_hex(8), rows, time.perf_counter() - begun)
    for writer in writers if rows else ():
        writer.record_cost(cost)


def _counting(pre: Preprocess) -> str:
    """Under which options an image's items are counted."""
    several = f"page={pre.page} channels={pre.channels} reader={pre.reader}"
    return several if pre.has_parts else ""


def _existing(cache: Path, recipe: Recipe) -> FeatureStore | None:
    path = cache / recipe.store_name
    return FeatureStore.open(path) if path.is_dir() else None


def _flat(cache: Path, recipe: Recipe) -> FeatureStore | None:
    """Give the store that a recipe's vectors can be pooled from, if there is a sound one."""
    if recipe.pooling == "flatten":
        return None
    flat = _existing(cache, replace(recipe, pooling="flatten"))
    return None if flat is None or flat.needs_repair() else flat


def _reading(cache: Path, recipe: Recipe) -> MemorySink:
    return MemorySink(recipe, _existing(cache, recipe), _flat(cache, recipe))


def _must_write(sinks: Sequence[Sink], how: How) -> bool:
    """Whether a lock is to be taken though nothing were missing."""
    if how.rehash or how.retry_failed:
        return True
    return any(sink.store is None or sink.store.needs_repair() for sink in sinks)


def _writing(
    stack: ExitStack,
    cache: Path,
    request: BackboneRequest,
    resolved: Resolved,
    sinks: Sequence[Sink],
    how: How,
    progress: Progress,
) -> list[Sink]:
    """Open a writer for each recipe, in one order: two runs cannot block each other for ever."""
    writers: dict[str, StoreWriter] = {}
    wanted = {sink.recipe.store_name for sink in sinks}
    for recipe, map_shape, dim in sorted(resolved.filled, key=lambda f: f[0].store_name):
        if recipe.store_name not in wanted:
            continue
        writer = StoreWriter(
            cache,
            recipe,
            map_shape,
            dim,
            provenance=_source(request, resolved) | {"engine": "derived"},
            compression=how.compression,
            on_wait=partial(progress.say, f"another featx is writing {recipe.label}; waiting"),
        )
        writers[recipe.store_name] = stack.enter_context(writer)
    return [
        StoreSink(s.recipe, writers[s.recipe.store_name], s.flat, how.retry_failed) for s in sinks
    ]


def _warn_of_room(
    cache: Path, resolved: Resolved, sinks: Sequence[Sink], n_images: int, progress: Progress
) -> None:
    """Say so where the vectors to come may not fit on the disk."""
    dims = {recipe: dim for recipe, _, dim in resolved.filled}
    row = sum(dims[s.recipe] * np.dtype(s.recipe.dtype).itemsize for s in sinks)
    free = shutil.disk_usage(cache).free
    if n_images * row > free:
        progress.say(
            f"{n_images} vectors come to {n_images * row / MIB:,.0f} MiB before they are "
            f"compressed, and {free / MIB:,.0f} MiB are free in {cache}: they may not fit"
        )


def _source(request: BackboneRequest, resolved: Resolved) -> JsonObject:
    """What makes the backbone again, for the provenance of what it computes."""
    return {"request": request.to_json(), "weights": resolved.provenance}


def _network(
    request: BackboneRequest,
    resolved: Resolved,
    sinks: Sequence[Sink],
    how: How,
    notes: list[str],
    progress: Progress,
) -> Network:
    """Say how to make the engine; its provenance goes to the writers when it is made."""
    stores = [sink.store for sink in sinks if sink.store is not None]
    runs = [run["provenance"] for store in stores for run in store.runs]
    known = {k: v for run in runs for k, v in run.get("certificates", {}).items()}

    def make(sample: Callable[[], Sample], n_images: int) -> ChosenEngine:
        chosen = _engine(request, resolved, how, sample, known, n_images, progress)
        for note in chosen.notes:
            progress.say(note)
        notes.extend(chosen.notes)
        for sink in sinks:
            if isinstance(sink, StoreSink):
                sink.writer.start_run(_source(request, resolved) | chosen.provenance)
        return chosen

    layers = list(dict.fromkeys(recipe.layer for recipe in resolved.recipes))
    return Network(make, [layers.index(sink.recipe.layer) for sink in sinks])


_LAST: dict[tuple[object, ...], ChosenEngine] = {}
"""The last engines, `How.kept` of them, so that one prediction after another stays warm."""


def _engine(
    request: BackboneRequest,
    resolved: Resolved,
    how: How,
    sample: Callable[[], Sample],
    known: JsonObject,
    n_images: int,
    progress: Progress,
) -> ChosenEngine:
    key = (request, resolved.filled, how.asked, pays_compiling(how.asked, n_images))
    chosen = _LAST.get(key)
    if chosen is None:
        while len(_LAST) >= how.kept:
            del _LAST[next(iter(_LAST))]
        progress.say(f"making the network ready, with up to {ROWS} of the images")
        backbone = resolved.backbone or load_backbone(request)
        _refuse_other_weights(resolved, backbone)
        chosen = choose_engine(backbone, how.asked, sample=sample, known=known, n_images=n_images)
        _LAST[key] = chosen
    return chosen


def _refuse_other_weights(resolved: Resolved, backbone: Backbone) -> None:
    """The recipes may come from a memo of an earlier run: the weights must still be those."""
    for (expected, *_), (loaded, *_) in zip(resolved.filled, backbone.recipes(), strict=True):
        if expected != loaded:
            differences = "; ".join(expected.differences(loaded, "expected", "loaded"))
            raise RecipeMismatchError(
                f"the backbone that was loaded is not the one resolved before: {differences}; "
                "if its weights were just changed, run it again"
            )
