"""``featx report``: what runs are worth, as a page to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from featx.cli import complete
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.text import literal, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import JsonObject
    from featx.reporting import Report

SavePlots = Annotated[
    str | None,
    typer.Option("--save-plots", metavar="DIR", help="Write each figure there, as PNG and SVG."),
]
Wanted = Annotated[
    bool, typer.Option("--report", help="Write a page that shows it: see `featx report`.")
]


@command
def report(
    console: Console,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]",
            autocompletion=complete.runs,
            help="Finished runs: folders, or names in runs/; several are compared [default: the "
            "newest].",
        ),
    ] = None,
    curve: Annotated[
        bool | None,
        typer.Option(
            "--curve/--no-curve",
            help="With a learning curve [default: where the fit took seconds].",
        ),
    ] = None,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="With thumbnails of the images.")
    ] = True,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.html",
            help="Write it there [default: report.html in the run's folder].",
        ),
    ] = None,
    save_plots: SavePlots = None,
    out: o.Out = "runs",
    cache: o.Cache = None,
) -> None:
    """Write one HTML file that shows what a run is worth, and opens anywhere.

    Scores, confusions, the worst mistakes with their images, whether more labels would help, and
    how all of it was made.
    """
    made = make(
        console,
        runs or None,
        curve=curve,
        images=images,
        file=output,
        save_plots=save_plots,
        out=out,
        cache=cache,
    )
    console.show(made.to_json(), lines(made))


def make(console: Console, runs: Any = None, **options: Any) -> Report:
    """Write a report."""
    from featx.reporting import report

    return report(runs, progress=console.progress, **options)


def look_at(record: JsonObject, cache: str | None) -> str:
    """Give the command that writes a report of a run."""
    where = [] if cache is None else ["--cache", str(cache)]
    return literal("featx", "report", record["path"], *where)


def lines(made: Report) -> Iterator[str]:
    """Say what it says first, and where it is."""
    for sentence in made.summary:
        yield from wrapped(sentence)
    yield from where(made)


def where(made: Report) -> Iterator[str]:
    """Say where a report is, and its figures if they were saved."""
    yield f"report: {made.path}"
    if made.plots is not None:
        yield f"figures: {made.plots}"
        of = f"; all but comparison are of {made.run}" if made.run else ""
        yield from wrapped(f"{', '.join(made.figures)}, as PNG and SVG{of}", "  ", "  ")
