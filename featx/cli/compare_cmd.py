"""``featx compare``: runs side by side, and which differences are real."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from featx.cli import beside, complete
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.parsing import image_size, names
from featx.cli.report_cmd import SavePlots, Wanted
from featx.cli.text import table
from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from featx.comparison import Comparison

_BY_SUFFIX = {".md": "md", ".tex": "latex", ".csv": "csv", ".txt": "text"}
Format = Literal["text", "md", "latex", "csv"]


@command
def compare(
    console: Console,
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...|DATA",
            autocompletion=complete.runs,
            help="Finished runs: folders, or names in runs/. With --backbone and --head: a folder, "
            "a table or an array of images, or a data set of the cache.",
        ),
    ],
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone",
            metavar="A,B",
            autocompletion=complete.backbones,
            help="Make the runs: on the features of these backbones ...",
        ),
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="A,B",
            autocompletion=complete.heads,
            help="... fit each of these heads: svm, svr, ridge, logreg, rbf, mlp, nn, knn.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="A,B",
            help="Shown; the first is tested [default: accuracy or rmse].",
        ),
    ] = None,
    kind: Annotated[
        Format | None,
        typer.Option("--format", help="Of the table [default: text, or by the name of FILE]."),
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Show every pair of runs, not the runs.")
    ] = False,
    cost: Annotated[
        bool,
        typer.Option(
            "--cost", help="Show what each point took: extraction, fit, seconds a point gained."
        ),
    ] = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the table there, too."),
    ] = None,
    target: o.Target = None,
    group: o.Group = None,
    split: o.Split = None,
    test_size: o.TestSize = None,
    train_per_class: o.TrainPerClass = None,
    cv: o.MaybeCv = None,
    repeats: o.MaybeRepeats = None,
    task: o.Task = None,
    scale: o.MaybeScale = None,
    quality: o.Quality = False,
    missing: o.Missing = None,
    seed: o.MaybeSeed = None,
    n_jobs: o.MaybeNJobs = None,
    limit: o.Limit = None,
    limit_per_class: o.LimitPerClass = None,
    layer: o.Layers = None,
    pool: o.Pools = None,
    size: o.ImageSize = None,
    weights: o.Weights = None,
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda: where networks run.")
    ] = None,
    path_column: o.PathColumn = None,
    root: o.Root = None,
    report: Wanted = False,
    save_plots: SavePlots = None,
    out: o.Out = "runs",
    cache: o.Cache = None,
) -> None:
    """Put finished runs side by side, and say which differences are real.

    With --backbone and --head, the runs are made first: what is cached is used, the rest extracted.
    """
    chosen = kind or _format_of(output)
    if cost and pairs:
        raise UsageError("--cost is about runs, --pairs about pairs of them; leave out one")
    fitting = {
        "target": target,
        "group": group,
        "split": split,
        "test_size": test_size,
        "train_per_class": train_per_class,
        "cv": cv,
        "repeats": repeats,
        "task": task,
        "scale": scale,
        "quality": quality or None,
        "missing": names(missing) or None,
        "seed": seed,
        "n_jobs": n_jobs,
    }
    extraction = {
        "limit": limit,
        "limit_per_class": limit_per_class,
        "layers": names(layer) or None,
        "pools": names(pool) or None,
        "image_size": image_size(size),
        "weights": weights,
        "device": device,
        "path_column": path_column,
        "root": root,
    }
    from featx.comparison import compare

    found = compare(
        *what,
        backbone=names(backbone),
        head=names(head),
        metric=names(metric),
        extract=_given(extraction),
        out=out,
        cache=cache,
        progress=console.progress,
        **_given(fitting),
    )
    runs = found.table["run"].tolist() if names(backbone) or names(head) else what
    asked = beside.wanted(report, runs, save_plots=save_plots, out=out, cache=cache)
    told = _told(console, found, chosen, _View(pairs, cost), output)
    beside.show(console, found, told, asked)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not said: a finished run has no use for it."""
    return {name: value for name, value in options.items() if value is not None}


def _format_of(output: str | None) -> Format:
    """Choose a format by a file's name."""
    if output is None:
        return "text"
    suffix = Path(output).suffix.lower()
    if suffix not in _BY_SUFFIX:
        raise UsageError(
            f"cannot tell a format from {Path(output).name!r}: expected a name that ends with "
            f"{', '.join(_BY_SUFFIX)}, or say --format"
        )
    return _BY_SUFFIX[suffix]  # type: ignore[return-value]  # its values are the formats


@dataclass(frozen=True)
class _View:
    """Which table is shown."""

    pairs: bool = False
    cost: bool = False


def _told(
    console: Console, found: Comparison, kind: Format, shown: _View, output: str | None
) -> Iterable[str]:
    """Give the table to print; one that goes to a file is printed as text."""
    if output is not None:
        from featx._files import write_text

        write_text(Path(output), render(found, kind, **vars(shown)))
        console.note(f"written: {output}")
        kind = "text"
    if kind == "text":
        return lines(found, **vars(shown), plus_minus=console.plus_minus)
    if kind == "csv":
        console.note(found.verdict)
    return render(found, kind, **vars(shown)).splitlines()


def render(found: Comparison, kind: Format, pairs: bool, cost: bool) -> str:
    """Give what a file gets; a CSV has every column."""
    if kind == "text":
        return "".join(f"{line}\n" for line in lines(found, pairs, cost, whole=True))
    if kind == "csv":
        return found.to_csv(pairs=pairs)
    writers = {"md": found.to_markdown, "latex": found.to_latex}
    return writers[kind](pairs=pairs, cost=cost)


def lines(
    found: Comparison,
    pairs: bool = False,
    cost: bool = False,
    plus_minus: str = "±",
    whole: bool = False,
) -> Iterator[str]:
    """Say the table, the verdict, and how it was found; ``whole``: each row in one line."""
    cells = found.cells(pairs=pairs, cost=cost, plus_minus=plus_minus)
    yield from table(cells.header, cells.rows, right=sorted(cells.right), whole=whole)
    yield ""
    for text in found.said(cost=cost):
        yield from wrap(text, 79, break_long_words=False, break_on_hyphens=False)
