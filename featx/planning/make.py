"""Look at the images and the cache, try a few of them, and add up what all will take."""

from __future__ import annotations

import inspect
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from featx import catalog
from featx._memory import available
from featx._types import Silent
from featx.errors import UsageError, unknown_name
from featx.planning.disk import free_bytes
from featx.planning.known import copy_index
from featx.planning.result import Plan
from featx.planning.trying import Place, resolve_all, try_one
from featx.preparing import Prepared, counted, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import PathLike, Progress
    from featx.planning.heads import Target

_OURS = ("demo", "progress", "shards", "keep_shards")
_OPTIONS = [
    name
    for name, parameter in inspect.signature(prepare).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name not in _OURS
]
"""Those of `featx.extract` that say what vectors are and how they are computed."""


def plan(
    data: Any = None,
    *,
    backbone: Any = "vgg16",
    heads: Sequence[str] = (),
    cache: PathLike | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    **options: Any,
) -> Plan:
    """Say how long an extraction will take here, what it needs, and what can be fitted on it.

    Files whose name or time is new are read where the cache may know their bytes. Some of the
    images that are to be computed go through a real pass in memory: 32 until the network is ready,
    then as many as take about 3 seconds, 512 at most, with several views of each so many fewer.
    Nothing of the cache is changed: a block is written beside the stores and removed again, to see
    how far it is compressed and how fast that is.

    Parameters
    ----------
    data, backbone, cache
        As `featx.extract` takes them.
    heads
        That are to be fitted; empty for svm, svr, ridge, logreg and mlp, as far as they suit the
        target: the column ``label_column``, else ``label``; where there are no labels, what 10
        classes take is told.
    workers
        That are to compute side by side, each as fast as this machine is found to be.
    options
        Those of `featx.extract` that say what vectors are and how they are computed:
        ``layers``, ``pools``, ``image_size``, ``weights``, ``limit`` ...

    Returns
    -------
    Plan

    Notes
    -----
    Time is what it takes until the network is ready (twice with several workers: one of them makes
    the certificate, then the others begin), and the images at the rate of those that were tried, or
    at that of writing where it is slower; an image that has some of its views counts for the share
    that it lacks. What is stored with a certificate needs no other, so that an extraction that adds
    to a store may start sooner.

    Memory is the most that this process has held when the images were tried; for each store the
    block that is filled, and those that are compressed and written; and 2,000 bytes an image for
    its name, digest and row of the table, 200 for each further view. All else is bounded by queues,
    whatever the number of images.

    A head fits where `featx.fit` with 5 folds would start: the estimate is its own.

    Raises
    ------
    UnknownNameError, HeadTaskError
        If an option or a head is not known, or a head does not fit the target.
    FeatxError
        As `featx.extract`.
    """
    report, folder = progress or Silent(), catalog.cache_dir(cache)
    if workers < 1:
        raise UsageError(f"workers is {workers}, expected at least 1")
    for name in options:
        if name not in _OPTIONS:
            raise unknown_name("option", name, _OPTIONS)
    free = available()
    with TemporaryDirectory(prefix="featx-plan-") as scratch:
        place = Place(folder, Path(scratch), workers, report)
        prepared = prepare(
            data, backbone, demo=place.scratch, progress=report, shards=catalog.shards_dir(folder),
            keep_shards=False, **options,
        )  # fmt: skip
        column = options.get("label_column")
        early = _heads(prepared, heads, column) if heads else None
        report.say(counted(prepared.source))
        copy_index(folder, place.index)
        tried = [try_one(place, prepared, one) for one in resolve_all(place, prepared)]
    # last: the libraries of heads would count as memory that the extraction takes
    asked, names = early or _heads(prepared, heads, column)
    entries = prepared.source.entries
    return Plan(
        data=prepared.source.name,
        images=len(entries),
        missing=sum(entry.failure is not None for entry in entries),
        views=prepared.how.views,
        workers=workers,
        disk_free_bytes=free_bytes(folder),
        memory_free_bytes=free,
        target=asked.words,
        backbones=tuple(one.planned(names, asked, free) for one in tried),
    )


def _heads(
    prepared: Prepared, heads: Sequence[str], column: str | None
) -> tuple[Target, list[str]]:
    from featx.planning.heads import read_asked

    return read_asked(prepared.source, heads, column)
