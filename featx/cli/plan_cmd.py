"""``featx plan``: what an extraction will cost here, before it runs."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from featx.cli import complete
from featx.cli import extract_options as e
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.parsing import image_size, names, numbers, one_or_all
from featx.cli.text import count, duration, literal, rate, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from featx._types import JsonObject

_OWN_FLAGS = {"--json", "--quiet", "--debug"}
_OWN_OPTIONS = {"--head", "--workers"}


@command
def plan(
    console: Console,
    data: o.Data = None,
    *,
    backbone: o.Backbones,
    layer: o.Layers = None,
    pool: o.Pools = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="NAME",
            autocompletion=complete.heads,
            help="To be fitted afterwards; repeats or takes commas [default: svm, svr, ridge, "
            "logreg, mlp, as the labels allow].",
        ),
    ] = None,
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
    workers: Annotated[
        int,
        typer.Option("--workers", metavar="N", min=1, help="So many machines like this one."),
    ] = 1,
) -> None:
    """Say what an extraction will take: time, disk, memory, and which heads will fit.

    Tries some of the images; nothing is stored.
    """
    pixels, means, stds = image_size(size), numbers("--mean", mean), numbers("--std", std)
    from featx.planning import plan

    done = plan(
        one_or_all(data),
        backbone=names(backbone),
        heads=names(head),
        cache=cache,
        progress=console.progress,
        layers=names(layer),
        pools=names(pool),
        limit=limit,
        limit_per_class=limit_per_class,
        label_column=label_column,
        seed=seed,
        path_column=path_column,
        root=root,
        image_size=pixels,
        resize=resize,
        precision=precision,
        engine=engine,
        decoder=decoder,
        device=device,
        dtype=dtype,
        compression=compression,
        batch_size=batch_size,
        weights=weights,
        weights_key=weights_key,
        strip_prefix=strip_prefix,
        preprocess=preprocess,
        mean=means,
        std=stds,
        interpolation=interpolation,
        intensity=intensity,
        channels=channels,
        page=page,
        reader=reader,
        views=views,
        augment=augment,
        workers=workers,
    )
    value = done.to_json() | {"next": literal("featx", *extraction(console.argv))}
    console.show(value, lines(value))


def extraction(argv: Sequence[str]) -> list[str]:
    """Give the words of the extraction that was planned: those of the plan without its own."""
    words: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word in _OWN_OPTIONS:
            next(rest, None)
        elif word not in _OWN_FLAGS and word.partition("=")[0] not in _OWN_OPTIONS:
            words.append(word)
    return ["extract", *words[1:]]


def lines(value: JsonObject) -> Iterator[str]:
    """Say each backbone in a block, what does not fit, and what to do next."""
    for one in value["backbones"]:
        yield from _block(value, one)
    if len(value["backbones"]) > 1 and value["seconds"] is not None:
        yield f"all: about {duration(value['seconds'])}, {size(value['bytes'])} on disk"
    if not value["fits_on_disk"]:
        yield (
            f"warning: {size(value['bytes'])} do not fit on the disk, where "
            f"{size(value['disk_free_bytes'])} are free: choose --pool avg, fewer images, or "
            "another --cache DIR"
        )
    if not value["fits_in_memory"]:
        free = size(value["memory_free_bytes"])
        yield f"warning: of memory only {free} are free: a smaller --batch-size takes less"
    yield f"next: {value['next']}"


def _block(value: JsonObject, one: JsonObject) -> Iterator[str]:
    yield f"{', '.join(store['features'] for store in one['stores'])}: {_images(value, one)}"
    for note in one["notes"]:
        yield from _indented(note)
    if one["compute"] or one["derived"]:
        yield from _indented(_time(one, value["views"], value["workers"]))
        yield from _indented(_spread(one, value["workers"])) if value["workers"] > 1 else ()
        yield from _disk(value, one)
        free = size(value["memory_free_bytes"])
        yield f"  peak memory about {size(one['memory_bytes'])} of {free} free"
    for store in one["stores"]:
        yield from _heads(value["target"], store, named=len(one["stores"]) > 1)


def _images(value: JsonObject, one: JsonObject) -> str:
    views = f" ({one['compute_views']:,} views)" if value["views"] > 1 else ""
    parts = [f"{one['compute']:,} images to compute{views}, {one['cached']:,} cached"]
    counts = {
        "pooled from the flattened store": one["derived"],
        "the same as another": one["copies"],
        "known as undecodable": one["undecodable"],
        "not there": value["missing"],
    }
    return ", ".join([*parts, *(f"{n:,} {what}" for what, n in counts.items() if n)])


def _time(one: JsonObject, views: int, workers: int) -> str:
    if one["seconds"] is None:
        return "no time can be told: none of the images tried could be computed"
    total = f"about {duration(one['seconds'])}"
    if not one["images_per_second"]:
        return total
    busy = dict(sorted(one["busy"].items(), key=lambda item: -item[1]))
    first = busy.pop(one["bound_by"])
    of = f" of {views} views" if views > 1 else ""
    of += " a worker" if workers > 1 else ""
    others = ", ".join(f"{stage} {100 * share:.0f} %" for stage, share in busy.items())
    return (
        f"{total}: start {duration(one['start_s'])}, then {rate(one['images_per_second'])} "
        f"images/s{of}, bound by {one['bound_by']} ({100 * first:.0f} % busy; {others})"
    )


def _spread(one: JsonObject, workers: int) -> str:
    blocks = sum(store["blocks"] for store in one["stores"])
    return (
        f"that is of {workers} workers, each as fast as this machine; together they read "
        f"{size(one['read_bytes'])} of images and write {count(blocks, 'block')}, "
        f"{4 * blocks:,} files or objects"
    )


def _disk(value: JsonObject, one: JsonObject) -> Iterator[str]:
    several = len(one["stores"]) > 1
    where = "in the bucket" if value["disk_free_bytes"] is None else "on disk"
    for store in one["stores"]:
        share = store["compressed_to"]
        packed = "" if share in (None, 1) else f" (compressed to {100 * share:.0f} %)"
        free = "" if several else _free(value)
        name = f"{store['features']}: " if several else ""
        dim = f"{store['dim']:,} values {'a view' if value['views'] > 1 else 'an image'}"
        yield from _indented(f"{name}{size(store['bytes'])} {where}{packed}{free}, {dim}")
    if several:
        yield f"  {size(one['bytes'])} {where} together{_free(value)}"


def _free(value: JsonObject) -> str:
    free = value["disk_free_bytes"]
    return "" if free is None else f", {size(free)} free"


def _heads(target: str, store: JsonObject, *, named: bool) -> Iterator[str]:
    of = f" on {store['features']}" if named else ""
    fits = [f"{h['head']} {size(h['bytes'])}" for h in store["heads"] if h["fits"]]
    if fits:
        yield from _indented(f"heads{of}: {', '.join(fits)} of memory ({target}, 5 folds)")
    lacking: dict[str, list[str]] = {}
    for head in store["heads"]:
        if not head["fits"]:
            lacking.setdefault(head["why"], []).append(head["head"])
    for why, heads in lacking.items():
        yield from _indented(f"no {', '.join(heads)}{of}: {why}")


def _indented(text: str) -> list[str]:
    return wrap(
        text, 79, initial_indent="  ", subsequent_indent="    ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
