"""Read a recipe file, and find every mistake in it before anything is computed.

A file is TOML: a table ``[data]``, and lists of steps ``[[extract]]``, ``[[fit]]`` and
``[[finetune]]``. Their keys are the options of these commands, written as on the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import UsageError
from featx.pipeline.check import mistakes
from featx.pipeline.names import named
from featx.pipeline.published import mistakes_in, read_published, take_published
from featx.pipeline.rows import Row, label_of
from featx.pipeline.tables import change_tables, read_tables
from featx.pipeline.trainings import training_step
from featx.sources.urls import scheme_of

if TYPE_CHECKING:
    from featx._types import JsonObject, PathLike


@dataclass(frozen=True)
class Pipeline:
    """What a recipe file asks for, in the names of `featx.extract`, `fit` and `finetune`.

    Attributes
    ----------
    data
        What `featx.extract` takes, and the arguments about it.
    extracts, fits, finetunes
        Arguments of each step; ``features`` of a fit are patterns of stores' names.
    rows
        Of each fit, then of each training: its row in the table at the end.
    metrics
        That the table shows; empty for what each step is judged by.
    """

    data: Any
    data_options: JsonObject
    extracts: tuple[JsonObject, ...]
    fits: tuple[JsonObject, ...]
    finetunes: tuple[JsonObject, ...] = ()
    rows: tuple[Row, ...] = ()
    metrics: tuple[str, ...] = ()


def read_pipeline(
    file: PathLike,
    data: Any = None,
    *,
    weights: Mapping[str, str] | None = None,
    changes: Sequence[str] = (),
) -> Pipeline:
    """Read a recipe file.

    Parameters
    ----------
    data
        In place of the file's, as `featx.extract` takes it.
    weights
        Backbone to the file of its weights.
    changes
        ``data.limit=10``, ``extract.image-size=224`` (in every such step), ``fit.2.cv=3`` (in the
        second).

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    UsageError
        Of everything that is wrong with it.
    """
    path = Path(file)
    tables, wrong = read_tables(path)
    wrong += change_tables(tables, changes)
    own = tables["data"].pop("path", None)
    fits, fit_rows, wrong_fits = _rows(tables["fit"], "fit", named)
    finetunes, more_rows, wrong_trainings = _rows(tables["finetune"], "finetune", training_step)
    metrics, wrong_table = _metrics(tables["table"])
    found = Pipeline(
        data=_place(path, own) if data is None else data,
        data_options=named(tables["data"]),
        extracts=tuple(map(named, tables["extract"])),
        fits=fits,
        finetunes=finetunes,
        rows=(*fit_rows, *more_rows),
        metrics=metrics,
    )
    wrong += [*wrong_fits, *wrong_trainings, *wrong_table]
    wrong += _use_weights(found, weights or {})
    wrong += mistakes(found)
    if wrong:
        raise UsageError(f"{path}: {'; '.join(wrong)}")
    return found


def _place(file: Path, data: Any) -> Any:
    """Give the file's data; a relative path begins at the file's own folder."""
    return str(file.parent / data) if isinstance(data, str) and not scheme_of(data) else data


def _rows(
    steps: Sequence[Mapping[str, Any]], kind: str, read: Callable[[Mapping[str, Any]], JsonObject]
) -> tuple[tuple[JsonObject, ...], list[Row], list[str]]:
    """Give each step's own options, its row, and what is wrong with what is said about the row."""
    found, rows, wrong = [], [], []
    for i, step in enumerate(steps, 1):
        own, about = take_published(read(step))
        where = f"{kind} {i}"
        mistaken = list(mistakes_in(about))
        label = otherwise = step.get("head", "svm") if kind == "fit" else _title(own)
        try:
            label = label_of(step, str(otherwise))
        except UsageError as error:
            mistaken.append(str(error))
        wrong += [f"{where}: {words}" for words in mistaken]
        found.append(own)
        rows.append(Row(where, str(label), None if mistaken else read_published(about)))
    return tuple(found), rows, wrong


def _title(step: Mapping[str, Any]) -> str:
    how = "from scratch" if step.get("from_scratch") else f"{step.get('freeze', 'none')} frozen"
    return f"{step.get('backbone')}, {how}"


def _metrics(table: Mapping[str, Any]) -> tuple[tuple[str, ...], list[str]]:
    """Read what ``[table]`` says of the table at the end."""
    unknown = [name for name in table if name != "metrics"]
    wrong = [f"[table]: unknown option {name!r}; known: metrics" for name in unknown]
    given = table.get("metrics", [])
    if isinstance(given, str):
        given = [piece.strip() for piece in given.split(",")]
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        return (), [*wrong, f"[table]: metrics is {given!r}; expected names of metrics"]
    return tuple(given), wrong


def _use_weights(found: Pipeline, weights: Mapping[str, str]) -> list[str]:
    """Give each step that takes one backbone its weights, those that begin without any apart."""
    wrong = []
    steps = [*found.extracts, *(s for s in found.finetunes if not s.get("from_scratch"))]
    for backbone, file in weights.items():
        taking = [step for step in steps if step.get("backbone") in (backbone, [backbone])]
        for step in taking:
            step["weights"] = file
        if not taking:
            names = [s.get("backbone", ()) for s in steps]
            flat = [b for name in names for b in ([name] if isinstance(name, str) else name)]
            there = ", ".join(dict.fromkeys(map(str, flat)))
            wrong.append(f"--weights {backbone}: no step extracts it alone; backbones: {there}")
    return wrong
