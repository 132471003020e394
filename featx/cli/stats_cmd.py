"""``featx stats``: what a set of images is like, before anything is computed from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from featx.cli import extract_options as e
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.parsing import names, one_or_all
from featx.cli.stats_lines import lines

if TYPE_CHECKING:
    from featx._types import JsonObject


@command
def stats(
    console: Console,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA",
            help=o.DATA_HELP,
        ),
    ],
    *,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="COL",
            help="Count its classes, or describe its numbers; repeats or takes commas "
            "[default: label].",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="COL",
            help="Which rows train: pixels of them alone [default: by its values].",
        ),
    ] = None,
    missing: o.Missing = None,
    limit: o.Limit = None,
    limit_per_class: o.LimitPerClass = None,
    seed: o.Seed = 0,
    path_column: o.PathColumn = None,
    root: o.Root = None,
    intensity: e.Intensity = "",
    channels: e.Channels = "",
    page: e.Page = "",
    reader: e.Reader = "",
) -> None:
    """Mean and deviation of the pixels, sizes, class counts, duplicates: in one pass.

    Nothing is written. The mean and deviation are what to normalize with.
    """
    from featx.surveying import stats as survey

    found = survey(
        one_or_all(data),
        target=names(target),
        split=split,
        missing=names(missing),
        limit=limit,
        limit_per_class=limit_per_class,
        seed=seed,
        path_column=path_column,
        root=root,
        intensity=intensity,
        channels=channels,
        page=page,
        reader=reader,
        progress=console.progress,
    )
    value: JsonObject = found.to_json()
    console.show(value, lines(value))
