"""A pass over a source by the workers of a cluster, seen from the process that leads it.

It alone holds the locks of the stores and commits: workers write blocks, and what they say of
them decides. Images that are known are settled here, as in a pass of one process.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from featx.cluster import gpu_workers
from featx.embedding.parts import Part, Task, embed_part, prepare
from featx.embedding.pipeline import (
    EXAMPLES,
    Located,
    examples_of,
    raise_known,
    save_tokens,
)
from featx.embedding.sinks import BlockSink
from featx.embedding.stages import STAGES, Timing
from featx.errors import ClusterError, ImageError
from featx.forward import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from featx._objects import Place
    from featx._types import Progress
    from featx.backbones import BackboneRequest
    from featx.cluster import Cluster, Worker
    from featx.embedding.outcomes import Outcomes
    from featx.embedding.parts import Done
    from featx.embedding.passes import How
    from featx.embedding.sinks import Sink
    from featx.sources import Entry
    from featx.store import Adopter
    from featx.tokens import TokenIndex

PART_S = 20.0
"""What a part should take."""
ROUNDS = 2
"""Parts that a worker should still get: they become smaller towards the end."""


@dataclass
class Parts:
    """Cuts the work into parts as they are asked for, sized by the speed seen so far.

    Guided self-scheduling (Polychronopoulos and Kuck, IEEE Trans. Comput. C-36, 1987): a part is a
    share of what is left, so that all workers end at about the same time.

    Attributes
    ----------
    most
        Entries of a part at most, so that a block holds its rows.
    image_s
        Seconds an image takes a worker; None while nothing is known.
    """

    entries: Sequence[Entry]
    todo: Sequence[int]
    most: int
    n_workers: int
    image_s: float | None = None
    begun: int = 0
    _start: int = field(default=0, repr=False)

    def __iter__(self) -> Iterator[Part]:
        while self._start < len(self.todo):
            yield self._cut()

    def learn(self, done: Done) -> None:
        """Take notice of how long a part took."""
        self.image_s = max(done.seconds - done.start_s, 1e-6) / len(done.places)

    def first(self) -> Part:
        """Cut a small part, whose certificate serves all others."""
        return self._take(min(ROWS, self.most))

    def _cut(self) -> Part:
        left = len(self.todo) - self._start
        share = -(-left // (ROUNDS * self.n_workers))
        timely = self.most if self.image_s is None else int(PART_S / self.image_s)
        return self._take(min(self.most, max(ROWS, min(share, timely))))

    def _take(self, n: int) -> Part:
        places = self.todo[self._start : self._start + n]
        self._start += len(places)
        self.begun += 1
        return Part(self.begun - 1, places, [self.entries[i] for i in places])


def embed_on(
    cluster: Cluster,
    entries: Sequence[Entry],
    request: BackboneRequest,
    sinks: Sequence[Sink],
    adopters: Sequence[Adopter],
    outcomes: Outcomes,
    cache: Place,
    how: How,
    tokens: TokenIndex,
    progress: Progress,
) -> tuple[Located, list[str]]:
    """Bring the vectors of every entry into the stores of ``adopters``.

    Parameters
    ----------
    sinks
        That read the stores as they were when the locks were taken; in the order of ``adopters``.
    outcomes
        What is known of the entries; what becomes of the others is put down here.

    Returns
    -------
    located
        What became of all entries.
    notes
        Of the choice of engines, each once.

    Raises
    ------
    ClusterError
        If workers do not fit, or are lost for good.
    FeatxError
        As `featx.embedding.pipeline.embed`.
    """
    todo = outcomes.todo
    lead = _Lead(entries, adopters, outcomes, tokens, how.raise_on_error, progress)
    if todo:
        n_workers, idle = _choose(cluster, [entries[i] for i in todo], how.device, progress)
        task = Task(
            name=secrets.token_hex(8),
            cache=cache,
            request=request,
            recipes=tuple(sink.recipe for sink in sinks),
            asked=how.asked,
            views=how.views,
            retry_failed=how.retry_failed,
            first={a.store.recipe.store_name: a.first for a in adopters},
            examples=tuple(islice(examples_of(entries, todo, how.seed), EXAMPLES)),
            known={},
            n_images=len(todo) * how.views,
        )
        most = max(1, min(a.store.block_rows for a in adopters) // how.views)
        lead.run(cluster, task, Parts(entries, todo, most, n_workers), idle)
    if how.raise_on_error:
        raise_known(entries, outcomes, sinks)
    return Located(outcomes, lead.computed, lead.derived, lead.timing()), lead.notes


@dataclass
class _Lead:
    """Commits what workers have done, and keeps count."""

    entries: Sequence[Entry]
    adopters: Sequence[Adopter]
    outcomes: Outcomes
    tokens: TokenIndex
    raise_on_error: bool
    progress: Progress
    notes: list[str] = field(default_factory=list)
    computed: int = 0
    derived: int = 0
    timings: list[Timing] = field(default_factory=list)
    begun: float = field(default_factory=time.perf_counter)
    running: float | None = None

    def run(self, cluster: Cluster, task: Task, parts: Parts, idle: Sequence[str]) -> None:
        """Have all parts done: a small one alone, then the others side by side."""
        alone = len(parts.todo) <= ROWS  # the first part is all there is
        wanted = [] if alone else cluster.everywhere(prepare, task, idle)
        for done in cluster.run(embed_part, task, iter([parts.first()]), idle):
            self.running = time.perf_counter()
            self.progress.start("embedding", len(parts.todo))
            self._commit(done, parts)
            wanted.clear()
            task = replace(task, known=done.provenance.get("certificates", {}))
        for done in cluster.run(embed_part, task, iter(parts), idle):
            self._commit(done, parts)
        self.progress.finish()

    def timing(self) -> Timing:
        """Say how busy the stages of all workers were, together."""
        now = time.perf_counter()
        if self.running is None:
            return Timing(now - self.begun, 0.0)
        run_s = now - self.running
        busy_s = {s: sum(t.busy_s.get(s, 0.0) for t in self.timings) for s in STAGES}
        all_s = sum(t.run_s for t in self.timings) or 1.0
        busy = {s: sum(t.busy.get(s, 0.0) * t.run_s for t in self.timings) / all_s for s in STAGES}
        return Timing(self.running - self.begun, run_s, busy_s, busy)

    def _commit(self, done: Done, parts: Parts) -> None:
        parts.learn(done)
        for adopter in self.adopters:
            for block in done.blocks[adopter.store.recipe.store_name]:
                adopter.adopt(block, done.provenance)
        for note in done.notes:
            if note not in self.notes:
                self.notes.append(note)
                self.progress.say(note)
        places, found = done.places, done.located.outcomes
        self.outcomes.take(places, found)
        save_tokens(self.tokens, self.entries, self.outcomes, places)
        self.computed += done.located.computed
        self.derived += done.located.derived
        self.timings.append(done.located.timing)
        self.progress.advance(len(places))
        for i, reason in found.reasons.items() if self.raise_on_error else ():
            raise ImageError(f"{self.entries[places[i]].path}: {reason}")


def _choose(
    cluster: Cluster, entries: Sequence[Entry], device: str, progress: Progress
) -> tuple[int, list[str]]:
    """Give the number of workers that are to compute, and the others; say which, and why."""
    found = cluster.workers(_paths(entries))
    for address, worker in found.items():
        if worker.missing:
            raise ClusterError(
                f"worker {address} on {worker.host} does not find {worker.missing[0]}, which is "
                "here; images and cache have to be where all workers find them: in a folder that "
                "they share under the same path, or in object storage"
            )
    gpus = gpu_workers(found)
    wants_gpu = device.startswith("cuda") or (device == "auto" and bool(gpus))
    if wants_gpu and not gpus:
        raise ClusterError(
            f"--device {device}, and no worker of {cluster.address} has a CUDA device"
        )
    chosen = gpus if wants_gpu else list(found)
    progress.say(_told(cluster, found, chosen, wants_gpu))
    return len(chosen), [address for address in found if address not in chosen]


def _told(
    cluster: Cluster, found: dict[str, Worker], chosen: Sequence[str], wants_gpu: bool
) -> str:
    hosts = len({found[address].host for address in chosen})
    where = "" if hosts == 1 else f" on {hosts} machines"
    which = f"{len(chosen)} workers" if len(chosen) > 1 else "1 worker"
    of = f", those of {len(found)} that have a CUDA device" if wants_gpu else ""
    return f"computing on {which} of {cluster.address}{where}{of}"


def _paths(entries: Sequence[Entry]) -> list[str]:
    """Give the path of the first file among entries: if one is there, the others will be."""
    named = (os.fsdecode(entry.token[0]) for entry in entries if entry.token is not None)
    local = (path for path in named if "://" not in path and os.path.exists(path))  # noqa: PTH110
    return list(islice(local, 1))


def blocks_of(
    sinks: Sequence[Sink], adopters: Sequence[Adopter], retry_failed: bool
) -> list[BlockSink]:
    """Give sinks that know what the stores held when their locks were taken."""
    return [
        BlockSink(sink.recipe, adopter.store, sink.flat, retry_failed)
        for sink, adopter in zip(sinks, adopters, strict=True)
    ]
