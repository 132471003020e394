"""A real pass over a few of the images to come, in memory: what it took says what all will take.

The first pass makes the network ready: it is loaded, converted and certified on 32 images. What
follows shows nothing of the speed, for while the network is made ready its first images are
decoded. So a second pass over other images, with the network at hand, gives the rate. Its first
images are decoded whole, before anything is known of them; the rate is that of those after them.
Where an image has several views, the first pass takes the images as they are.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from featx.embedding import How, run_pass
from featx.embedding.pipeline import images_ahead
from featx.embedding.reading import workers
from featx.embedding.sinks import MemorySink, derive
from featx.embedding.stages import STAGES
from featx.forward import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from featx._types import Array, Progress
    from featx.backbones import BackboneRequest
    from featx.embedding import Pass
    from featx.planning.known import Known
    from featx.sources import Source

SECONDS = 3.0
"""What the second pass should take."""
MORE = (32, 512)
"""Images of the second pass, at least and at most; see `_more` for several views of each."""
_FEW = 16
"""With fewer images left the first pass has to say the rate, too."""


@dataclass(frozen=True)
class Probe:
    """What a few images took.

    Attributes
    ----------
    start_s
        Seconds until the network is ready.
    image_s
        Seconds an image, with all its views, from then on; None where none could be computed.
    busy
        Of each stage, the share of its threads' time, 0 to 1; nothing is written.
    rows
        For each recipe (m, d) vectors as they would be stored.
    items
        Vectors of an image, on average.
    tried
        How many images there were.
    digests, failures
        Of the images: digest and number of vectors, and why those that failed did.
    notes
        What was chosen for the user.
    """

    start_s: float
    image_s: float | None
    busy: dict[str, float]
    rows: tuple[Array, ...]
    items: float
    tried: int
    digests: tuple[tuple[bytes, int], ...]
    failures: tuple[str, ...]
    notes: tuple[str, ...]


class _Watch:
    """A progress that says nothing, and notes when each image was handed on."""

    def __init__(self, progress: Progress) -> None:
        self.started = time.perf_counter()
        self.times: list[float] = []
        self._begun = self.started
        self._progress = progress

    @property
    def before_s(self) -> float:
        """Seconds until images were looked at: what it took to know the network."""
        return self.started - self._begun

    def start(self, task: str, total: int | None) -> None:  # noqa: ARG002  # a protocol's names
        """Note when the pass over the images begins."""
        self.started = time.perf_counter()
        self._progress.start("trying", total)

    def advance(self, done: int = 1) -> None:
        """Note one image."""
        self.times.append(time.perf_counter())
        self._progress.advance(done)

    def say(self, message: str) -> None:
        """Leave it to the pass' notes."""

    def finish(self) -> None:
        """End the task."""
        self._progress.finish()


def probe(
    source: Source,
    todo: Sequence[int],
    request: BackboneRequest,
    how: How,
    scratch: Path,
    progress: Progress,
    *,
    loaded: bool,
) -> Probe:
    """Compute up to 32, and then up to 512 more, seeded images of those ``todo``; see `_more`.

    Parameters
    ----------
    scratch
        An empty folder for what a pass writes into a cache: no cache is touched.
    loaded
        Whether the network was loaded once already, in seconds that are counted elsewhere.
    """
    how = replace(how, write=False, fresh=True)
    order = np.random.default_rng(how.seed).permutation(np.asarray(todo))
    watch = _Watch(progress)
    alone = replace(how, views=1)
    first = run_pass(_part(source, order[:ROWS]), request, scratch, alone, watch)
    timing = first.located.timing
    start_s = first.seconds - timing.run_s - (watch.before_s if loaded else 0.0)
    n = first.located.computed
    if not n or not timing.run_s:
        return _probe([first], start_s, None)
    image_s = how.views * timing.run_s / n
    rest = order[ROWS:] if how.views == 1 else np.roll(order, -ROWS)  # those of the first last
    rest = rest[: int(np.clip(SECONDS / image_s, *_more(how.views)))]
    if how.views == 1 and len(rest) < _FEW:
        return _probe([first], start_s, image_s)
    watch = _Watch(progress)
    second = run_pass(_part(source, rest), request, scratch, how, watch)
    alike = [first, second] if how.views == 1 else [second]
    readers = workers(source.entries)
    passing_s = _image_s(second, watch.times, how.views, readers)
    return _probe(alike, start_s, passing_s or image_s)


def _more(views: int) -> tuple[int, int]:
    """Give how many images the second pass takes at least and at most: fewer of more views."""
    least, most = MORE
    return min(least, max(2, most // (4 * views))), max(2, most // views)


def probe_derived(known: Known, views: int) -> Probe:
    """Pool about as many of the vectors that flattened stores hold as a block has; as `probe`."""
    start = time.perf_counter()
    rows = max(sink.flat.block_rows for sink in known.sinks if sink.flat)
    digests = known.derived[: max(1, rows // views)]
    sinks = [MemorySink(sink.recipe, flat=sink.flat) for sink in known.sinks]
    for sink in sinks:
        derive(sink, [(digest, view) for digest in digests for view in range(views)])
    image_s = (time.perf_counter() - start) / len(digests)
    pooled = tuple(_rows([sink]) for sink in sinks)
    return Probe(0.0, image_s, {}, pooled, float(views), 0, (), (), ())


def _part(source: Source, at: Sequence[int] | Array) -> Source:
    rows = list(map(int, at))
    entries = [source.entries[i] for i in rows]
    return replace(source, entries=entries, frame=source.frame.iloc[rows].reset_index(drop=True))


def _image_s(done: Pass, times: Sequence[float], views: int = 1, readers: int = 0) -> float | None:
    """Give seconds an image in the long run.

    Images go by in the network's rhythm once the first ones are through; where its batches are
    large they go by in that of the decoder, and the network's own time is the longer one.
    """
    timing, n = done.located.timing, done.located.computed
    if not n or not timing.run_s:
        return None
    skipped = min(images_ahead(done.recipes[0].preprocess, views, readers), len(times) // 2)
    passing = (times[-1] - times[skipped - 1]) / (len(times) - skipped)
    return max(passing, timing.run_s * timing.busy["forward"] / n)


def _probe(passes: Sequence[Pass], start_s: float, image_s: float | None) -> Probe:
    last = passes[-1].located
    each = [done.located.outcomes for done in passes]
    pairs = tuple(pair for one in each for pair in one.known(range(len(one.items))).values())
    sinks = list(zip(*(done.sinks for done in passes), strict=True))
    return Probe(
        start_s=start_s,
        image_s=image_s,
        busy={stage: last.timing.busy.get(stage, 0.0) for stage in STAGES},
        rows=tuple(_rows(each) for each in sinks),
        items=float(np.mean([items for _, items in pairs])) if pairs else 1.0,
        tried=sum(len(one.items) for one in each),
        digests=pairs,
        failures=tuple(
            text for one in each for _, text in sorted((one.failures | one.reasons).items())
        ),
        notes=passes[0].notes,
    )


def _rows(sinks: Sequence[object]) -> Array:
    """Give the (m, d) vectors that passes left in memory for one recipe."""
    found = [v for s in sinks if isinstance(s, MemorySink) for v in s.vectors.values()]
    return np.stack(found) if found else np.empty((0, 0))
