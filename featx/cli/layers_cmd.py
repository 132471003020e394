"""``featx layers``: where to cut a backbone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from featx.cli import beside, complete
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.glyphs import sparkline
from featx.cli.parsing import image_size, names, one_or_all
from featx.cli.report_cmd import SavePlots, Wanted
from featx.cli.text import number, table, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import JsonObject


@command
def layers(
    console: Console,
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA", help="Folder, table or array of images, as in extract."),
    ],
    *,
    backbone: Annotated[
        str,
        typer.Option(
            "--backbone",
            metavar="NAME",
            autocompletion=complete.backbones,
            help="vgg16, resnet50, timm/NAME, module:callable ...",
        ),
    ],
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            metavar="A,B",
            help="Probe these, and the default one [default: the last of each stage].",
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            "--every", min=1, metavar="N", help="Probe every Nth, counted back from the default."
        ),
    ] = None,
    pool: Annotated[
        str,
        typer.Option(
            "--pool",
            metavar="NAME",
            autocompletion=complete.poolings,
            help="Of each layer's map: avg, max, std, gem, flatten.",
        ),
    ] = "avg",
    head: o.Head = "svm",
    target: o.Target = None,
    group: o.Group = None,
    cv: o.Cv = "5",
    repeats: o.Repeats = 1,
    train_per_class: o.TrainPerClass = None,
    task: o.Task = None,
    search: o.Search = True,
    scale: o.Scale = "none",
    missing: o.Missing = None,
    seed: o.Seed = 0,
    n_jobs: o.NJobs = -1,
    limit: o.Limit = None,
    limit_per_class: o.LimitPerClass = None,
    size: o.ImageSize = None,
    weights: o.Weights = None,
    device: o.Device = "auto",
    dtype: Annotated[
        Literal["float16", "float32"], typer.Option("--dtype", help="How vectors are stored.")
    ] = "float16",
    path_column: o.PathColumn = None,
    root: o.Root = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE.csv", help="Write the table there, too."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep a run for each layer in --out.")] = (
        False
    ),
    report: Wanted = False,
    save_plots: SavePlots = None,
    out: o.Out = "runs",
    cache: o.Cache = None,
) -> None:
    """Fit a head on several layers of a backbone, and say where to cut it.

    One pass over the images; what is cached is not computed again.
    """
    extraction = {
        "limit": limit,
        "limit_per_class": limit_per_class,
        "image_size": image_size(size),
        "weights": weights,
        "path_column": path_column,
        "root": root,
    }
    fitting = {
        "target": target,
        "group": group,
        "train_per_class": train_per_class,
        "task": task,
    }
    from featx.probing import probe_layers

    found = probe_layers(
        one_or_all(data),
        backbone,
        names(layer),
        every=every,
        pool=pool,
        head=head,
        extract={**_given(extraction), "device": device, "dtype": dtype},
        out=out if keep else None,
        cache=cache,
        progress=console.progress,
        cv=cv,
        repeats=repeats,
        search=search,
        scale=scale,
        missing=names(missing),
        seed=seed,
        n_jobs=n_jobs,
        **_given(fitting),
    )
    if output is not None:
        from featx._files import write_text

        write_text(Path(output), found.to_csv())
        console.note(f"written: {output}")
    value = found.to_json()
    asked = beside.wanted(report, layers=found, save_plots=save_plots, out=out, cache=cache)
    beside.show(console, value, lines(value, console.plus_minus, console.block), asked)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not said."""
    return {name: value for name, value in options.items() if value is not None}


def lines(value: JsonObject, plus_minus: str = "±", block: str = "█") -> Iterator[str]:
    """Say the table, the verdict, and what to know of it."""
    metric, default = value["metric"], value["default"]
    header = ["layer", "depth", "d", metric, "95 %", "gain over default", "p (Holm)"]
    rows = [_cells(row, metric, default, plus_minus) for row in value["layers"]]
    yield from table(header, rows, right=range(1, len(header)))
    yield ""
    yield f"{metric} {sparkline([row[metric] for row in value['layers']], block)}"
    for text in (value["verdict"], *value["notes"]):
        yield from wrapped(text.replace("±", plus_minus))


def _cells(row: JsonObject, metric: str, default: str, plus_minus: str) -> list[str]:
    mean, std, low, high = (row[metric + end] for end in ("", "_std", "_low", "_high"))
    is_default = row["layer"] == default
    return [
        row["layer"],
        "-" if row["depth"] is None else f"{row['depth']:.0f}",
        str(row["d"]),
        number(mean) if std is None else f"{number(mean)} {plus_minus} {number(std)}",
        "-" if low is None else f"{number(low)} to {number(high)}",
        "(default)" if is_default else number(row["gain"]),
        number(row["p"]),
    ]
