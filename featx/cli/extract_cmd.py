"""``featx extract``: embed images once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from featx.cli import extract_options as e
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.jsonable import jsonable
from featx.cli.parsing import image_size, max_failed, names, numbers, one_or_all
from featx.cli.text import count, duration, literal, rate, wrapped
from featx.errors import TooManyFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from featx._types import JsonObject

_SHOWN = 5
"""Failed images that are named; the rest is counted."""
_HEADS = {"classification": "svm", "regression": "ridge"}
"""What is suggested for a target, by its task."""
_FOLDS = {2: ["--cv", "2", "--no-search"], 3: ["--cv", "3"], 4: ["--cv", "4"]}
"""What a fit is asked for where the smallest class has so few rows."""


@command
def extract(
    console: Console,
    data: o.Data = None,
    *,
    backbone: o.Backbones,
    layer: o.Layers = None,
    pool: o.Pools = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Of the data set [default: its folder's]."),
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add the images to the data set of that name.")
    ] = False,
    limit: o.Limit = None,
    limit_per_class: o.LimitPerClass = None,
    label_column: e.LabelColumn = None,
    seed: o.Seed = 0,
    path_column: o.PathColumn = None,
    root: o.Root = None,
    size: e.ImageSize = None,
    resize: e.Resize = None,
    precision: o.Precision = "auto",
    engine: e.Engine = "auto",
    decoder: e.Decoder = "auto",
    device: o.Device = "auto",
    dtype: e.Dtype = "float16",
    compression: e.Compression = "auto",
    batch_size: o.BatchSize = None,
    cache: o.Cache = None,
    weights: o.Weights = None,
    weights_key: e.WeightsKey = None,
    strip_prefix: e.StripPrefix = None,
    preprocess: e.Preprocess = None,
    mean: e.Mean = None,
    std: e.Std = None,
    interpolation: e.Interpolation = None,
    intensity: e.Intensity = "",
    channels: e.Channels = "",
    page: e.Page = "",
    reader: e.Reader = "",
    views: e.Views = 1,
    augment: e.Augment = None,
    on_error: o.OnError = "record",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try images again that failed before.")
    ] = False,
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every file again, changed or not.")
    ] = False,
    failed: o.MaxFailed = "10%",
    dask: o.Dask = None,
) -> None:
    """Embed images once with a frozen backbone, into the cache.

    What is cached already is not computed again.
    """
    from featx.extraction import extract

    try:
        done = extract(
            one_or_all(data),
            backbone=names(backbone),
            layers=names(layer),
            pools=names(pool),
            name=name,
            append=append,
            limit=limit,
            limit_per_class=limit_per_class,
            label_column=label_column,
            seed=seed,
            path_column=path_column,
            root=root,
            image_size=image_size(size),
            resize=resize,
            precision=precision,
            engine=engine,
            decoder=decoder,
            device=device,
            dtype=dtype,
            compression=compression,
            batch_size=batch_size,
            cache=cache,
            weights=weights,
            weights_key=weights_key,
            strip_prefix=strip_prefix,
            preprocess=preprocess,
            mean=numbers("--mean", mean),
            std=numbers("--std", std),
            interpolation=interpolation,
            intensity=intensity,
            channels=channels,
            page=page,
            reader=reader,
            views=views,
            augment=augment,
            on_error=on_error,
            retry_failed=retry_failed,
            rehash=rehash,
            max_failed=max_failed(failed),
            dask=dask,
            progress=console.progress,
        )
    except TooManyFailedError as error:
        if error.results:
            _show(console, error.results, cache)
        raise
    _show(console, done, cache)


def _show(console: Console, done: Sequence[object], cache: str | None) -> None:
    values = [jsonable(one) for one in done]
    console.show(as_one(values), lines(values, cache))


def as_one(values: list[JsonObject]) -> JsonObject:
    """Give one object: that of the one store, else each value as a list, a store an entry."""
    if len(values) == 1:
        return values[0]
    return {key: [value[key] for value in values] for key in values[0]} if values else {}


def lines(values: list[JsonObject], cache: str | None = None) -> Iterator[str]:
    """Say what each store got, what failed, and what to do next."""
    for value in values:
        yield from store_lines(value)
    if values:
        yield from dict.fromkeys(filter(None, (value["where_time_goes"] for value in values)))
        yield from failure_lines(values[0]["failed"])
        yield from _next(values, cache) if values[0]["rows"] else ()


def store_lines(value: JsonObject) -> Iterator[str]:
    """Say what one store got."""
    rows, views = value["rows"], value.get("views", 1)
    n = f"{rows // views} images x {views} views" if views > 1 else f"{rows}"
    yield f"{value['features']}: {n} x {value['dim']}"
    done = [f"{word} {value[word]}" for word in ("computed", "reused", "derived")]
    what = [*done, f"failed {len(value['failed'])}", duration(value["seconds"])]
    if value["images_per_second"]:
        what.append(f"{rate(value['images_per_second'])} images/s")
    yield f"  {', '.join(what)}"
    yield f"  {value['store']}"


def failure_lines(failed: list[JsonObject]) -> Iterator[str]:
    """Name the first failed images with their reasons, and count the reasons of all."""
    if not failed:
        return
    yield f"{count(len(failed), 'image')} failed:"
    shown = failed if len(failed) <= 2 * _SHOWN else failed[:_SHOWN]
    for one in shown:
        yield f"  {one['path']}: {one['reason']}"
    if len(failed) > len(shown):
        yield f"  and {len(failed) - len(shown)} more (--json has all); the most frequent reasons:"
        for reason, n in Counter(one["reason"] for one in failed).most_common(_SHOWN):
            yield f"  {n:6d} {reason}"


def _no_target(columns: Sequence[str]) -> str:
    """Say what a fit lacks, where no column can be its target."""
    if not columns:
        return (
            "no labels, so no head can be fitted yet: sort the images into one folder a class, or "
            "extract a table with a column of paths and one of labels; vectors are kept"
        )
    if list(columns) == ["label"]:
        return "one label alone, and a head needs two: add images of another class"
    return (
        f"no column looks like a target ({', '.join(columns)}): a head needs numbers, or two "
        "classes with 5 images each"
    )


def _next(values: list[JsonObject], cache: str | None) -> Iterator[str]:
    """Name the command that goes on: with the target, head and split that the columns suggest."""
    value, found = values[0], values[0]["roles"]
    roles = {name: one["role"] for name, one in found.items()}
    where = ["--features", value["features"], *(["--cache", cache] if cache else [])]
    targets = [name for name, role in roles.items() if role in _HEADS]
    if not targets:
        yield from wrapped(_no_target([c for c in value["columns"] if c not in roles]), rest="  ")
        yield f"next: {literal('featx', 'export', value['data'], *where)}"
        return
    target = "label" if "label" in targets else targets[0]
    words = ["featx", "fit", "--head", _HEADS[roles[target]], "--data", value["data"], *where]
    words += [] if target == "label" else ["--target", target]
    marks = [mark.replace(",", "\\,") for mark in found[target].get("missing", [])]
    words += ["--missing", ",".join(marks)] if marks else []
    split = next((name for name, role in roles.items() if role == "split"), None)
    words += ["--split", split] if split else _FOLDS.get(found[target].get("least"), [])
    yield f"next: {literal(*words)}"
    if others := [name for name in targets if name != target]:
        yield from wrapped(f"or --target with another column: {', '.join(others)}", rest="  ")
