"""``featx extract``: embed images once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.jsonable import jsonable
from featx.cli.parsing import image_size, max_failed, names, numbers, one_or_all
from featx.cli.text import count, duration, literal, rate
from featx.errors import TooManyFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from featx._types import JsonObject

_SHOWN = 5
"""Failed images that are named; the rest is counted."""


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
    label_column: Annotated[
        str | None,
        typer.Option("--label-column", metavar="COL", help="Table: classes of that limit."),
    ] = None,
    seed: o.Seed = 0,
    path_column: o.PathColumn = None,
    root: o.Root = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--image-size",
            metavar="N|weights",
            help="Pixels a side, or the weights' own size [default: by the backbone].",
        ),
    ] = None,
    resize: Annotated[
        Literal["crop", "squash", "pad", "none"] | None,
        typer.Option("--resize", help="How images get that size [default: as the weights say]."),
    ] = None,
    precision: o.Precision = "auto",
    engine: Annotated[
        Literal["auto", "torch", "openvino"],
        typer.Option("--engine", help="What runs the network."),
    ] = "auto",
    decoder: Annotated[
        Literal["auto", "pil", "scaled"],
        typer.Option("--decoder", help="pil: whole; scaled: large JPEGs at a fraction."),
    ] = "auto",
    device: o.Device = "auto",
    dtype: Annotated[
        Literal["float16", "float32"], typer.Option("--dtype", help="How vectors are stored.")
    ] = "float16",
    compression: Annotated[
        Literal["auto", "zstd", "none"],
        typer.Option("--compression", help="Of a new store; auto is zstd."),
    ] = "auto",
    batch_size: o.BatchSize = None,
    cache: o.Cache = None,
    weights: o.Weights = None,
    weights_key: Annotated[
        str | None,
        typer.Option("--weights-key", metavar="KEY", help="Part of the file, for example teacher."),
    ] = None,
    strip_prefix: Annotated[
        str | None,
        typer.Option("--strip-prefix", metavar="TEXT", help="Off tensor names: module."),
    ] = None,
    preprocess: Annotated[
        str | None,
        typer.Option("--preprocess", metavar="NAME", help="Preprocess as these weights do."),
    ] = None,
    mean: Annotated[
        list[str] | None, typer.Option("--mean", metavar="R,G,B", help="Of each channel, 0 to 1.")
    ] = None,
    std: Annotated[
        list[str] | None, typer.Option("--std", metavar="R,G,B", help="Of each channel, 0 to 1.")
    ] = None,
    interpolation: Annotated[
        str | None,
        typer.Option("--interpolation", metavar="NAME", help="bilinear, bicubic, lanczos ..."),
    ] = None,
    intensity: Annotated[
        str,
        typer.Option(
            "--intensity",
            metavar="HOW",
            help="More than 8 bits: dtype, fixed:LO:HI or percentile:LO:HI.",
        ),
    ] = "",
    channels: Annotated[
        str,
        typer.Option(
            "--channels", metavar="HOW", help="Other than 1, 3 or 4 channels: 0,2,1 or each."
        ),
    ] = "",
    page: Annotated[
        str, typer.Option("--page", metavar="N|all", help="Several pages: which, from 0.")
    ] = "",
    reader: Annotated[
        str,
        typer.Option("--reader", metavar="MODULE:FUNCTION", help="Turns bytes into an array."),
    ] = "",
    on_error: o.OnError = "record",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try images again that failed before.")
    ] = False,
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every file again, changed or not.")
    ] = False,
    failed: o.MaxFailed = "10%",
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
            on_error=on_error,
            retry_failed=retry_failed,
            rehash=rehash,
            max_failed=max_failed(failed),
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
        yield from _next(values, cache)


def store_lines(value: JsonObject) -> Iterator[str]:
    """Say what one store got."""
    yield f"{value['features']}: {value['rows']} x {value['dim']}"
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
    for one in failed[:_SHOWN]:
        yield f"  {one['path']}: {one['reason']}"
    if len(failed) > _SHOWN:
        yield f"  and {len(failed) - _SHOWN} more; the most frequent reasons of all:"
        for reason, n in Counter(one["reason"] for one in failed).most_common(_SHOWN):
            yield f"  {n:6d} {reason}"


def _next(values: list[JsonObject], cache: str | None) -> Iterator[str]:
    """Name the command that goes on: with the target and the split that the columns suggest."""
    columns = values[0]["columns"]
    words = ["featx", "fit", "--head", "svm", "--data", values[0]["data"]]
    words += ["--features", values[0]["features"]]
    words += ["--cache", cache] if cache else []
    words += ["--split", "split"] if "split" in columns else []
    if "label" in columns:
        yield f"next: {literal(*words)}"
    elif columns:
        yield f"next: {literal(*words)} --target COLUMN, one of: {', '.join(columns)}"
    else:
        yield f"next: featx predict MODEL, or `featx export {literal(values[0]['data'])}`"
