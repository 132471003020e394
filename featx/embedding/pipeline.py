"""From entries to vectors: read and decode in threads, run the network in one place, hand over.

What a store knows is not read again, what a flattened store holds is pooled from it, and the rest
is computed once, whatever the number of stores that want it. Memory is bounded by the look-ahead.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx import images
from featx._words import count
from featx.embedding.reading import Reader, in_order, workers
from featx.embedding.sinks import StoreSink, are_bad, known_failure
from featx.embedding.stages import Stages, Timing
from featx.embedding.work import Network, Work
from featx.errors import ImageError
from featx.forward import ROWS, PillowDecoder, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from featx._types import Array, Progress
    from featx.embedding.outcomes import Outcomes
    from featx.embedding.sinks import Sink
    from featx.forward import Decoded, Decoder
    from featx.recipe import Preprocess
    from featx.sources import Entry, Payload
    from featx.tokens import Tokens

AHEAD = 64
"""Images that are read ahead, or as many as keep each thread at work."""
TOKENS_A_BATCH = 1024
EXAMPLES = 4 * ROWS
"""Images that are tried for `ROWS` that can be decoded; more only while there is none."""


@dataclass(frozen=True)
class Located:
    """What became of all entries.

    Attributes
    ----------
    outcomes
        What became of each entry.
    computed, derived
        Numbers of images: computed in this run, pooled from a flattened store.
    timing
        Where the time went.
    """

    outcomes: Outcomes
    computed: int
    derived: int
    timing: Timing


def embed(
    entries: Sequence[Entry],
    pre: Preprocess,
    sinks: Sequence[Sink],
    outcomes: Outcomes,
    network: Network,
    tokens: Tokens,
    *,
    views: int = 1,
    raise_on_error: bool = False,
    seed: int = 0,
    examples: Iterable[Entry] | None = None,
    n_images: int | None = None,
    progress: Progress,
) -> Located:
    """Bring the vectors of every entry, of each of its views, into every sink.

    Parameters
    ----------
    outcomes
        What `featx.embedding.outcomes.settle` says of the entries and these sinks; what becomes of
        the others is put down here.
    examples
        Images that the engine is chosen with, in the order in which they are tried; None for
        seeded ones of those to come.
    n_images
        To come in all, where these entries are a part; None for their number.

    Raises
    ------
    ImageError
        If ``raise_on_error`` and an image is not there or cannot be decoded.
    SourceReadError, CacheWriteError, NumericsError, DeviceError
        From the parts; what was done by then is kept.
    """
    stages = Stages()
    reader = Reader(entries, pre, sinks, stages, views)
    todo = outcomes.todo
    begun = False
    unsaved: list[int] = []
    saved: list[Future[None]] = []
    whole = PillowDecoder(pre)
    readers = workers(entries)

    def sample() -> Sample:
        return _sample(examples_of(entries, todo, seed) if examples is None else examples, pre)

    with (
        Work(sinks, network, sample, stages, whole, n_images or len(todo) * views) as work,
        ThreadPoolExecutor(1, "featx-tokens") as saving,
    ):
        jobs = _jobs(todo, work, views)
        for part in in_order(lambda job: reader.take(*job), jobs, readers, _ahead(whole, readers)):
            for one, decoded in part:
                if one.reason is not None and raise_on_error:
                    raise ImageError(f"{entries[one.index].path}: {one.reason}")
                work.add(one, decoded)  # the first makes the network ready
                if not begun:
                    progress.start("embedding", len(todo))
                    begun = True
                outcomes.put(one)
                unsaved.append(one.index)
                progress.advance()
            if len(unsaved) >= TOKENS_A_BATCH:
                saved.append(saving.submit(save_tokens, tokens, entries, outcomes, unsaved))
                unsaved = []
        work.flush()
        for one_part in saved:
            one_part.result()
    if begun:
        progress.finish()
    if work.left_over:
        progress.say(
            f"{count(work.left_over, 'image was', 'images were')} not for {work.decoder.name}: "
            "Pillow decoded them"
        )
    timing = _timing(stages, work, sinks, readers)
    save_tokens(tokens, entries, outcomes, [*unsaved, *outcomes.settle_twins()])
    if raise_on_error:
        raise_known(entries, outcomes, sinks)
    return Located(outcomes, work.computed, work.derived, timing)


def _jobs(todo: Sequence[int], work: Work, views: int) -> Iterator[tuple[Sequence[int], Decoder]]:
    """Give what to read, and the decoder that is right when it is asked for.

    A job holds as many images with their views as without: memory is bounded by their number.
    """
    start = 0
    while start < len(todo):
        stop = start + _images_a_job(work.decoder, views)
        yield todo[start:stop], work.decoder
        start = stop


def _ahead(decoder: Decoder, readers: int) -> int:
    """Give how many jobs are read ahead."""
    return max(readers + 2, AHEAD // decoder.at_once)


def images_ahead(pre: Preprocess, views: int = 1, readers: int = 0) -> int:
    """Give how many images are decoded by Pillow before anything is known of them."""
    readers = readers or workers()
    decoder = PillowDecoder(pre)
    return _ahead(decoder, readers) * _images_a_job(decoder, views)


def _images_a_job(decoder: Decoder, views: int) -> int:
    return max(1, decoder.at_once // views)


def _timing(stages: Stages, work: Work, sinks: Sequence[Sink], readers: int) -> Timing:
    """Say where the time went, the last blocks written."""
    writers = [sink.writer for sink in sinks if isinstance(sink, StoreSink)]
    for writer in writers:
        writer.flush()
        stages.add("write", writer.busy_s)
    threads = {"read": readers, "decode": readers, "forward": work.lanes}
    threads["write"] = sum(writer.n_writers for writer in writers) or 1
    return stages.timing(threads)


def save_tokens(
    tokens: Tokens, entries: Sequence[Entry], outcomes: Outcomes, those: Sequence[int]
) -> None:
    """Keep which digests the files of ``those`` entries have, and how many items they are."""
    found = outcomes.known(those)
    tokens.put({t: one for i, one in found.items() if (t := entries[i].token) is not None})


def raise_known(entries: Sequence[Entry], outcomes: Outcomes, sinks: Sequence[Sink]) -> None:
    """Raise for the first image that is not there, or that a store knows as undecodable."""
    bad = set(outcomes.failures).union(
        *(np.flatnonzero(are_bad(sink, outcomes.digest)).tolist() for sink in sinks)
    )
    for i in sorted(bad):
        digest = outcomes.digest[i].tobytes()
        known = (reason for sink in sinks if (reason := known_failure(sink, digest)))
        reason = outcomes.failures.get(i) or next(known, None)
        if reason is not None:
            raise ImageError(f"{entries[i].path}: {reason}")


def examples_of(entries: Sequence[Entry], todo: Sequence[int], seed: int) -> Iterator[Entry]:
    """Give the entries to come in a seeded order."""
    order = np.random.default_rng(seed).permutation(len(todo))
    return (entries[todo[place]] for place in order)


def _sample(examples: Iterable[Entry], pre: Preprocess) -> Sample:
    """Give the first 32 images of ``examples``, (n, H, W, 3); bad ones are passed over.

    After 128 tries it is content with what it has, if it has any.
    """
    whole: list[Array] = []
    payloads: list[Payload] = []
    for tried, entry in enumerate(examples):
        if len(whole) == ROWS or (whole and tried >= EXAMPLES):
            break
        with suppress(ImageError):
            payload = entry.read()
            image = images.load(payload, pre)[0]
            if not whole or image.dtype == whole[0].dtype:
                whole.append(image)
                payloads.append(payload)
    if not whole:
        return Sample(np.empty((0, *pre.image_size, 3), np.uint8))
    return Sample(np.stack(whole), lambda decoder: _first_items(decoder(payloads)))


def _first_items(decoded: Sequence[Decoded]) -> Array:
    """Give the first item of each, (n, H, W, 3), where Pillow could decode all of them."""
    for one in decoded:
        if isinstance(one, ImageError):
            raise one
    return np.stack([one[0] for one in decoded if not isinstance(one, ImageError)])
