"""Published numbers in a recipe file: a report's score, to be shown beside what featx measures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featx.errors import unknown_name
from featx.metrics import METRICS

if TYPE_CHECKING:
    from featx._types import JsonObject

KNOWN = {metric.name: metric for metrics in METRICS.values() for metric in metrics}
_ABOUT_NUMBERS = ("published", "published_metric", "published_as")
KEYS = ("row", *_ABOUT_NUMBERS)
"""Options of a ``[[fit]]`` or ``[[finetune]]`` about its row in the table."""


@dataclass(frozen=True)
class Published:
    """A score that somebody published.

    Attributes
    ----------
    value
        As featx gives the metric: an accuracy of 0.797, not 79.7.
    metric
        Of featx; None for the one that the step is judged by.
    source
        What the number is of, and where it stands.
    """

    value: float
    metric: str | None = None
    source: str = ""


def take_published(step: Mapping[str, Any]) -> tuple[JsonObject, JsonObject]:
    """Part a step's own options from those about its row."""
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
    if any(key in given for key in _ABOUT_NUMBERS) and "published" not in given:
        yield "a published number is missing: published = 0.797"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        yield f"published is {value!r}; expected a number such as 0.797"
    elif name in KNOWN and not KNOWN[name].least <= value <= KNOWN[name].most:
        least, most = KNOWN[name].least, KNOWN[name].most
        yield f"published is {value:g}; expected {name} as featx gives it, {least:g} to {most:g}"
    if name is not None and name not in KNOWN:
        yield str(unknown_name("metric", str(name), KNOWN))
    if not isinstance(given.get("published_as", ""), str):
        yield f"published-as is {given['published_as']!r}; expected a text"
