"""A finished run as a comparison needs it: its record, and what it said of each tested row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from featx.artifact import read_images
from featx.errors import ModelFileError, SchemaVersionError, UsageError
from featx.metrics import METRICS, Metric, Outcome
from featx.result import PREDICTIONS_FILE, SCHEMA_VERSION, FitResult
from featx.runs import RESULT_FILE, find_run
from featx.scores import outcome_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import Array, Float64s, Ints, JsonObject, PathLike

KEY = ["path", "item"]
_KEYS = ("schema", "name", "target", "task", "head", "metrics", "folds", "criterion", "data")
"""What a record has at least."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run.

    Attributes
    ----------
    record
        What ``result.json`` holds.
    predictions
        One row for each time that a row was tested: ``path``, ``item``, ``group`` where rows belong
        together, ``target``, ``prediction``, ``fold``, scores; all but ``fold`` as text.
    images
        Digests of the images of its data; empty where that is not known.
    """

    record: JsonObject
    predictions: pd.DataFrame
    images: frozenset[bytes] = frozenset()

    @property
    def name(self) -> str:
        """Of the run; empty where it was not written."""
        return str(self.record["name"])

    @property
    def what(self) -> tuple[str, str]:
        """Target and task."""
        return str(self.record["target"]), str(self.record["task"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Those that the head tells apart, in the order of its scores; none for numbers."""
        return tuple(str(row["class"]) for row in self.record["classes"] or ())

    @property
    def features(self) -> JsonObject:
        """What it was fitted on; of a run without cached features its backbone at most."""
        return self.record.get("features") or {}

    @property
    def extract_s(self) -> float:
        """Seconds that the extraction of its images took; NaN where that is not known.

        0 for a run without cached features, such as a network that was trained on the images.
        """
        told = self.record.get("extract_s")
        if told is None:
            return np.nan if "fingerprint" in self.features else 0.0
        return float(told)

    def score(self, metric: str, what: str = "mean") -> float:
        """Give a number of a metric's score, NaN where there is none."""
        value = self.record["metrics"].get(metric, {}).get(what)
        return np.nan if value is None else float(value)

    def interval_kind(self, metric: str) -> str:
        """Choose the interval for other training rows, where there is one."""
        return "" if np.isnan(self.score(metric, "corrected_low")) else "corrected_"

    def scores(self, metric: str) -> JsonObject:
        """Give ``mean``, ``std``, and ``low`` and ``high`` of that interval."""
        kind = self.interval_kind(metric)
        ends = {end: self.score(metric, kind + end) for end in ("low", "high")}
        return {what: self.score(metric, what) for what in ("mean", "std")} | ends

    @property
    def n_train(self) -> Ints:
        """(J,) training rows of each split."""
        return np.array([fold["n_train"] for fold in self.record["folds"]], dtype=np.int64)

    @property
    def n_test(self) -> Ints:
        """(J,) test rows of each split."""
        return np.array([fold["n_test"] for fold in self.record["folds"]], dtype=np.int64)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The first test of each row, with path and item as its index."""
        return self.predictions.drop_duplicates(KEY).set_index(KEY)

    def values(self, metric: str) -> Float64s:
        """Give (J,) values of a metric, NaN where it is undefined."""
        found = [fold["metrics"].get(metric) for fold in self.record["folds"]]
        return np.array([np.nan if v is None else v for v in found], dtype=np.float64)

    def targets(self, rows: pd.DataFrame) -> Array:
        """Give the target of some rows: text, or numbers for a regression."""
        values = rows["target"].to_numpy(dtype=object)
        return values.astype(np.float64) if self.what[1] == "regression" else values

    def outcome(self, rows: pd.DataFrame) -> Outcome:
        """Give what was true and what was said of some rows."""
        y, said = (rows[name].to_numpy(dtype=object) for name in ("target", "prediction"))
        if self.what[1] == "regression":
            return Outcome(y.astype(np.float64), said.astype(np.float64))
        classes = np.array(self.classes, dtype=object)
        columns = [name for name in rows if str(name).startswith(("score_", "probability_"))]
        scores = rows[columns].to_numpy(dtype=object).astype(np.float64)
        return outcome_of(y, said, scores, classes)


def read_run(what: FitResult | PathLike, out: PathLike = "runs") -> Run:
    """Read a run from its folder, its name in ``out``, or what `featx.fit` gave.

    Raises
    ------
    NotFoundError, UnknownNameError
        If there is none.
    ModelFileError
        If its files cannot be read.
    SchemaVersionError
        If a newer featx wrote them.
    """
    if isinstance(what, FitResult):
        images = frozenset() if what.path is None else frozenset(read_images(what.path))
        return Run(what.record, _as_text(what.predictions), images)
    if not isinstance(what, str | Path):
        raise UsageError(
            f"a run of type {type(what).__name__}; expected its folder, its name, or what "
            "featx.fit gave"
        )
    folder = find_run(what, out)
    record = _read_record(folder / RESULT_FILE)
    table = read_table(folder / PREDICTIONS_FILE, ("path", "target", "prediction", "fold"))
    _check(folder / PREDICTIONS_FILE, table, record)
    return Run(record, _as_text(table), frozenset(read_images(folder)))


def _read_record(file: Path) -> JsonObject:
    text = _text(file)
    try:
        record = json.loads(text)
    except ValueError as error:
        raise _damaged(file, "it is no whole JSON: cut off, or changed") from error
    missing = [key for key in _KEYS if not isinstance(record, dict) or key not in record]
    if missing:
        raise _damaged(file, f"it has no {', '.join(map(repr, missing))}")
    if not isinstance(record["schema"], int):
        raise _damaged(file, f"its schema is {record['schema']!r}, and no number")
    if record["schema"] > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{file.parent} was written by a newer featx (schema {record['schema']}, this one "
            f"knows {SCHEMA_VERSION}): upgrade featx"
        )
    return dict(record)


def read_table(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a table of a run's folder, every cell as text.

    Raises
    ------
    ModelFileError
        If it is not there, cannot be read, or lacks one of the columns.
    """
    text = _text(file)
    if not text.endswith("\n"):
        raise _damaged(file, "its last row is cut off" if text else "it is empty")
    try:
        table = pd.read_csv(StringIO(text), dtype=str, keep_default_na=False)
    except ValueError as error:  # pandas' errors of parsing are such
        raise _damaged(file, "it is no CSV table") from error
    if missing := [name for name in columns if name not in table]:
        raise _damaged(file, f"it has no column {', '.join(map(repr, missing))}")
    return table


def _check(file: Path, table: pd.DataFrame, record: JsonObject) -> None:
    """Refuse predictions that were cut off or edited."""
    tested = sum(fold["n_test"] for fold in record["folds"])
    if len(table) != tested:
        raise _damaged(file, f"it has {len(table):,} rows, and the run tested {tested:,}")
    numbers = [name for name in table if str(name).startswith(("score_", "probability_"))]
    numbers += ["target", "prediction"] if record["task"] == "regression" else []
    for name, kind in {"fold": np.int64, **dict.fromkeys(numbers, np.float64)}.items():
        cells = table[name] if name == "fold" else table[name].replace("", "nan")
        try:
            cells.to_numpy(dtype=object).astype(kind)
        except ValueError as error:
            raise _damaged(file, f"a cell of its column {name!r} is no number") from error


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")  # a name may hold any line break
    except FileNotFoundError:
        raise _damaged(file, "it is not there") from None
    except OSError as error:
        raise _damaged(file, f"the system says: {error.strerror}") from error
    except ValueError as error:
        raise _damaged(file, "it is no text in UTF-8") from error


def _damaged(file: Path, why: str) -> ModelFileError:
    return ModelFileError(
        f"{file} cannot be read: {why}; expected it as a fit wrote it: put it back from a copy, or "
        "make the run again (`featx fit`); `featx runs` lists those there are"
    )


def _as_text(predictions: pd.DataFrame) -> pd.DataFrame:
    """Give predictions as `Run` holds them, wherever they come from."""
    table = predictions.astype(str)
    if "item" not in table:
        table["item"] = "0"
    return table.assign(fold=table["fold"].astype(np.int64))


def default_metric(record: JsonObject) -> str:
    """Give what chose among candidates, if it is a metric of featx; else the first one."""
    criterion = str(record["criterion"])
    return criterion if criterion in record["metrics"] else str(next(iter(record["metrics"])))


def known_metric(name: str, task: str) -> Metric:
    """Give a metric of featx by its name.

    Raises
    ------
    UsageError
        If there is no such metric of the task: it has no direction here.
    """
    for metric in METRICS[task]:
        if metric.name == name:
            return metric
    names = ", ".join(metric.name for metric in METRICS[task])
    raise UsageError(f"metric {name!r} is none of a {task}; expected one of {names}")
