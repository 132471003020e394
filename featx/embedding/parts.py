"""One part of a pass, as a worker does it: entries in, blocks without a state out.

A part is done from its entries alone, so it may be done again anywhere. What a worker needs for
all of its parts (the network, what the stores hold) it makes once and keeps.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from featx._types import Silent
from featx.backbones import load_backbone, resolve
from featx.embedding import pipeline
from featx.embedding.engine import known_certificates, network, source_of
from featx.embedding.outcomes import settle
from featx.embedding.sinks import BlockSink, reading_sink
from featx.errors import ClusterError
from featx.tokens import NO_TOKENS, Recalled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featx._objects import Place
    from featx._types import JsonObject
    from featx.backbones import BackboneRequest
    from featx.embedding.pipeline import Located
    from featx.embedding.sinks import MemorySink
    from featx.forward import Asked, ChosenEngine
    from featx.recipe import Recipe
    from featx.sources import Entry
    from featx.store import Written


@dataclass(frozen=True)
class Task:
    """What all parts of a pass have in common.

    Attributes
    ----------
    name
        Of the pass: a worker that meets a new one opens the stores anew.
    recipes
        What is to be filled.
    first
        By the name of a store, the first block number that was free when the pass began.
    examples
        Images that the engine is chosen with, the same for all workers.
    known
        Certificates that need not be made again.
    n_images
        Of all parts, times their views.
    """

    name: str
    cache: Place
    request: BackboneRequest
    recipes: tuple[Recipe, ...]
    asked: Asked
    views: int
    retry_failed: bool
    first: Mapping[str, int]
    examples: tuple[Entry, ...]
    known: JsonObject
    n_images: int


@dataclass(frozen=True)
class Part:
    """Entries that are done together.

    Attributes
    ----------
    number
        From 0; tells where to begin looking for block numbers that are free.
    places
        Of the entries in their source.
    """

    number: int
    places: Sequence[int]
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Done:
    """What became of a part.

    Attributes
    ----------
    places
        Of the part's entries in their source.
    located
        As `featx.embedding.pipeline.embed` gives it, of the part's entries.
    blocks
        By the name of a store, what was written.
    provenance
        Of the vectors.
    notes
        Of the choice of an engine.
    seconds
        From begin to end, and of this before the first batch: the network made ready.
    """

    places: Sequence[int]
    located: Located
    blocks: Mapping[str, list[Written]]
    provenance: JsonObject
    notes: tuple[str, ...]
    seconds: float
    start_s: float


_ONE_AT_A_TIME = Lock()
_KNOWN: dict[str, list[MemorySink]] = {}
"""By the name of the last pass, what its stores held when this worker met it first."""


def embed_part(task: Task, part: Part) -> Done:
    """Embed the entries of a part, and write its blocks but for their states.

    Raises
    ------
    ClusterError
        If the cache is not to be found from here.
    FeatxError
        As `featx.embedding.pipeline.embed`.
    """
    with _ONE_AT_A_TIME:  # the network takes all cores of a worker that has several threads
        return _embed_part(task, part)


def prepare(task: Task) -> None:
    """Import and read what the network of a pass needs, while another worker does its first part.

    Raises
    ------
    FeatxError
        As `featx.backbones.load_backbone`.
    """
    with _ONE_AT_A_TIME:
        if task.name not in _KNOWN:
            load_backbone(task.request)


def _embed_part(task: Task, part: Part) -> Done:
    begun = time.perf_counter()
    resolved = resolve(task.request, task.cache, Silent())
    sinks = _sinks(task)
    made: list[ChosenEngine] = []
    known = known_certificates(sinks) | task.known
    pre, nothing = task.recipes[0].preprocess, Recalled.nothing(len(part.entries))
    located = pipeline.embed(
        part.entries,
        pre,
        sinks,
        settle(part.entries, nothing, pre, sinks, task.views),
        network(task.request, resolved, sinks, task.asked, 1, known, made.append, Silent()),
        NO_TOKENS,
        views=task.views,
        examples=[*task.examples, *part.entries],
        n_images=task.n_images,
        progress=Silent(),
    )
    blocks = {
        sink.recipe.store_name: sink.write(task.first[sink.recipe.store_name] + part.number)
        for sink in sinks
    }
    computed = made[0].provenance if made else {"engine": "derived"}
    return Done(
        part.places,
        located,
        blocks,
        source_of(task.request, resolved) | computed,
        made[0].notes if made else (),
        time.perf_counter() - begun,
        located.timing.start_s,
    )


def _sinks(task: Task) -> list[BlockSink]:
    if task.name not in _KNOWN:
        _KNOWN.clear()
        _KNOWN[task.name] = [reading_sink(task.cache, recipe) for recipe in task.recipes]
    found = []
    for known in _KNOWN[task.name]:
        if known.store is None:
            raise ClusterError(
                f"a worker finds no {known.recipe.store_name} in {task.cache}; the cache has to be "
                "where all workers find it: in a folder that they share, or in object storage"
            )
        found.append(BlockSink(known.recipe, known.store, known.flat, task.retry_failed))
    return found
