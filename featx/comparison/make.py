"""Make the runs that are to be compared: every head on the features of every backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx import datasets
from featx.catalog import cache_dir, shards_dir
from featx.comparison.run import Run, read_run
from featx.errors import CorruptStoreError, NotFoundError, UsageError, unknown_name
from featx.extraction import extract
from featx.features import Features, load
from featx.fitting import fit
from featx.heads import check_head, head_for
from featx.problem import target_task
from featx.sources import open_source

if TYPE_CHECKING:
    from featx._types import PathLike, Progress

FIT_OPTIONS = (
    *("target", "group", "split", "test_size", "train_per_class", "cv", "repeats", "task"),
    *("search", "scale", "quality", "missing", "seed", "n_jobs"),
)
"""Those of `featx.fit` that mean the same to every head."""

EXTRACT_OPTIONS = (
    *("layers", "pools", "name", "limit", "limit_per_class", "label_column", "path_column"),
    *("root", "image_size", "resize", "weights", "precision", "device", "batch_size", "dtype"),
)
"""Those of `featx.extract` that mean the same to every backbone, or are of a single one."""


def make_runs(
    data: Any,
    backbones: Sequence[Any],
    heads: Sequence[str],
    *,
    fitting: Mapping[str, Any],
    extraction: Mapping[str, Any],
    out: PathLike | None,
    cache: PathLike | None,
    progress: Progress,
) -> list[Run]:
    """Extract what is missing, and fit each head on each backbone's features.

    What can be known to fail is looked at before the first image: names of heads and options, the
    head's task, backbones and their weights.
    """
    _check(backbones, heads, fitting, extraction)
    if isinstance(data, str) and not Path(data).exists() and _is_cached(data, cache):
        views = _cached(data, backbones, heads, fitting, extraction, cache)
    else:
        seed = {name: value for name, value in fitting.items() if name == "seed"}
        options = _named(data, heads, fitting, {**extraction, **seed}, shards_dir(cache_dir(cache)))
        views = _extracted(data, backbones, options, cache, progress)
    runs = []
    for view in views:
        for head in dict.fromkeys(heads):
            progress.say(f"{head} on {view.label}")
            done = fit(view, head, out=out, progress=progress, **fitting)
            runs.append(read_run(done))
    return runs


def _check(
    backbones: Sequence[Any],
    heads: Sequence[str],
    fitting: Mapping[str, Any],
    extraction: Mapping[str, Any],
) -> None:
    for given, known in ((fitting, FIT_OPTIONS), (extraction, EXTRACT_OPTIONS)):
        for name in given:
            if name not in known:
                raise unknown_name("option", name, known)
    for head in heads:
        check_head(head)
    several = [backbones, heads, extraction.get("layers", ()), extraction.get("pools", ())]
    if all(len(set(choice)) < 2 for choice in several):
        raise UsageError(
            "one backbone and one head make one run: name another of either (--backbone A,B, "
            "--head svm,ridge), or several layers or poolings"
        )


def _is_cached(name: str, cache: PathLike | None) -> bool:
    try:
        datasets.head(cache_dir(cache), name)
    except NotFoundError:
        return False
    return True


def _cached(
    name: str,
    backbones: Sequence[Any],
    heads: Sequence[str],
    fitting: Mapping[str, Any],
    extraction: Mapping[str, Any],
    cache: PathLike | None,
) -> list[Features]:
    """Open what the cache holds of a data set that was named; nothing is computed."""
    if extraction:
        raise UsageError(
            f"{name!r} is a data set of the cache, whose features are taken as they are; with "
            f"{sorted(extraction)[0]!r}, give the folder or the table that it came from"
        )
    views = [load(name, str(backbone), cache=cache) for backbone in dict.fromkeys(backbones)]
    for head in heads:
        head_for(head, _task(views[0].frame, fitting))
    return views


def _named(
    data: Any,
    heads: Sequence[str],
    fitting: Mapping[str, Any],
    options: Mapping[str, Any],
    shards: Path,
) -> dict[str, Any]:
    """Check the heads against the data's target; give a part of the data a name of its own.

    Under the name of the whole it would take the place of the whole in the cache.
    """
    names = ("limit", "limit_per_class", "label_column", "path_column", "root", "seed")
    asked = {k: v for k, v in options.items() if k in names}
    source = open_source(data, shards=shards, **asked)
    task = _task(source.frame, fitting)
    for head in heads:
        head_for(head, task)
    limits = [str(v) for k in names[:2] if (v := options.get(k)) is not None]
    if not limits or options.get("name") is not None:
        return dict(options)
    return {**options, "name": "-".join([source.name, "first", *limits])}


def _task(frame: Any, fitting: Mapping[str, Any]) -> str:
    missing = fitting.get("missing", ())
    tokens = missing.split(",") if isinstance(missing, str) else [str(value) for value in missing]
    return target_task(frame, fitting.get("target"), fitting.get("task"), tokens)


def _extracted(
    data: Any,
    backbones: Sequence[Any],
    options: Mapping[str, Any],
    cache: PathLike | None,
    progress: Progress,
) -> list[Features]:
    """Extract for the comparison; what the user extracted last of the data set stays the last."""
    names, folder = list(dict.fromkeys(backbones)), cache_dir(cache)
    before = None
    with suppress(NotFoundError, CorruptStoreError):
        before = datasets.recall(folder)
    done = extract(data, backbone=names, cache=cache, progress=progress, **options)
    if before is not None and before.data == done[0].data:
        datasets.remember(folder, before)
    return [load(one.data, one.store.name, cache=cache) for one in done]
