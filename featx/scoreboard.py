"""The table of scores that the terminal and the card show, as cells of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from featx._types import JsonObject

NEW_IMAGES, NEW_FITS = "new images", "trained anew"
"""What the two intervals of a score are called."""

_MANY_SPLITS = 20
"""Splits from which the median is told beside the mean."""

_OPTIONAL = (3, 5)
"""Columns that are left out where no score fills them."""

Number: TypeAlias = Callable[[float | None], str]


def score_table(
    records: Sequence[JsonObject], number: Number, *, kind: str = "", plus_minus: str = "±"
) -> list[list[str]]:
    """Give the cells of a header and of one row a metric.

    Parameters
    ----------
    records
        What ``result.json`` holds, of one fit or several; with several, the target comes first.
    number
        Writes a number, and ``-`` for None.
    kind
        ``group_`` for the scores of the means of groups.
    """
    header = ["target", "metric", f"mean {plus_minus} std", "median", NEW_IMAGES, NEW_FITS]
    rows = [
        [
            record["target"],
            name,
            _with_spread(score, number, plus_minus),
            number(score["median"]) if _has_median(score) else "-",
            _interval(score, number, ""),
            _interval(score, number, "corrected_"),
            number(record[f"{kind}baseline"].get(name, {}).get("mean")),
        ]
        for record in records
        for name, score in record[f"{kind}metrics"].items()
    ]
    empty = {i for i in _OPTIONAL if all(row[i] == "-" for row in rows)}
    left_out = empty if len(records) > 1 else empty | {0}
    table = [[*header, "baseline"], *rows]
    return [[cell for i, cell in enumerate(row) if i not in left_out] for row in table]


def legend(record: JsonObject) -> str:
    """Say what the columns of `score_table` mean."""
    scores = record["metrics"].values()
    corrected = any(score.get("corrected_low") is not None for score in scores)
    exact = unusual_intervals(record["metrics"])
    fits = f"; {NEW_FITS}: for other training images, too" if corrected else ""
    return (
        f"{NEW_IMAGES}: 95 % interval for other test images, the heads as they are"
        f"{exact and f' ({exact})'}{fits}; baseline: {record['baseline_kind']}"
    )


def unusual_intervals(scores: JsonObject) -> str:
    """Name the scores that have an exact interval, or none, of which `featx.scores` says why."""
    hows = {name: str(score.get("how")) for name, score in scores.items()}
    exact = [name for name, how in hows.items() if how.startswith("95 % exact")]
    none = [name for name, how in hows.items() if how.startswith("no interval: all")]
    words = [f"{', '.join(exact)}: exact, after Clopper and Pearson"] if exact else []
    words += [f"{', '.join(none)}: none, for all resamples score the same"] if none else []
    return "; ".join(words)


def group_title(record: JsonObject) -> str:
    """Say whose means are scored."""
    return f"the mean of each group ({record['group'] or 'image'})"


def _with_spread(score: JsonObject, number: Number, plus_minus: str) -> str:
    spread = score.get("std")
    return number(score["mean"]) + ("" if spread is None else f" {plus_minus} {number(spread)}")


def _has_median(score: JsonObject) -> bool:
    return score.get("median") is not None and score["splits"] >= _MANY_SPLITS


def _interval(score: JsonObject, number: Number, kind: str) -> str:
    low, high = score.get(f"{kind}low"), score.get(f"{kind}high")
    return "-" if low is None or high is None else f"{number(low)} to {number(high)}"
