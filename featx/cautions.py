"""Sentences on what in the data may fool the numbers, from the values of a ``result.json``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from featx._words import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from featx._types import JsonObject

TWINS_FILE = "twins.csv"
SUSPECTS_FILE = "suspects.csv"


def _four_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def cautions(record: JsonObject, number: Callable[[float | None], str] = _four_digits) -> list[str]:
    """Say what may fool the numbers: the data, twins across splits, wrong labels, the arithmetic.

    Parameters
    ----------
    number
        Writes a number, and ``-`` for None.
    """
    twins, suspects = record.get("twins") or {}, record.get("suspects") or {}
    found = [*_guessing(record, number), *(record.get("warnings") or [])]
    if twins.get("rows"):
        found.append(_about_twins(record, twins, number))
    if twins.get("why"):
        found.append(f"near-identical images were not looked for: {twins['why']}")
    if suspects.get("rows"):
        rows = suspects["rows"]
        label = "label is" if rows == 1 else "labels are"
        where = _where(record, SUSPECTS_FILE)
        found.append(f"{rows} {label} likely wrong (look at the images){where}")
    return found + confound_words(record.get("confounds") or [], number)


def _guessing(record: JsonObject, number: Callable[[float | None], str]) -> list[str]:
    """Say where the score may be that of guessing."""
    scores = record.get("metrics") or {}
    name, greater = record.get("criterion"), record.get("greater_is_better", True)
    if name not in scores:  # a scorer of scikit-learn: the first metric is accuracy, or MAE
        name, greater = next(iter(scores), ""), record.get("task") == "classification"
    score, base = scores.get(name, {}), (record.get("baseline") or {}).get(name, {}).get("mean")
    kind = "" if score.get("corrected_low") is None else "corrected_"
    end = score.get(f"{kind}low" if greater else f"{kind}high")
    if end is None or base is None or (end - base) * (1 if greater else -1) > 0:
        return []
    which = "new images" if not kind else "heads trained anew"
    return [
        f"the 95 % interval of {name} for {which} reaches {number(base)}: the head may only guess"
    ]


def _about_twins(
    record: JsonObject, twins: JsonObject, number: Callable[[float | None], str]
) -> str:
    image = "image" if twins["tested"] == 1 else "images"
    has = "has a near-identical one in its" if twins["rows"] == 1 else _HAVE
    scores = twins["metrics"]
    name = record["criterion"] if record["criterion"] in scores else next(iter(scores))
    before, after = record["metrics"][name]["mean"], scores[name]
    without = f"{name} {number(before)}, and {number(after)} without them"
    told = f"; {_differing(record, twins)}" if twins["different_targets"] else ""
    seen = f", as {found_by(record)} sees them" if found_by(record) else ""
    return (
        f"{twins['rows']} of {twins['tested']} test {image} {has} training rows{seen} "
        f"({without}{told}){_where(record, TWINS_FILE)}"
    )


def found_by(record: JsonObject) -> str:
    """Name the features that near-identical images were found by; empty where bytes tell alone."""
    if (record.get("twins") or {}).get("why"):
        return ""
    return str((record.get("features") or {}).get("label") or "")


_HAVE = "have a near-identical one in their"


def _differing(record: JsonObject, twins: JsonObject) -> str:
    pairs, differ = count(twins["pairs"], "pair"), twins["different_targets"]
    numbers = record.get("task") == "regression"
    what = "targets more than a standard deviation apart" if numbers else "different labels"
    return f"{differ:,} of the {pairs} {'has' if differ == 1 else 'have'} {what}"


def confound_words(
    confounds: list[JsonObject], number: Callable[[float | None], str] = _four_digits
) -> list[str]:
    """Say where target or split go together with what computed the vectors, and what to do.

    Parameters
    ----------
    confounds
        As `featx.problem.Problem` has them.
    """
    return [
        f"{_CONFOUNDS[one['against']](one, number)}; expected one way of computing for all: "
        f"{_removals(one['stores'])}, then run `featx extract` on all the images at once"
        for one in confounds
    ]


def _removals(stores: list[str]) -> str:
    return ", ".join(f"`{shlex.join(['featx', 'rm', store])}`" for store in stores)


def _about_class(found: JsonObject, _: Callable[[float | None], str]) -> str:
    name, label = found["most"]
    own, others = _shares(found["counts"], name, label)
    return (
        f"{own} vectors of class {label!r} come from {name}, {others} of the other classes: a head "
        "can learn the arithmetic in place of the images"
    )


def _about_split(found: JsonObject, _: Callable[[float | None], str]) -> str:
    name, side = found["most"]
    other = "train" if side == "test" else "test"
    own, others = _shares(found["counts"], name, side)
    return (
        f"{own} {side} vectors come from {name}, {others} {other} vectors: the scores tell of the "
        "arithmetic, too"
    )


def _about_target(found: JsonObject, number: Callable[[float | None], str]) -> str:
    ranked = sorted(found["counts"].items(), key=lambda item: -item[1]["rows"])
    shown = [
        f"{number(c['mean'])} over {count(c['rows'], 'vector')} from {name}"
        for name, c in ranked[:3]
    ]
    more = f" and {len(ranked) - 3} more" if len(ranked) > 3 else ""
    return (
        f"the mean of {found['target']!r} is {', '.join(shown)}{more}: a head can learn the "
        "arithmetic in place of the images"
    )


_CONFOUNDS = {
    "class": _about_class,
    "split": _about_split,
    "unseen": _about_split,
    "target": _about_target,
}


def _shares(counts: JsonObject, name: str, column: str) -> tuple[str, str]:
    """Say how many of a column, and how many of all others, are in the row of ``name``."""
    own, row = sum(c[column] for c in counts.values()), counts[name]
    total = sum(sum(c.values()) for c in counts.values())
    rest = sum(row.values()) - row[column]
    return f"{row[column]} of {own}", f"{rest} of {total - own}"


def _where(record: JsonObject, file: str) -> str:
    return "" if record["path"] is None else f": {Path(record['path']) / file}"
