"""What a fit leaves behind: its record, its out-of-fold predictions and the head itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from featx import _html
from featx._files import write_json, write_text
from featx.artifact import HEAD_FILE, write_artifact, write_images
from featx.card import render_card
from featx.cautions import SUSPECTS_FILE, TWINS_FILE, cautions
from featx.features import extract_seconds
from featx.metrics import confusion
from featx.modelinfo import ModelInfo, Part
from featx.origin import origin
from featx.runs import RESULT_FILE, new_run
from featx.scoreboard import group_title, legend, score_table
from featx.tables import write_table
from featx.targets import has_value

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
        if name and final != name:
            taken = f"another run took the name {name} meanwhile: this one is called {final}"
            record["notes"].append(taken)
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
            "target": problem.target,
            "group": problem.group,
            "split": problem.split,
            "n": len(problem.rows),
            "d": features.dim,
            "views": _n_views(features, problem),
            "classes": _class_counts(evaluation, problem.y),
            "best_params": params,
            "baseline_kind": "mean" if evaluation.classes is None else "most frequent class",
            "extract_s": extract_seconds(features.take(problem.fitted)),
            "notes": [*problem.notes, *evaluation.notes, *_about_the_head(evaluation, problem)],
            "warnings": [*problem.warnings, *evaluation.warnings],
            "confounds": problem.confounds,
            "arguments": dict(arguments),
        }
        | origin(features, problem, evaluation.head, arguments)
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

    Columns: ``path``, ``item`` where an image has several vectors, ``group`` where rows stayed
    together because they share an image or a group (see `_group_names`), ``target``,
    ``prediction``, ``fold`` (counted through all repeats), one score column a class.
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
        columns["group"] = _group_names(features, problem)[tested[order]]
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


def _group_names(features: Features, problem: Problem) -> Array:
    """Give (m,) what to call the group of each row: what the user's column says, as text.

    Groups that share an image are one, called ``a + b``. Where rows share an image alone, or have
    no group, its name is a number, of which no user's group is the name.
    """
    groups = problem.groups
    assert groups is not None  # noqa: S101  # asked by _predictions
    if problem.group is None:
        return groups
    user = features.frame[problem.group].to_numpy(dtype=object)[problem.rows]
    told: dict[int, dict[str, None]] = {}
    for i in np.flatnonzero(has_value(user, ())).tolist():
        told.setdefault(int(groups[i]), {})[_as_written(user[i])] = None
    taken = {name for names in told.values() for name in names}
    free = (str(n) for n in count() if str(n) not in taken)
    names = {
        n: " + ".join(told[n]) if n in told else next(free) for n in np.unique(groups).tolist()
    }
    return np.array([names[n] for n in groups.tolist()], dtype=object)


def _as_written(value: Any) -> str:
    """Give a cell as text: a column of whole numbers with an empty cell is one of floats."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value).strip()


def _confusion(evaluation: Evaluation, predictions: pd.DataFrame) -> list[list[int]] | None:
    """Count how often each class (rows) was called each class, of each tested row once.

    None for a regression, and for more classes than a table has room for.
    """
    if evaluation.classes is None or len(evaluation.classes) > _MOST_CONFUSED:
        return None
    key = [name for name in ("path", "item") if name in predictions]
    once = predictions.drop_duplicates(key)
    classes = pd.Index(evaluation.classes)
    true, said = (classes.get_indexer(pd.Index(once[name])) for name in ("target", "prediction"))
    return [list(map(int, row)) for row in confusion(true, said, len(classes))]


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


def _class_counts(evaluation: Evaluation, y: Array) -> list[JsonObject]:
    if evaluation.classes is None:
        return []
    recalls = evaluation.class_recall
    return [
        {"class": label, "rows": int(np.sum(y == label)), "recall": recall}
        for label, recall in zip(evaluation.classes.tolist(), recalls, strict=True)
    ]


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
