"""What more labels give, in a sentence that claims no more than was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, isnan, log2, log10

from featx.metrics import Metric
from featx.paired import Difference

_CLOSE = 0.01
"""What counts as the same: one point of a share or a correlation, or 1 % of the last value."""


@dataclass(frozen=True)
class Point:
    """One size.

    Attributes
    ----------
    label
        ``100 a class``, ``250 rows`` or ``all``.
    rows
        Training rows, in the mean.
    value
        Of the metric, in the mean.
    gain
        What the last size has more, in the metric's own sign.
    """

    label: str
    rows: float
    value: float
    gain: Difference


@dataclass(frozen=True)
class _Gain:
    """A gain that is above 0 where it is better, with its 95 % interval."""

    value: float
    low: float
    high: float
    same: bool = False

    @classmethod
    def of(cls, difference: Difference, metric: Metric, doublings: float = 1.0) -> _Gain:
        """Turn it to the side of the better, for one doubling."""
        d = difference
        if isnan(d.low) and d.p == 1.0:  # no difference in any split, which has no interval
            return cls(0.0, 0.0, 0.0, same=True)
        value, low, high = (end / doublings for end in (d.value, d.low, d.high))
        return cls(value, low, high) if metric.greater_is_better else cls(-value, -high, -low)


def verdict(points: Sequence[Point], metric: Metric) -> str:
    """Say whether the curve still rises at its end, and from where on it is close to the end.

    The first is what the last doubling of training rows gave (the last size against the largest
    one with at most half of its rows), paired by test rows. The second is a test at each size from
    the largest down, ended at the first failure, which needs no correction: that the last size is
    less than a point better.
    """
    if len(points) < 2:
        return "one size alone says nothing of more or fewer labels: name several"
    close = _CLOSE if isfinite(metric.least) and isfinite(metric.most) else 0.0
    close = close or _CLOSE * abs(points[-1].value)
    parts = [_at_the_end(points, metric, close), *_since(points, metric, close)]
    return "; ".join(parts)


def _at_the_end(points: Sequence[Point], metric: Metric, close: float) -> str:
    last = points[-1]
    half = [point for point in points[:-1] if 2 * point.rows <= last.rows] or [points[0]]
    before = half[-1]
    gain = _Gain.of(before.gain, metric, log2(last.rows / before.rows))
    rows = f"{before.rows:.0f} to {last.rows:.0f} training rows"
    if not isfinite(gain.low):
        return f"no interval can be given for what more labels bring, from {rows}"
    if gain.same:
        return f"flat at the end: {metric.name} is the same in every split, from {rows}"
    told = f"{_signed(gain, metric)}, from {rows}"
    if gain.low > 0:
        return f"still improving at the end: {told}"
    if gain.high < 0:
        return f"worse with more labels at the end: {told}"
    if gain.high < close:
        return f"flat at the end: {told}"
    return f"whether more labels help cannot be told at the end: {told}"


def _signed(gain: _Gain, metric: Metric) -> str:
    """Say a gain in the metric's own sign, in points where it is a share."""
    sign = 1 if metric.greater_is_better else -1
    low, high = sorted((sign * gain.low, sign * gain.high))
    values = (sign * gain.value, low, high)
    shown = [_number(value, metric, max(map(abs, values))) for value in values]
    unit = " points" if _is_share(metric) else ""
    return f"{metric.name} {shown[0]}{unit} a doubling (95 % {shown[1]} to {shown[2]})"


def _since(points: Sequence[Point], metric: Metric, close: float) -> list[str]:
    found = None
    for point in reversed(points[:-1]):
        gain = _Gain.of(point.gain, metric)
        if not gain.high < close:
            break
        found = point, gain
    if found is None:
        return []
    point, gain = found
    if gain.same:
        return [f"{point.label} give the same as {points[-1].label} in every split"]
    unit = " points" if _is_share(metric) else ""
    most = _number(max(gain.high, 0.0), metric).lstrip("+")
    within = "1 point" if _is_share(metric) else f"{close:.2g}"
    told = (
        f"{point.label} come within {within} of {points[-1].label} (95 %: at most {most}{unit} "
        "are missing)"
    )
    return [told]


def _is_share(metric: Metric) -> bool:
    return (metric.least, metric.most) == (0.0, 1.0)


def _number(value: float, metric: Metric, largest: float | None = None) -> str:
    """Say it with its sign, and with as many decimals as the largest beside it needs."""
    if _is_share(metric):
        return f"{100 * value + 0.0:+.1f}"  # no -0
    if not largest:
        return f"{value + 0.0:+.3g}"
    decimals = max(0, 2 - floor(log10(largest)))
    return f"{round(value, decimals) + 0.0:+.{decimals}f}"
