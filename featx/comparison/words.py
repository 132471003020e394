"""Which differences are real, in a sentence that claims no more than the tests give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featx._words import ROUNDING
from featx.metrics import Metric
from featx.paired import Difference

LEVEL = 0.05
NAMED = 3
"""Runs that are named one by one; of more, how many they are."""


@dataclass(frozen=True)
class Against:
    """The first run against another.

    Attributes
    ----------
    name
        Of the other run.
    difference
        First less other; None where they were not tested.
    p
        After Holm.
    why
        Why they were not tested.
    """

    name: str
    difference: Difference | None
    p: float
    why: str = ""


def verdict(
    name: str, value: float, ties: Sequence[str], others: Sequence[Against], metric: Metric, m: int
) -> str:
    """Say how the run with the best value stands against the others.

    Parameters
    ----------
    name, value
        Of that run.
    ties
        Runs with the same value.
    others
        Every other run, the best first.
    m
        Tests that the p values were adjusted for.
    """
    sign = 1 if metric.greater_is_better else -1
    told = [other for other in others if other.difference is not None and other.p < LEVEL]
    better = [other for other in told if _gain(other, sign) > 0]
    worse = [other for other in told if _gain(other, sign) < 0]
    unsure = [o for o in others if o.difference is not None and not o.p < LEVEL]
    untested = [other for other in others if other.difference is None]
    after = " after Holm" if m > 1 else ""
    parts = [
        _lead(name, value, ties, len(better) == len(others), metric),
        *_real("better", better, sign, after, len(others)),
        *_real("worse", worse, -sign, after, len(others)),
        *_unsure(unsure, len(others)),
        *_untested(untested),
    ]
    return "; ".join(parts)


def _lead(name: str, value: float, ties: Sequence[str], proven: bool, metric: Metric) -> str:
    if proven:
        return f"{name} is best ({metric.name} {say_number(value)})"
    most = "highest" if metric.greater_is_better else "lowest"
    with_others = f", with {_all(ties)}," if ties else ""
    return f"{name} has{with_others} the {most} {metric.name} ({say_number(value)})"


def _gain(other: Against, sign: int) -> float:
    return 0.0 if other.difference is None else sign * other.difference.value


def _real(word: str, found: Sequence[Against], sign: int, after: str, n: int) -> list[str]:
    if not found:
        return []
    if len(found) <= NAMED:
        each = [f"than {other.name} by {_effect(other, sign, after)}" for other in found]
        return [f"{word} {_all(each)}"]
    nearest = min(found, key=lambda other: abs(_gain(other, sign)))
    most = max(other.p for other in found)
    told = (
        f"{word} than {_count(len(found), n)} (every {say_p(most).replace('=', '<=')}{after}), the "
        f"least of these differences being that to {nearest.name}: {_effect(nearest, sign, after)}"
    )
    return [told]


def _count(some: int, n: int) -> str:
    return f"all {n} others" if some == n else f"{some} of the {n} others"


def _effect(other: Against, sign: int, after: str) -> str:
    d = other.difference
    assert d is not None  # noqa: S101  # untested ones are never told
    low, high = sorted((sign * d.low, sign * d.high))
    value = say_number(sign * d.value)
    return f"{value} (95 % {say_number(low)} to {say_number(high)}, {say_p(other.p)}{after})"


def _unsure(found: Sequence[Against], n: int) -> list[str]:
    if not found:
        return []
    if len(found) <= NAMED:
        names = _all([f"{other.name} ({say_p(other.p)})" for other in found], "or")
        return [f"no difference to {names} can be told"]
    closest = min(found, key=lambda other: other.p if other.p == other.p else 1.0)
    some = "any" if len(found) == n else str(len(found))
    told = (
        f"no difference to {some} of the {n} others can be told, the smallest p being that of "
        f"{closest.name} ({say_p(closest.p)})"
    )
    return [told]


def _untested(found: Sequence[Against]) -> list[str]:
    reasons = dict.fromkeys(other.why for other in found)
    return [
        f"not tested against {_all([o.name for o in found if o.why == why])}: {why}"
        for why in reasons
    ]


def _all(names: Sequence[str], word: str = "and") -> str:
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} {word} {len(names) - NAMED} more"
    return f" {word} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def picked(n: int, metric: str) -> str:
    """Say that the score of the best of several was a ground of the choice."""
    return (
        f"the first of these {n} runs is first by the very {metric} that is shown, which makes its "
        "own a little too good: only images that had no part in the choice tell how good it is"
    )


def say_number(value: float) -> str:
    """Say a score or a difference: three decimals, more where it would be 0, fewer if large."""
    if value != value:
        return "-"
    if ROUNDING < abs(value) < 0.0005:
        return f"{value:.1g}"
    return f"{value:z.3f}" if abs(value) < 100 else f"{value:.1f}"


def say_p(p: float) -> str:
    """Say a p value on the side of 0.05 that it is on."""
    if p != p:
        return "p cannot be given"
    if p < 0.001:
        return "p < 0.001"
    texts = (f"{p:.{digits}g}" for digits in (2, 3, 4))
    return f"p = {next((t for t in texts if (float(t) < LEVEL) == (p < LEVEL)), repr(p))}"
