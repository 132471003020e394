"""``featx fit`` and ``featx runs``: fit heads, and list what was fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from featx.cautions import cautions
from featx.cli import beside
from featx.cli import options as o
from featx.cli import training_options as t
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.glyphs import confusion
from featx.cli.parsing import names, one_or_all, pairs
from featx.cli.report_cmd import SavePlots, Wanted, look_at
from featx.cli.text import (
    count,
    duration,
    literal,
    number,
    one_line,
    shortened,
    table,
    wrapped,
)
from featx.scoreboard import group_title, legend, score_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from featx._types import JsonObject


@command
def fit(
    console: Console,
    head: o.Head,
    data: o.DataName = None,
    features: o.Kinds = None,
    mix: o.Mix = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="COL",
            help="Column to predict; repeats or takes commas: one head each [default: label].",
        ),
    ] = None,
    group: o.Group = None,
    split: o.Split = None,
    test_size: o.TestSize = None,
    train_per_class: o.TrainPerClass = None,
    cv: o.Cv = "5",
    repeats: o.Repeats = 1,
    task: o.Task = None,
    grid: o.Grid = None,
    search: o.Search = True,
    fixed: o.Fixed = None,
    hidden: t.Hidden = None,
    activation: t.Activation = None,
    dropout: t.Dropout = None,
    loss: t.Loss = None,
    optimizer: t.Optimizer = None,
    lr: t.Lr = None,
    epochs: t.Epochs = None,
    batch_size: t.Steps = None,
    early_stopping: t.EarlyStopping = None,
    class_weight: o.ClassWeight = None,
    scale: o.Scale = "none",
    scoring: o.Scoring = None,
    quality: o.Quality = False,
    lower_is_better: Annotated[
        bool,
        typer.Option("--lower-is-better", help="Low targets are good, as with DMOS."),
    ] = False,
    aggregate: Annotated[
        Literal["group"] | None,
        typer.Option("--aggregate", help="Score the mean of each group's rows, too."),
    ] = None,
    calibrate: o.Calibrate = None,
    missing: o.Missing = None,
    twins: Annotated[
        str,
        typer.Option(
            "--twins",
            metavar="auto|off|COSINE",
            help="Find near-identical images on both sides of a split, and score without them.",
        ),
    ] = "auto",
    seed: o.Seed = 0,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of the run [default: numbered].")
    ] = None,
    out: o.Out = "runs",
    n_jobs: o.NJobs = -1,
    device: o.ProductsDevice = "cpu",
    dask: o.Dask = None,
    report: Wanted = False,
    save_plots: SavePlots = None,
    cache: o.Cache = None,
) -> None:
    """Fit a head on cached features, and say how good it is.

    A searched grid is scored nested: the rows that score never choose.
    """
    searched, said = t.as_parameters(
        head,
        {
            "hidden": hidden,
            "activation": activation,
            "dropout": dropout,
            "loss": loss,
            "optimizer": optimizer,
            "lr": lr,
            "epochs": epochs,
            "batch_size": batch_size,
            "early_stopping": early_stopping,
        },
    )
    grid_texts = pairs("--grid", [*(grid or ()), *searched])
    fixed_texts = pairs("--set", [*(fixed or ()), *said])
    from featx.cluster import fits
    from featx.fitting import fit, fit_targets

    options: dict[str, Any] = {
        "data": data,
        "group": group,
        "split": split,
        "test_size": test_size,
        "train_per_class": train_per_class,
        "cv": cv,
        "repeats": repeats,
        "task": task,
        "grid": grid_texts or None,
        "set": fixed_texts,
        "search": search,
        "mix": names(mix),
        "class_weight": class_weight,
        "scale": scale,
        "scoring": scoring,
        "quality": quality,
        "lower_is_better": lower_is_better,
        "aggregate": aggregate,
        "calibrate": calibrate,
        "missing": names(missing),
        "twins": twins,
        "seed": seed,
        "name": name,
        "out": out,
        "n_jobs": n_jobs,
        "device": device,
        "cache": cache,
        "progress": console.progress,
    }
    targets, kinds = names(target), one_or_all(names(features))
    with fits(dask, console.progress.say):
        if len(targets) > 1:
            fitted = fit_targets(targets, kinds, head, **options)
        else:
            fitted = [fit(kinds, head, target=targets[0] if targets else None, **options)]
    records = [result.record for result in fitted]
    value = records[0] if len(records) == 1 else {"fits": records}
    look = None if report or save_plots is not None else look_at(records[0], cache)
    several = save_plots is not None and len(fitted) > 1
    asked: list[dict[str, Any]] = []
    for result in fitted:
        place = f"{save_plots}/{result.name}" if several else save_plots
        asked += beside.wanted(report, result, save_plots=place, out=out, cache=cache)
    told = lines(records, console.plus_minus, look)
    beside.show(console, value, told, asked, None if len(records) == 1 else _with_reports)


def _with_reports(value: JsonObject, paths: list[str]) -> JsonObject:
    """Give each fit its report, as far as they were written."""
    fits, n = value["fits"], len(paths)
    made = [one | {"report": path} for one, path in zip(fits, paths, strict=False)]
    return {"fits": [*made, *fits[n:]]}


def lines(
    records: list[JsonObject], plus_minus: str = "±", look: str | None = None
) -> Iterator[str]:
    """Say what was found, and what to do next."""
    yield from scored(records, plus_minus)
    if look is not None:
        yield f"look: {look}"
    yield f"next: {literal('featx', 'predict', records[0]['path'])} FOLDER"


def scored(records: list[JsonObject], plus_minus: str = "±") -> Iterator[str]:
    """Say what was tuned, how good each head is, and by which estimate."""
    for record in records:
        yield from _what(record)
    yield ""
    yield from _scores(records, plus_minus)
    for record in records:
        yield from _confusion(record)
    for how in dict.fromkeys(record["how"] for record in records):
        yield from wrapped(how)
    for note in dict.fromkeys(note for record in records for note in record["notes"]):
        yield from wrapped(f"note: {note}", rest="  ")
    for record in records:
        for caution in cautions(record, number):
            yield from wrapped(caution, rest="  ")
        yield f"results: {record['path']} ({duration(sum(record['seconds'].values()))})"


def _what(record: JsonObject) -> Iterator[str]:
    yield f"{record['head']} for {record['target']} ({record['task']})"
    yield from wrapped(f"{record['n']} x {record['d']} {record['features']['label']}", "  ", "    ")
    for left in record["data"]["left_out"]:
        yield f"  left out: {count(left['rows'], 'row')}, {left['why']}"
    searched = record["candidates"] if len(record["candidates"]) > 1 else []
    for parameter in record["best_params"] if searched else ():
        values = dict.fromkeys(_value(row["params"].get(parameter)) for row in searched)
        if len(values) > 1:
            grid = f"tuned {parameter} over {', '.join(values)} by {record['criterion']}"
            yield from wrapped(grid, "  ", "    ")
    chosen = ", ".join(f"{key}={_value(value)}" for key, value in record["best_params"].items())
    yield f"  {'chosen' if searched else 'parameters'}: {chosen or 'the defaults'}"


def _confusion(record: JsonObject) -> Iterator[str]:
    classes = [str(row["class"]) for row in record.get("classes") or []]
    found = list(confusion(record.get("confusion") or [], classes))
    if found:
        yield from ["", *found, ""]


def _scores(records: list[JsonObject], plus_minus: str) -> Iterator[str]:
    yield from _table(records, "", plus_minus)
    if grouped := [record for record in records if record.get("group_metrics")]:
        yield ""
        yield f"{group_title(grouped[0])}:"
        yield from _table(grouped, "group_", plus_minus)
    yield ""
    for words in dict.fromkeys(map(legend, records)):
        yield from wrapped(words)


def _table(records: list[JsonObject], kind: str, plus_minus: str) -> Iterator[str]:
    header, *rows = score_table(records, number, kind=kind, plus_minus=plus_minus)
    numbers = range(header.index("metric") + 1, len(header))
    return table(header, rows, right=numbers)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@command
def runs(console: Console, out: o.Out = "runs") -> None:
    """List fitted heads, oldest first; --json has all that is known of them."""
    from pathlib import Path

    from featx.runs import list_runs

    rows = list_runs(out)
    folder = str(Path(out).absolute())
    console.show({"out": folder, "runs": rows}, _run_lines(rows, folder))


def _run_lines(rows: list[JsonObject], folder: str) -> Iterable[str]:
    if not rows:
        return [f"no run in {folder}; `featx fit` makes one"]
    cells = [[one_line(cell) for cell in _run_cells(row)] for row in rows]
    rest = [max(map(len, column)) for column in zip(_RUN_COLUMNS, *cells, strict=True)][1:]
    longest = _COLUMNS - sum(rest) - 2 * len(rest)
    named = [[shortened(name, longest), *others] for name, *others in cells]
    header, *shown = table(_RUN_COLUMNS, named, right=[2, 4], whole=True)
    below = [shortened(f"  {one_line(_about_run(row))}", _COLUMNS) for row in rows]
    return [header, *(line for pair in zip(shown, below, strict=True) for line in pair)]


_COLUMNS = 80
_RUN_COLUMNS = ("run", "made", "n", "score", "baseline")


def _run_cells(row: JsonObject) -> list[str]:
    if "error" in row:
        return [row["name"], *["-"] * 4]
    metric, scores = _metric_of(row), row["metrics"]
    return [
        row["name"],
        row["created"][:10],
        str(row["n"]),
        f"{metric} {number(scores[metric]['mean'])}",
        number(row["baseline"][metric]["mean"]),
    ]


def _about_run(row: JsonObject) -> str:
    """Say what a run is of."""
    if "error" in row:
        return f"cannot be read: {row['error']}"
    asked = row["arguments"]
    by = f"cv {asked['cv']}" + (f" x {asked['repeats']}" if asked["repeats"] > 1 else "")
    if asked["split"] is not None:
        by = f"column {asked['split']}"
    elif asked["test_size"] is not None:
        by = f"{asked['test_size']:g} held out"
    return f"{row['target']} of {row['data']['name']}, {by}, {row['features']['label']}"


def _metric_of(row: JsonObject) -> str:
    scores = row["metrics"]
    return str(row["criterion"] if row["criterion"] in scores else next(iter(scores)))
