"""Numbers and names as a report shows them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from featx._words import ROUNDING

_MINUS = re.compile(r"(?<![^\s(])-(?=[\d.])")
_WORD = re.compile(r"[a-z][a-z'-]*[,:;]?(\s|$)")


def number(value: float | None, beside: float | None = None) -> str:
    """Give a number with three decimals, a large one with fewer; ``-`` for what there is not.

    Parameters
    ----------
    beside
        A number that it stands beside, to have as many decimals.
    """
    if value is None or not math.isfinite(value):
        return "-"
    size = max(abs(value), 0.0 if beside is None or not math.isfinite(beside) else abs(beside))
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 3
    small = ROUNDING < size < 1e-3
    return minus(f"{value:.1e}" if small else f"{value:z,.{decimals}f}")


def minus(text: str) -> str:
    """Write the minus before a number as one, as figures do, and leave hyphens."""
    return _MINUS.sub("\N{MINUS SIGN}", text)


def spread(mean: float | None, std: float | None) -> str:
    """Give ``0.889 ± 0.012``."""
    return number(mean) if std is None else f"{number(mean)} ± {number(std, mean)}"


def interval(low: float | None, high: float | None) -> str:
    """Give ``0.876 to 0.902``; ``-`` where there is none."""
    none = low is None or high is None or not math.isfinite(low + high)
    return "-" if none else f"{number(low, high)} to {number(high, low)}"


def assigned(params: Mapping[str, object]) -> str:
    """Give ``C = 0.1, penalty = l2``."""
    return ", ".join(f"{name} = {plain(value)}" for name, value in params.items())


def plain(value: object) -> str:
    """Give a parameter's value: a number without zeros at its end."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def listed(names: Sequence[str], longest: int = 3) -> str:
    """Give ``“a”, “b” and “c”``; of more, how many they are."""
    if len(names) > longest:
        return f"{len(names)} classes"
    *most, last = map(named, names)
    return f"{', '.join(most)} and {last}" if most else last


def percent(share: float) -> str:
    """Give ``12 %``."""
    return f"{100 * share:.0f} %" if share >= 0.095 or share == 0 else f"{100 * share:.1f} %"


def sentence(text: str) -> str:
    """Give a text that was made to stand in a line as a sentence.

    A name that it begins with, such as that of a layer, keeps its small letter.
    """
    whole = text.strip()
    if not whole:
        return ""
    first = whole[0].upper() if _WORD.match(whole) else whole[0]
    return minus(first + whole[1:].rstrip(".") + ".")


def named(name: object) -> str:
    """Give a name of the user's within a sentence."""
    return f"\N{LEFT DOUBLE QUOTATION MARK}{name}\N{RIGHT DOUBLE QUOTATION MARK}"
