"""``featx curve``: how good a head is with fewer labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featx._words import count
from featx.cli import beside
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.glyphs import sparkline
from featx.cli.parsing import names, one_or_all, pairs
from featx.cli.report_cmd import SavePlots, Wanted
from featx.cli.text import duration, table, wrapped
from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx.curves import LearningCurve


@command
def curve(
    console: Console,
    head: o.Head = "svm",
    data: o.DataName = None,
    features: o.Kinds = None,
    mix: o.Mix = None,
    target: o.Target = None,
    sizes: Annotated[
        list[str] | None,
        typer.Option(
            "--sizes",
            metavar="N,N,all",
            help="Training rows of each class, of all for a regression [default: 5, 10, 25, 50, "
            "100 ... all].",
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            min=1,
            metavar="N",
            help="Training sets of a size and fold [default: up to 10, fewer of large ones].",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="NAME", help="Shown [default: accuracy or rmse]."),
    ] = None,
    group: o.Group = None,
    split: o.Split = None,
    test_size: o.TestSize = None,
    cv: o.Cv = "5",
    repeats: o.Repeats = 1,
    task: o.Task = None,
    grid: o.Grid = None,
    search: o.Search = True,
    fixed: o.Fixed = None,
    class_weight: o.ClassWeight = None,
    scale: o.Scale = "none",
    scoring: o.Scoring = None,
    calibrate: o.Calibrate = None,
    missing: o.Missing = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE.csv", help="Write the table there, too."),
    ] = None,
    seed: o.Seed = 0,
    n_jobs: o.NJobs = -1,
    device: o.ProductsDevice = "cpu",
    report: Wanted = False,
    save_plots: SavePlots = None,
    out: o.Out = "runs",
    cache: o.Cache = None,
) -> None:
    """Say how good a head is with fewer labels, and whether more would help.

    Each size is tested on the same rows, and tuned inside its own training rows.
    """
    if output is not None and not output.lower().endswith(".csv"):
        raise UsageError(f"-o is {output!r}; expected a name that ends with .csv")
    grid_texts, fixed_texts = pairs("--grid", grid), pairs("--set", fixed)
    from featx.curves import curve

    found = curve(
        one_or_all(names(features)),
        head,
        data=data,
        target=target,
        sizes=names(sizes) or None,
        draws=draws,
        metric=metric,
        group=group,
        split=split,
        test_size=test_size,
        cv=cv,
        repeats=repeats,
        task=task,
        grid=grid_texts or None,
        set=fixed_texts,
        search=search,
        mix=names(mix),
        class_weight=class_weight,
        scale=scale,
        scoring=scoring,
        calibrate=calibrate,
        missing=names(missing),
        seed=seed,
        n_jobs=n_jobs,
        device=device,
        cache=cache,
        progress=console.progress,
    )
    if output is not None:
        from featx._files import write_text

        write_text(Path(output), found.to_csv())
        console.note(f"written: {output}")
    asked = beside.wanted(report, curve=found, save_plots=save_plots, out=out, cache=cache)
    beside.show(console, found, lines(found, console.plus_minus, console.block), asked)


def lines(found: LearningCurve, plus_minus: str = "±", block: str = "█") -> Iterator[str]:
    """Say the table, what more labels give, and how it was estimated."""
    yield f"{found.head} for {found.target} ({found.task}), {count(found.n, 'row')} of {found.data}"
    yield from wrapped(found.features, "  ")
    yield ""
    header, *rows = found.cells(plus_minus)
    yield from table(header, rows, right=(0, 1, 2))
    yield ""
    yield f"{found.metric} {sparkline(found.table[found.metric].tolist(), block)}"
    yield from wrapped(found.verdict)
    yield from wrapped(found.how)
    for note in found.notes:
        yield from wrapped(f"note: {note}")
    yield f"({duration(found.seconds)})"
