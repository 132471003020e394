"""``featx predict``: use a fitted head on new images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featx.cli import complete
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.parsing import max_failed, names, one_or_all
from featx.cli.parsing import weights as weights_of
from featx.cli.text import count, interval, number, table, wrapped
from featx.errors import TooManyFailedError
from featx.scoreboard import unusual_intervals

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from featx._types import JsonObject

_SHOWN = 20
"""Rows that are printed where no file is named."""


@command
def predict(
    console: Console,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            autocompletion=complete.runs,
            help="A run of `featx fit`: its folder, or its name in runs/.",
        ),
    ],
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA...", help="Images, folders, tables, tar shards, arrays."),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write .csv, .tsv, .parquet or .json."),
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Compare with the labels of the data.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="COL", help="Their column [default: as in the fit]."),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option("--missing", metavar="VALUES", help="Labels that mean unknown: NA,-1."),
    ] = None,
    quality: o.Quality = False,
    lower_is_better: Annotated[
        bool | None,
        typer.Option(
            "--lower-is-better/--higher-is-better",
            help="What low values of that column mean [default: as in the fit].",
        ),
    ] = None,
    cache: o.Cache = None,
    cache_new: Annotated[
        bool, typer.Option("--cache-new", help="Keep the vectors that are computed now.")
    ] = False,
    weights: o.ModelWeights = None,
    path_column: o.PathColumn = None,
    root: o.Root = None,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    on_error: o.OnError = "record",
    failed: o.MaxFailed = "10%",
) -> None:
    """Predict for new images.

    They go through the recipe that the model was fitted on.
    """
    allowed, files = max_failed(failed), weights_of(weights)
    from featx.prediction import predict

    done = predict(
        model,
        one_or_all(data),
        output=output,
        evaluate=evaluate,
        target=target,
        missing=names(missing),
        quality=quality,
        lower_is_better=lower_is_better,
        cache=cache,
        cache_new=cache_new,
        weights=files,
        path_column=path_column,
        root=root,
        device=device,
        precision=precision,
        on_error=on_error,
        progress=console.progress,
    )
    value: JsonObject = {"model": model, "output": _absolute(output), **done.to_json()}
    if output is None and console.as_json:
        records = done.frame.to_json(orient="records", date_format="iso", double_precision=15)
        value["predictions"] = json.loads(records)
    console.show(value, _lines(value, done.frame))
    _refuse_many_failures(value, allowed)


def _absolute(output: str | None) -> str | None:
    return None if output is None else str(Path(output).absolute())


def _lines(value: JsonObject, frame: pd.DataFrame) -> Iterator[str]:
    if value["output"] is None:
        yield from _first_rows(frame)
    failed = f", {value['failed']} failed" if value["failed"] else ""
    yield f"{count(value['rows'], 'row')}: {value['predicted']} predicted{failed}"
    if value["metrics"]:
        rows = [
            [name, number(score["mean"]), interval(score)]
            for name, score in value["metrics"].items()
        ]
        yield from table(["metric", "value", "95 % interval"], rows, right=[1, 2])
        if unusual := unusual_intervals(value["metrics"]):
            yield from wrapped(f"95 % interval of {unusual}")
    yield from (f"note: {note}" for note in value["notes"])
    if value["output"] is not None:
        yield f"written to {value['output']}"


def _first_rows(frame: pd.DataFrame) -> Iterator[str]:
    """Show what names the image, the prediction and its highest score, or why there is none."""
    columns = [str(name) for name in frame.columns]
    ours = max(i for i, name in enumerate(columns) if name.startswith("prediction"))
    scored = len(columns) - 2 > ours + 1
    header = [columns[0], "prediction", *(["score"] if scored else []), "reason"]
    rows = [
        [row[0], *_said(row[ours:], scored)]
        for row in frame.head(_SHOWN).itertuples(index=False, name=None)
    ]
    yield from table(header, rows)
    if len(frame) > _SHOWN:
        yield f"and {len(frame) - _SHOWN} more; -o FILE writes them all"


def _said(cells: tuple[Any, ...], scored: bool) -> list[str]:
    """Shorten (prediction, scores..., status, reason) of one row."""
    prediction, *scores, status, reason = cells
    if status != "ok":
        return ["-", *(["-"] if scored else []), str(reason)]
    shown = number(prediction) if isinstance(prediction, float) else str(prediction)
    return [shown, *([f"{max(scores):.3g}"] if scored else []), ""]


def _refuse_many_failures(value: JsonObject, allowed: int | str) -> None:
    from featx.extraction import parse_max_failed

    n, failed = value["rows"], value["failed"]
    most = parse_max_failed(allowed, n)
    if failed > most:
        raise TooManyFailedError(
            f"{failed} of {n} images have no prediction, more than the {most} that --max-failed "
            f"{allowed} allows; the table says why for each; --max-failed 100% accepts this"
        )
