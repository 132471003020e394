"""``featx run``: a recipe file, step by step."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featx.cli import beside, compare_cmd, extract_cmd, fit_cmd
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.jsonable import jsonable
from featx.cli.parsing import one_or_all, pairs
from featx.cli.text import count, duration, interval, number, table
from featx.errors import FeatxError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from featx._types import JsonObject
    from featx.pipeline import Pipeline, PlannedStep, Step

_KINDS = ("extract", "fit", "finetune", "skipped", "compare", "alone", "rows")
_KINDS_OF = {"skip": "skipped"}
"""Steps whose results stand under another name in the JSON object."""


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
            help="Change an option: fit.2.cv=3, finetune.epochs=1, data.limit=9; repeats.",
        ),
    ] = None,
    device: o.Device = "auto",
    n_jobs: Annotated[
        int, typer.Option("--n-jobs", metavar="N", help="Processes; -1 for one a core.")
    ] = -1,
    out: o.Out = "runs",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what each step would do, and compute nothing.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if any step had to be skipped.")
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Write a page of each comparison, or of the last fit: `featx report`."
        ),
    ] = False,
    cache: o.Cache = None,
) -> None:
    """Run a recipe file: extract, fit, fine-tune, and compare.

    Every mistake in the file is told before anything runs. What is cached is not computed again.
    A step that this machine cannot run is skipped, and the table says why.
    """
    from featx.pipeline import plan_pipeline, read_pipeline, run_pipeline

    files = dict(text.split("=", 1) for text in pairs("--weights", weights))
    pipeline = read_pipeline(file, one_or_all(data), weights=files, changes=changes or ())
    if dry_run:
        planned = plan_pipeline(pipeline, out=out, cache=cache, progress=console.progress)
        console.show({"steps": [step.to_json() for step in planned]}, _planned(planned))
        lacking = {step.step: step.skipped for step in planned if step.skipped}
        refuse_skips(lacking if strict else {}, len(planned), strict)
        return
    steps = run_pipeline(
        pipeline, device=device, n_jobs=n_jobs, out=out, cache=cache, progress=console.progress
    )
    value: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
    compared: list[list[str]] = []
    for step in steps:
        if step.kind == "rows":
            value["rows"] = step.result
        else:
            value[_KINDS_OF.get(step.kind, step.kind)].append(_value(step))
        console.tell([*_lines(step, pipeline, console.plus_minus), ""])
        compared += [step.result.table["run"].tolist()] if step.kind == "compare" else []
    asked = [{"runs": r, "out": out, "cache": cache} for r in _reports(compared, value)]
    beside.show(console, value, [], asked if report else [], _with_reports if report else None)
    skipped = {one["step"]: one["reason"] for one in value["skipped"]}
    of = len(pipeline.rows) or len(pipeline.extracts)
    kept = {k: v for k, v in skipped.items() if not (pipeline.rows and k.startswith("extract"))}
    refuse_skips(skipped if strict else kept, of, strict)


def _with_reports(value: JsonObject, paths: list[str]) -> JsonObject:
    return value | {"reports": paths}


def _reports(compared: list[list[str]], value: dict[str, list[Any]]) -> list[list[str]]:
    """Give what to report on: each comparison, else the last fit."""
    fitted = [record["name"] for record in (*value["fit"], *value["finetune"])]
    return compared or ([fitted[-1:]] if fitted else [])


def refuse_skips(skipped: dict[str, str], of: int, strict: bool) -> None:
    """Raise where nothing could be run, or not all and all was asked for.

    Raises
    ------
    FeatxError
        With the first reason.
    """
    if not skipped or (len(skipped) < of and not strict):
        return
    first, reason = next(iter(skipped.items()))
    if len(skipped) >= of:
        raise FeatxError(f"no step could be run; {first}: {reason}")
    raise FeatxError(f"{count(len(skipped), 'step')} skipped; {first}: {reason}")


def _value(step: Step) -> Any:
    if step.kind == "extract":
        return [jsonable(one) for one in step.result]
    if step.kind == "skip":
        return vars(step.result)
    if step.question is None:
        return step.result.record
    question = {"question": step.question.to_json()}
    return ({"step": step.result} if step.kind == "alone" else step.result.to_json()) | question


def _lines(step: Step, pipeline: Pipeline, plus_minus: str) -> Iterator[str]:
    """Say what a step's own command would."""
    if step.kind == "extract":
        values = _value(step)
        for value in values:
            yield from extract_cmd.store_lines(value)
        yield from extract_cmd.failure_lines(values[0]["failed"])
    elif step.kind in ("fit", "finetune"):
        yield from fit_cmd.scored([step.result.record], plus_minus)
    elif step.question is not None:
        words = step.question.words()
        yield from _compared(step, words, bool(pipeline.finetunes), plus_minus)
    elif step.kind == "skip":
        yield from _wrapped(f"{step.result.step} is skipped: {step.result.reason}")
    else:
        yield from row_lines(step.result, pipeline.metrics)


def _compared(step: Step, asked: str, cost: bool, plus_minus: str) -> Iterator[str]:
    """Say what the runs of a comparison have in common, or that a run has no other."""
    if step.kind == "alone":
        other = "is compared with no other step, for none was asked the same"
        yield from _wrapped(f"{step.result} {other}: {asked}")
        return
    runs = count(len(step.result.table), "run")
    yield from _wrapped(f"{runs} that were asked the same: {asked}")
    yield from compare_cmd.lines(step.result, cost=cost, plus_minus=plus_minus)


def row_lines(rows: Sequence[JsonObject], metrics: Sequence[str]) -> Iterator[str]:
    """Say what each row of the table came to, beside what was published."""
    shown = [name for name in metrics if any(name in row["metrics"] for row in rows)]
    numbers = any(row["published"] is not None for row in rows)
    header = ["step", "row", *(shown or ["metric", "score", "95 %"]), "time"]
    header += ["published"] if numbers else []
    cells = [
        [
            row["step"],
            row["row"],
            *([number(row["metrics"].get(name)) for name in shown] or _scored(row)),
            "skipped" if row["skipped"] else _time(row["total_s"]),
            *([number(row["published"])] if numbers else []),
        ]
        for row in rows
    ]
    texts = {"step", "row", "metric"}
    yield from table(header, cells, right=[i for i, k in enumerate(header) if k not in texts])
    yield ""
    yield "time: of the extraction and the fit or the training, cross-validation included"
    for row in rows:
        if row["skipped"]:
            yield from _wrapped(f"{row['step']} is skipped: {row['skipped']}")
    for row in rows if numbers else ():
        if row["as"]:
            yield from _wrapped(f"{row['step']}: published as {row['as']}")
    if numbers:
        yield "published: as the recipe file says; other images and splits may be behind it,"
        yield "so no difference is tested"


def _scored(row: JsonObject) -> list[str]:
    return [row["metric"] or "-", number(row["mean"]), interval(row)]


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)


def _planned(steps: Sequence[PlannedStep]) -> Iterator[str]:
    for step in steps:
        label = f" ({step.row})" if step.row else ""
        yield from _wrapped(f"{step.step}{label}: {step.what}")
        if step.skipped:
            yield from _wrapped(f"  skipped as things are: {step.skipped}")
    yield ""
    yield "nothing was computed; without --dry-run the steps run in this order"


def _wrapped(text: str) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    return wrap(
        text,
        79,
        drop_whitespace=True,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
