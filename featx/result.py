"""What a fit leaves behind: its record, its out-of-fold predictions and the head itself."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import shlex
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from featx import _html
from featx._files import write_json, write_text
from featx.artifact import HEAD_FILE, write_artifact, write_images
from featx.card import render_card
from featx.cautions import SUSPECTS_FILE, TWINS_FILE, cautions
from featx.features import describe, extract_seconds
from featx.modelinfo import ModelInfo, Part
from featx.runs import RESULT_FILE, new_run
from featx.scoreboard import group_title, legend, score_table
from featx.tables import write_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from featx._types import Array, Float64s, JsonObject
    from featx.doubts import Doubts
    from featx.evaluate import Evaluation
    from featx.features import Features
    from featx.problem import Problem

SCHEMA_VERSION = 1
CARD_FILE = "card.md"
PREDICTIONS_FILE = "predictions.csv"

_MOST_CONFUSED = 100
"""Classes up to which a record holds the confusion matrix."""
_LARGE_BYTES = 10**8
"""A saved head above this is worth a line."""


@dataclass(frozen=True)
class More:
    """What a run of `featx.finetune` holds besides that of a head.

    Attributes
    ----------
    record
        Joins ``result.json``.
    write
        Writes files into the run's folder, and says what backbone the head stands on.
    """

    record: JsonObject
    write: Callable[[Path], Part]


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted head with its estimate.

    Attributes
    ----------
    record
        What ``result.json`` holds.
    predictions
        Out-of-fold predictions, as ``predictions.csv`` holds them: one row for each time that a
        row was tested.
    estimator
        The fitted scikit-learn estimator of raw features, fitted on all training rows.
    twins
        Near-identical images on both sides of a split, as ``twins.csv`` holds them.
    suspects
        Rows whose label is likely wrong, as ``suspects.csv`` holds them.
    path
        The run's folder; None where nothing was written.
    """

    record: JsonObject
    predictions: pd.DataFrame
    estimator: Any
    twins: pd.DataFrame
    suspects: pd.DataFrame
    path: Path | None = None

    @property
    def name(self) -> str:
        """Of the run."""
        return str(self.record["name"])

    @property
    def metrics(self) -> dict[str, float]:
        """Mean of each metric over the splits of the estimate."""
        return {name: score["mean"] for name, score in self.record["metrics"].items()}

    @property
    def notes(self) -> list[str]:
        """What a reader of the numbers should know."""
        return list(self.record["notes"])

    @property
    def table(self) -> pd.DataFrame:
        """Metrics with spread, interval and baseline, one a row."""
        rows = pd.DataFrame.from_dict(self.record["metrics"], orient="index")
        baseline = {name: score["mean"] for name, score in self.record["baseline"].items()}
        return rows[["mean", "std", "low", "high"]].assign(baseline=pd.Series(baseline))

    def __repr__(self) -> str:
        lines = [_title(self.record), self.table.to_string(float_format="{:.4g}".format)]
        return "\n".join([*lines, self.record["how"], *self.notes, *cautions(self.record)])

    def _repr_html_(self) -> str:
        record = self.record
        said = [legend(record), record["how"], *self.notes, *cautions(record)]
        title = _html.lines([_title(record)], bold=True)
        return title + _scores_html(record) + _html.lines(said)


def _title(record: JsonObject) -> str:
    return (
        f"{record['head']} for {record['target']} ({record['task']}): "
        f"{record['n']} x {record['d']} {record['features']['label']}"
    )


def _scores_html(record: JsonObject) -> str:
    """Give the scores, and those of the means of groups where there are any, aligned."""
    header, *rows = score_table([record], _three_digits)
    tables = _html.table(header, rows, right=range(1, len(header)))
    if record.get("group_metrics"):
        header, *rows = score_table([record], _three_digits, kind="group_")
        tables += _html.lines([f"{group_title(record)}:"])
        tables += _html.table(header, rows, right=range(1, len(header)))
    return tables


def _three_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def keep(
    evaluation: Evaluation,
    features: Features,
    problem: Problem,
    doubts: Doubts,
    arguments: JsonObject,
    out: Path | None,
    name: str | None,
    more: More | None = None,
) -> FitResult:
    """Write a run's folder, whole or not at all; with no ``out``, give the result alone.

    Parameters
    ----------
    evaluation
        Of the head on the rows of ``problem``.
    features
        The view that ``problem`` was taken from.
    doubts
        What in the data may fool the score.
    arguments
        The options of ``featx fit`` that repeat it.
    name
        Of the run; None chooses the first free ``<head>-<data>-<backbones>-<number>``.
    more
        What a network that was trained leaves behind besides.

    Raises
    ------
    UsageError
        If the name is taken.
    CacheWriteError
        If the folder cannot be written.
    """
    record = _describe(evaluation, features, problem, arguments) | _plain(doubts.record)
    record |= {} if more is None else _plain(more.record)
    predictions = _predictions(evaluation, features, problem)
    record["confusion"] = _confusion(evaluation, predictions)
    head, tables = evaluation.estimator, (doubts.twins, doubts.suspects)
    if out is None:
        return FitResult({"name": name or "", "path": None} | record, predictions, head, *tables)
    info = _model_info(evaluation, features, problem, record)
    backbones = "+".join(dict.fromkeys(kind.recipe.backbone for kind in features.kinds))
    stem = f"{evaluation.head}-{features.name}-{backbones}"
    with new_run(out, name, stem) as (final, folder):
        record = {"name": final, "path": str(out / final)} | record
        if more is not None:
            info = replace(info, **vars(more.write(folder)))
        write_artifact(folder, head, info)
        size = (folder / HEAD_FILE).stat().st_size
        record |= {"head_bytes": size, "notes": [*record["notes"], *_about_the_size(size)]}
        write_images(folder, features.manifest.digest[problem.rows], evaluation.final)
        write_table(folder / PREDICTIONS_FILE, predictions)
        for file, table in zip((TWINS_FILE, SUSPECTS_FILE), tables, strict=True):
            if len(table):
                write_table(folder / file, table)
        write_text(folder / CARD_FILE, render_card(record))
        write_json(folder / RESULT_FILE, record)
    return FitResult(record, predictions, head, *tables, out / final)


def _describe(
    evaluation: Evaluation, features: Features, problem: Problem, arguments: JsonObject
) -> JsonObject:
    """Give what ``result.json`` holds, all but the run's name and path."""
    values = evaluation.to_json()
    params = values.pop("params")
    record: JsonObject = _plain(
        values
        | {
            "schema": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "target": problem.target,
            "group": problem.group,
            "split": problem.split,
            "n": len(problem.rows),
            "d": features.dim,
            "views": _n_views(features, problem),
            "classes": _class_counts(evaluation, problem.y),
            "best_params": params,
            "baseline_kind": "mean" if evaluation.classes is None else "most frequent class",
            "data": _data(features, problem),
            "features": describe(features),
            "extract_s": extract_seconds(features.take(problem.fitted)),
            "notes": [*problem.notes, *evaluation.notes, *_about_the_head(evaluation, problem)],
            "confounds": problem.confounds,
            "seed": arguments["seed"],
            "versions": versions() | _of_networks(evaluation.head),
            "arguments": dict(arguments),
            "command": command(arguments),
        }
    )
    return record


def _n_views(features: Features, problem: Problem) -> int:
    """How many views the image with the most of them has."""
    if problem.images is None:
        return 1
    return int(features.manifest.item[problem.fitted].max()) + 1


def _about_the_head(evaluation: Evaluation, problem: Problem) -> list[str]:
    if evaluation.n_train == len(problem.rows):
        return []
    return [f"the saved head was fitted on {evaluation.n_train} of the {len(problem.rows)} rows"]


def _about_the_size(size: int) -> list[str]:
    if size <= _LARGE_BYTES:
        return []
    return [f"the saved head takes {size / 1e6:,.0f} MB: heads other than knn and rbf are smaller"]


def _predictions(evaluation: Evaluation, features: Features, problem: Problem) -> pd.DataFrame:
    """Give the out-of-fold predictions: one row for each time that a row was tested, in order.

    Columns: ``path``, ``item`` where an image has several vectors, ``group`` (a number) where rows
    stayed together because they share an image or a group, ``target``, ``prediction``, ``fold``
    (counted through all repeats), one score column a class.
    """
    folds = evaluation.folds
    tested = np.concatenate([fold.test for fold in folds])
    order = np.argsort(tested, kind="stable")
    rows = problem.rows[tested[order]]
    manifest = features.manifest
    columns = {"path": manifest.path[rows]}
    if manifest.item[problem.rows].any():
        columns["item"] = manifest.item[rows]
    if problem.groups is not None:
        columns["group"] = problem.groups[tested[order]]
    numbers = np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds])
    columns |= {
        "target": problem.y[tested[order]],
        "prediction": np.concatenate([fold.prediction for fold in folds])[order],
        "fold": numbers[order],
    }
    given = [fold.scores for fold in folds if fold.scores is not None]
    scores = np.concatenate(given)[order] if given else None
    return pd.DataFrame(
        columns | score_columns(evaluation.classes, scores, evaluation.probabilities)
    )


def _confusion(evaluation: Evaluation, predictions: pd.DataFrame) -> list[list[int]] | None:
    """Count how often each class (rows) was called each class, of each tested row once.

    None for a regression, and for more classes than a table has room for.
    """
    if evaluation.classes is None or len(evaluation.classes) > _MOST_CONFUSED:
        return None
    key = [name for name in ("path", "item") if name in predictions]
    once = predictions.drop_duplicates(key)
    place = {label: i for i, label in enumerate(evaluation.classes.tolist())}
    counts = np.zeros((len(place), len(place)), dtype=np.int64)
    sides = ([place[label] for label in once[name].tolist()] for name in ("target", "prediction"))
    np.add.at(counts, tuple(sides), 1)
    return [list(map(int, row)) for row in counts]


def score_columns(
    classes: Array | None, scores: Float64s | None, probabilities: bool
) -> dict[str, Float64s]:
    """Name the (n, k) scores of a head: ``probability_<class>`` or ``score_<class>``."""
    if classes is None or scores is None:
        return {}
    kind = "probability" if probabilities else "score"
    return {f"{kind}_{label}": scores[:, i] for i, label in enumerate(classes.tolist())}


def _model_info(
    evaluation: Evaluation, features: Features, problem: Problem, record: JsonObject
) -> ModelInfo:
    first, *others = (
        Part(kind.recipe, kind.provenance.get("request", {})) for kind in features.kinds
    )
    return ModelInfo(
        head=evaluation.head,
        task=evaluation.task,
        target=problem.target,
        scale=evaluation.scale,
        classes=() if evaluation.classes is None else tuple(evaluation.classes.tolist()),
        dim=features.dim,
        recipe=first.recipe,
        source=first.source,
        data=features.name,
        manifest=features.manifest.hash,
        versions=record["versions"],
        group=problem.group,
        lower_is_better=bool(record["arguments"]["lower_is_better"]),
        others=tuple(others),
        views=_n_views(features, problem),
    )


def command(arguments: JsonObject, *first: str) -> str:
    """Give the command line that repeats a fit, or what begins with other words."""
    words = list(first) or ["featx", "fit"]
    for name, value in arguments.items():
        option = "--" + name.replace("_", "-")
        if name == "search":
            words += [] if value else ["--no-search"]
        elif isinstance(value, bool):
            words += [option] if value else []
        elif name in _LISTS:
            many = value if isinstance(value, list | tuple) else [] if value is None else [value]
            words += [option, ",".join(_escaped(item) for item in many)] if many else []
        elif isinstance(value, dict):
            for key, choice in value.items():
                many = choice if name == "grid" else [choice]
                words += [option, f"{key}={','.join(map(_word, many))}"]
        elif value is not None:
            words += [option, str(value)]
    return shlex.join(words)


_LISTS = ("features", "target", "missing", "mix")
"""Options that take several values, with commas between them."""


def _escaped(value: Any) -> str:
    return str(value).replace(",", r"\,")


def _word(value: Any) -> str:
    """Write a parameter as `featx.heads.parse_params` reads it: sizes as ``100x50``."""
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def versions() -> dict[str, str]:
    """Give the versions that decide a result."""
    names = ("featx", "numpy", "scikit-learn")
    return {"python": platform.python_version()} | {name: _version(name) for name in names}


def _of_networks(head: str) -> dict[str, str]:
    """Give what trained a network."""
    return {name: _version(name) for name in _TRAINERS} if head in ("nn", "finetune") else {}


_TRAINERS = ("torch", "skorch")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _class_counts(evaluation: Evaluation, y: Array) -> list[JsonObject]:
    if evaluation.classes is None:
        return []
    recalls = evaluation.class_recall
    return [
        {"class": label, "rows": int(np.sum(y == label)), "recall": recall}
        for label, recall in zip(evaluation.classes.tolist(), recalls, strict=True)
    ]


def _data(features: Features, problem: Problem) -> JsonObject:
    return {
        "name": features.name,
        "source": features.manifest.source,
        "manifest": features.manifest.hash,
        "left_out": problem.left_out,
    }


def _plain(value: Any) -> Any:
    """Give ``value`` as JSON knows it: NumPy numbers as Python's, null for what is not finite."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)
