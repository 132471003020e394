"""A run that is reported on: its files, and what the cache still knows of its images."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from featx import datasets
from featx.artifact import read_info
from featx.cautions import SUSPECTS_FILE, TWINS_FILE
from featx.comparison import Run, read_run
from featx.comparison.run import read_table
from featx.errors import FeatxError, ModelFileError
from featx.features import load
from featx.metrics import confusion
from featx.result import PREDICTIONS_FILE, FitResult
from featx.runs import find_run

if TYPE_CHECKING:
    from featx._objects import Place
    from featx._types import Array, Float64s, Ints, JsonObject, PathLike
    from featx.features import Features
    from featx.recipe import Preprocess

CURVES_FILE = "curves.csv"
_COLUMNS = {
    TWINS_FILE: (
        *(f"{name}_{n}" for name in ("path", "target", "fold") for n in (1, 2)),
        *("cosine", "same_bytes"),
    ),
    SUSPECTS_FILE: ("path", "evidence"),
    CURVES_FILE: ("training", "epoch", "train_loss", "taken"),
}
"""What each of these tables has at least."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A finished run, and where its images and vectors are to be found.

    Attributes
    ----------
    run
        As `featx.comparison.read_run` gives it.
    cache
        The cache folder.
    folder
        Of the run; None where it was not written.
    """

    run: Run
    cache: Place
    folder: Path | None = None
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def record(self) -> JsonObject:
        """What ``result.json`` holds."""
        return self.run.record

    @property
    def is_classes(self) -> bool:
        """Whether it predicts classes."""
        return bool(self.record["task"] == "classification")

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the scores."""
        return list(self.run.classes)

    @property
    def twins(self) -> pd.DataFrame:
        """Near-identical images on both sides of a split, all as text."""
        return self._table(TWINS_FILE)

    @property
    def suspects(self) -> pd.DataFrame:
        """Rows whose label is likely wrong, all as text."""
        return self._table(SUSPECTS_FILE)

    @property
    def curves(self) -> pd.DataFrame:
        """What each epoch of a fine-tuning brought."""
        return self._table(CURVES_FILE)

    def _table(self, name: str) -> pd.DataFrame:
        if name not in self._tables:
            file = None if self.folder is None else self.folder / name
            if file is not None and file.is_file():
                self._tables[name] = read_table(file, _COLUMNS[name])
            else:
                self._tables[name] = pd.DataFrame()
        return self._tables[name]

    @cached_property
    def below(self) -> str:
        """The folder that all of its images lie below, where paths are absolute; else empty."""
        paths = [str(path) for path in self.run.rows.index.get_level_values("path")]
        if not paths or not all(map(os.path.isabs, paths)):
            return ""
        try:
            folder = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120
        except ValueError:  # on several drives
            return ""
        return folder if folder.strip(os.sep) else ""

    def short(self, path: str) -> str:
        """Give a path as it is shown: from `below` on."""
        return path.removeprefix(self.below).lstrip(os.sep) if self.below else path

    @cached_property
    def numbers(self) -> tuple[Float64s, Float64s]:
        """(m,) targets and predictions of a regression, of each tested row once."""
        rows = self.run.rows
        y, said = as_numbers(rows[["target", "prediction"]]).T
        return y, said

    @cached_property
    def confusion(self) -> Ints:
        """(k, k) how often each class (rows) was called each class, of each tested row once."""
        k, rows = len(self.classes), self.run.rows
        true, said = (self.places(rows[name]) for name in ("target", "prediction"))
        return confusion(true, said, k)

    def places(self, labels: pd.Series[str]) -> Ints:
        """Give (m,) the number of each label's class.

        Raises
        ------
        ModelFileError
            If one is no class of the head.
        """
        found: Ints = pd.Index(self.classes).get_indexer(pd.Index(labels)).astype(np.int64)
        if (found < 0).any():
            raise ModelFileError(
                f"{PREDICTIONS_FILE} of {self.run.name} has {labels[found < 0].iloc[0]!r}, which "
                "is no class of its head; fit the head again"
            )
        return found

    @cached_property
    def features(self) -> Features | str:
        """The view that the head was fitted on, or why it cannot be opened."""
        asked = self.record["arguments"]
        if asked.get("features") is None:
            return "it was trained on the images themselves"
        try:
            found = load(asked["data"], asked["features"], cache=str(self.cache))
        except FeatxError as error:
            return str(error)
        if found.manifest.hash != self.record["data"]["manifest"]:
            return f"the data set {found.name} has changed since"
        return found

    @cached_property
    def digests(self) -> dict[tuple[str, str], bytes]:
        """The digest of each (path, item) of the data set, of images that the run was of."""
        try:
            manifest = datasets.load(self.cache, self.record["data"]["name"])
        except FeatxError:
            return {}
        same = manifest.hash == self.record["data"]["manifest"]
        known = self.run.images or ({row.tobytes() for row in manifest.digest} if same else set())
        keys = zip(manifest.path, manifest.item.tolist(), manifest.digest, strict=True)
        found = {(str(path), str(item)): digest.tobytes() for path, item, digest in keys}
        return {key: digest for key, digest in found.items() if digest in known}

    @cached_property
    def preprocess(self) -> Preprocess | None:
        """How its images are read; None where that is not known."""
        if self.folder is None:
            return None if isinstance(self.features, str) else self.features.recipe.preprocess
        try:
            return read_info(self.folder).recipe.preprocess
        except FeatxError:
            return None


def read_subject(what: FitResult | PathLike, cache: Place, out: Path) -> Subject:
    """Read a run from its folder, its name in ``out``, or what `featx.fit` gave.

    Raises
    ------
    NotFoundError, UnknownNameError, ModelFileError, SchemaVersionError, UsageError
        As `featx.comparison.read_run` does.
    """
    run = read_run(what, out)
    if not isinstance(what, FitResult):
        return Subject(run, cache, find_run(what, out))
    folder = what.path if what.path is not None and what.path.is_dir() else None
    given = {TWINS_FILE: what.twins, SUSPECTS_FILE: what.suspects}
    return Subject(run, cache, folder, {name: table.astype(str) for name, table in given.items()})


def as_numbers(texts: pd.DataFrame) -> Float64s:
    """Give (m, k) the numbers that a table of texts holds, NaN where a cell is empty."""
    numbers: Float64s = texts.replace("", "nan").to_numpy(dtype=object).astype(np.float64)
    return numbers


def top_scores(row: Array, classes: list[str], n: int = 3) -> tuple[tuple[str, float], ...]:
    """Give the ``n`` highest of (k,) scores with their classes."""
    best = np.argsort(-row, kind="stable")[:n]
    return tuple((classes[i], float(row[i])) for i in best)
