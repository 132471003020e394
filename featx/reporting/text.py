"""Numbers and names as a report shows them."""

from __future__ import annotations

import math


def number(value: float | None) -> str:
    """Give a number with three digits or so; ``-`` for what there is not."""
    if value is None or not math.isfinite(value):
        return "-"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.1f}"
    return f"{value:.3f}" if size >= 1e-3 or size == 0 else f"{value:.1e}"


def spread(mean: float | None, std: float | None) -> str:
    """Give ``0.889 ± 0.012``."""
    return number(mean) if std is None else f"{number(mean)} ± {number(std)}"


def interval(low: float | None, high: float | None) -> str:
    """Give ``0.876 to 0.902``; ``-`` where there is none."""
    return "-" if low is None or high is None else f"{number(low)} to {number(high)}"


def percent(share: float) -> str:
    """Give ``12 %``."""
    return f"{100 * share:.0f} %" if share >= 0.095 or share == 0 else f"{100 * share:.1f} %"


def sentence(text: str) -> str:
    """Give a text that was made to stand in a line as a sentence."""
    whole = text.strip()
    return whole if not whole else whole[0].upper() + whole[1:].rstrip(".") + "."


def named(name: object) -> str:
    """Give a name of the user's within a sentence."""
    return f"\N{LEFT DOUBLE QUOTATION MARK}{name}\N{RIGHT DOUBLE QUOTATION MARK}"
