"""Sentences on what in the data may fool the numbers, from the values of a ``result.json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from featx._types import JsonObject

TWINS_FILE = "twins.csv"
SUSPECTS_FILE = "suspects.csv"


def _four_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def cautions(record: JsonObject, number: Callable[[float | None], str] = _four_digits) -> list[str]:
    """Say how many test images have a twin among their training rows, and what labels look wrong.

    Parameters
    ----------
    number
        Writes a number, and ``-`` for None.
    """
    twins, suspects = record.get("twins") or {}, record.get("suspects") or {}
    found = []
    if twins.get("rows"):
        found.append(_about_twins(record, twins, number))
    if twins.get("why"):
        found.append(f"near-identical images were not looked for: {twins['why']}")
    if suspects.get("rows"):
        rows = suspects["rows"]
        label = "label is" if rows == 1 else "labels are"
        where = _where(record, SUSPECTS_FILE)
        found.append(f"{rows} {label} likely wrong (look at the images){where}")
    return found


def _about_twins(
    record: JsonObject, twins: JsonObject, number: Callable[[float | None], str]
) -> str:
    has = "image has" if twins["tested"] == 1 else "images have"
    scores = twins["metrics"]
    name = record["criterion"] if record["criterion"] in scores else next(iter(scores))
    before, after = record["metrics"][name]["mean"], scores[name]
    without = f"{name} {number(before)} -> {number(after)} without them"
    differ = twins["different_targets"]
    labels = f"; {differ} of the {twins['pairs']} pairs have different labels" if differ else ""
    return (
        f"{twins['rows']} of {twins['tested']} test {has} a near-identical image in their training "
        f"rows ({without}{labels}){_where(record, TWINS_FILE)}"
    )


def _where(record: JsonObject, file: str) -> str:
    return "" if record["path"] is None else f": {Path(record['path']) / file}"
