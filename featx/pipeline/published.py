"""Published numbers in a recipe file: a report's score, to be shown beside what featx measures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featx.comparison.run import default_metric
from featx.errors import unknown_name
from featx.metrics import METRICS

if TYPE_CHECKING:
    from featx._types import JsonObject
    from featx.comparison import Run

_KNOWN = {metric.name: metric for metrics in METRICS.values() for metric in metrics}
KEYS = ("published", "published_metric", "published_as")
"""Options of a ``[[fit]]`` that are none of `featx.fit`'s."""


@dataclass(frozen=True)
class Published:
    """A score that somebody published.

    Attributes
    ----------
    value
        As featx gives the metric: an accuracy of 0.797, not 79.7.
    metric
        Of featx; None for the one that the fit is judged by.
    source
        What the number is of, and where it stands.
    """

    value: float
    metric: str | None = None
    source: str = ""

    def beside(self, run: Run) -> JsonObject:
        """Put it beside what a run measured, null where the run has no such score."""
        metric = self.metric or default_metric(run.record)
        measured = {k: None if math.isnan(v) else v for k, v in run.scores(metric).items()}
        return {
            "run": run.name,
            "head": run.record["head"],
            "metric": metric,
            **measured,
            "published": self.value,
            "as": self.source,
        }


def take_published(step: Mapping[str, Any]) -> tuple[JsonObject, JsonObject]:
    """Part a fit's own options from those about a published number."""
    own = {name: value for name, value in step.items() if name not in KEYS}
    return own, {name: value for name, value in step.items() if name in KEYS}


def read_published(given: Mapping[str, Any]) -> Published | None:
    """Read what `mistakes_in` finds nothing wrong with."""
    if "published" not in given:
        return None
    source = given.get("published_as", "")
    return Published(float(given["published"]), given.get("published_metric"), source)


def mistakes_in(given: Mapping[str, Any]) -> Iterator[str]:
    """Give what is wrong with the options about a published number."""
    value, name = given.get("published", 0), given.get("published_metric")
    if given and "published" not in given:
        yield "a published number is missing: published = 0.797"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        yield f"published is {value!r}; expected a number such as 0.797"
    elif name in _KNOWN and not _KNOWN[name].least <= value <= _KNOWN[name].most:
        least, most = _KNOWN[name].least, _KNOWN[name].most
        yield f"published is {value:g}; expected {name} as featx gives it, {least:g} to {most:g}"
    if name is not None and name not in _KNOWN:
        yield str(unknown_name("metric", str(name), _KNOWN))
    if not isinstance(given.get("published_as", ""), str):
        yield f"published-as is {given['published_as']!r}; expected a text"
