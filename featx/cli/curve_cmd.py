"""``featx curve``: how good a head is with fewer labels."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from featx.cli import complete
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.parsing import names, one_or_all, pairs
from featx.cli.text import duration, table
from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx.curves import LearningCurve


@command
def curve(
    console: Console,
    head: Annotated[
        str,
        typer.Option(
            "--head",
            metavar="NAME",
            autocompletion=complete.heads,
            help="svm, svr, ridge, logreg, rbf, mlp or knn.",
        ),
    ] = "svm",
    data: o.DataName = None,
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--features",
            metavar="ID",
            autocompletion=complete.features,
            help="Store; repeats or takes commas: all side by side [default: the last "
            "extraction's].",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="COL", help="Column to predict [default: label]."),
    ] = None,
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
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="COL", help="Rows that share a value stay together."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="COL", help="Train on its train rows, score its test."),
    ] = None,
    test_size: Annotated[
        float | None,
        typer.Option("--test-size", metavar="SHARE", help="One random split instead of folds."),
    ] = None,
    cv: Annotated[
        str, typer.Option("--cv", metavar="K|random:N:SHARE", help="Folds, or random splits.")
    ] = "5",
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, metavar="N", help="Draw the folds anew N times.")
    ] = 1,
    task: Annotated[
        Literal["classification", "regression"] | None,
        typer.Option("--task", help="What the target is [default: by its values]."),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="NAME=VALUES",
            help="Search C=0.01,0.1,1 or C=1e-6:1:7 [default: by the head].",
        ),
    ] = None,
    search: Annotated[
        bool, typer.Option("--search/--no-search", help="Search the grid, or take it as it is.")
    ] = True,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter, not searched: C=1."),
    ] = None,
    class_weight: Annotated[
        Literal["balanced"] | None,
        typer.Option("--class-weight", help="Weight classes by the inverse of their frequency."),
    ] = None,
    scale: Annotated[
        Literal["none", "standard", "l2"],
        typer.Option("--scale", help="Scale each feature, or each row to length 1."),
    ] = "none",
    scoring: Annotated[
        str | None,
        typer.Option(
            "--scoring", metavar="NAME", help="What chooses: any scikit-learn scorer, plcc, srocc."
        ),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option("--missing", metavar="VALUES", help="Targets that mean unknown: NA,-1."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE.csv", help="Write the table there, too."),
    ] = None,
    seed: o.Seed = 0,
    n_jobs: Annotated[
        int, typer.Option("--n-jobs", metavar="N", help="Processes; -1 for one a core.")
    ] = -1,
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
        class_weight=class_weight,
        scale=scale,
        scoring=scoring,
        missing=names(missing),
        seed=seed,
        n_jobs=n_jobs,
        cache=cache,
        progress=console.progress,
    )
    if output is not None:
        from featx._files import write_text

        write_text(Path(output), found.to_csv())
        console.note(f"written: {output}")
    console.show(found, lines(found, console.plus_minus))


def lines(found: LearningCurve, plus_minus: str = "±") -> Iterator[str]:
    """Say the table, what more labels give, and how it was estimated."""
    yield f"{found.head} for {found.target} ({found.task}), {found.n} rows of {found.data}"
    yield from _wrapped(found.features, "  ")
    yield ""
    header, *rows = found.cells(plus_minus)
    yield from table(header, rows, right=(0, 1, 2))
    yield ""
    yield from _wrapped(found.verdict)
    yield from _wrapped(found.how)
    for note in found.notes:
        yield from _wrapped(f"note: {note}")
    yield f"({duration(found.seconds)})"


def _wrapped(text: str, first: str = "") -> list[str]:
    return wrap(text, 79, initial_indent=first, break_long_words=False, break_on_hyphens=False)
