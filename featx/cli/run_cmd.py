"""``featx run``: a recipe file, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from featx.cli import compare_cmd, extract_cmd, fit_cmd
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.jsonable import jsonable
from featx.cli.parsing import one_or_all, pairs
from featx.cli.text import interval, number, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import JsonObject
    from featx.pipeline import Step


@command
def run(
    console: Console,
    file: Annotated[
        str, typer.Argument(metavar="FILE.toml", help="A recipe, as those in pipelines/.")
    ],
    data: Annotated[
        list[str] | None,
        typer.Argument(metavar="DATA", help="Images in place of those that the file names."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option("--weights", metavar="NAME=FILE", help="Weights of a backbone; repeats."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="STEP.OPTION=VALUE",
            help="Change an option: extract.image-size=224, fit.2.cv=3, data.limit=9; repeats.",
        ),
    ] = None,
    device: o.Device = "auto",
    n_jobs: Annotated[
        int, typer.Option("--n-jobs", metavar="N", help="Processes; -1 for one a core.")
    ] = -1,
    out: o.Out = "runs",
    cache: o.Cache = None,
) -> None:
    """Run a recipe file: extract, fit, and compare its fits.

    Every mistake in the file is told before anything runs. What is cached is not computed again.
    """
    from featx.pipeline import read_pipeline, run_pipeline

    files = dict(text.split("=", 1) for text in pairs("--weights", weights))
    pipeline = read_pipeline(file, one_or_all(data), weights=files, changes=changes or ())
    steps = run_pipeline(
        pipeline, device=device, n_jobs=n_jobs, out=out, cache=cache, progress=console.progress
    )
    value: dict[str, list[Any]] = {"extract": [], "fit": [], "compare": [], "published": []}
    for step in steps:
        if step.kind == "published":
            value["published"] = step.result
        else:
            value[step.kind].append(_value(step))
        console.tell([*_lines(step, console.plus_minus), ""])
    console.show(value, [])


def _value(step: Step) -> Any:
    if step.kind == "extract":
        return [jsonable(one) for one in step.result]
    return step.result.record if step.kind == "fit" else step.result.to_json()


def _lines(step: Step, plus_minus: str) -> Iterator[str]:
    """Say what a step's own command would."""
    if step.kind == "extract":
        values = _value(step)
        for value in values:
            yield from extract_cmd.store_lines(value)
        yield from extract_cmd.failure_lines(values[0]["failed"])
    elif step.kind == "fit":
        yield from fit_cmd.report([step.result.record], plus_minus)
    elif step.kind == "compare":
        yield from compare_cmd.lines(step.result, plus_minus=plus_minus)
    else:
        yield from _published_lines(step.result)


def _published_lines(rows: list[JsonObject]) -> Iterator[str]:
    """Say what was measured beside what was published."""
    header = ["fit", "metric", "featx", "95 %", "published", "as"]
    cells = [
        [
            f"{row['fit']} {row['head']}",
            row["metric"],
            number(row["mean"]),
            interval(row),
            number(row["published"]),
            row["as"] or "-",
        ]
        for row in rows
    ]
    yield from table(header, cells, right=(2, 3, 4))
    yield ""
    yield "published: as the recipe file says; other images and splits may be behind it,"
    yield "so no difference is tested"
