"""The rows of the table at the end: what each fit and each training gave, or why it was skipped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featx.comparison.cost import cost_columns
from featx.comparison.run import default_metric, known_metric
from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import JsonObject
    from featx.comparison import Run
    from featx.pipeline.published import Published


@dataclass(frozen=True)
class Row:
    """A row as the file has it.

    Attributes
    ----------
    step
        ``fit 1``, ``finetune 2``.
    label
        What it is, in the words of the file.
    published
        What a report says, if it is known.
    """

    step: str
    label: str
    published: Published | None = None

    def filled(self, run: Run, metrics: Sequence[str]) -> JsonObject:
        """Give the row of a run.

        Parameters
        ----------
        metrics
            Names; the first one that the run has is its score, unless a published number is of
            another.
        """
        own = [name for name in metrics if name in run.record["metrics"]]
        metric = self.published.metric if self.published is not None else None
        metric = metric or next(iter(own), default_metric(run.record))
        measured = {"metric": metric, **run.scores(metric)} | _cost(run, metric)
        shown = {name: run.score(name) for name in run.record["metrics"]}
        found = {
            "run": run.name,
            "head": run.record["head"],
            **measured,
            "d": run.record.get("d"),
            "layers": run.features.get("depth"),
            "n_train": int(run.n_train[0]),
        }
        return {
            **self._said(),
            **{name: _plain(value) for name, value in found.items()},
            "metrics": {name: _plain(value) for name, value in shown.items()},
            "skipped": None,
        }

    def skipped(self, reason: str) -> JsonObject:
        """Give the row without any number."""
        names = ("run", "head", "metric", "mean", "std", "low", "high", "total_s", "gain")
        none = dict.fromkeys((*names, "s_per_point", "d", "layers", "n_train"))
        return {**self._said(), **none, "metrics": {}, "skipped": reason}

    def _said(self) -> JsonObject:
        known = self.published
        return {
            "step": self.step,
            "row": self.label,
            "published": None if known is None else known.value,
            "as": "" if known is None else known.source,
        }


def _cost(run: Run, metric: str) -> JsonObject:
    try:
        costs = cost_columns(run, known_metric(metric, run.what[1]))
    except UsageError:  # a scorer of scikit-learn's has no direction here
        return dict.fromkeys(("total_s", "gain", "s_per_point"))
    return {name: costs[name] for name in ("total_s", "gain", "s_per_point")}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def label_of(step: Mapping[str, Any], otherwise: str) -> str:
    """Give what a row is called: ``row``, with options of the step in braces filled in.

    Raises
    ------
    UsageError
        If an option in braces is none of the step's.
    """
    written = step.get("row", otherwise)
    if not isinstance(written, str):
        raise UsageError(f"row is {written!r}; expected a text")
    options = {name: _words(value) for name, value in step.items()}
    try:
        return written.format_map(options)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        there = ", ".join(options)
        raise UsageError(f"row is {written!r}; in braces it may name {there}") from error


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
