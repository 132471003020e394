"""Names and numbers as a figure shows them: one line, not too long, nothing in it that acts."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST = 24
"""Columns of a name beside a tick."""
TITLE = 60
_JOINER = "\u200d"


def one_line(text: object) -> str:
    """Give a text as one line of signs that can be printed.

    Control characters, those that turn the direction of what follows, lone surrogates and what XML
    does not allow become spaces; runs of spaces become one.
    """
    kept = (sign if sign.isprintable() or sign == _JOINER else " " for sign in str(text))
    return " ".join("".join(kept).split()) or "(empty)"


def short(text: object, longest: int = LONGEST) -> str:
    """Give a text as one line of at most ``longest`` columns, its middle left out if need be.

    Names often differ only in their last signs, so some of these are kept.
    """
    line = one_line(text)
    if columns(line) <= longest:
        return line
    tail = (longest - 1) // 3
    return f"{_fitting(line, longest - 1 - tail)}…{_fitting(line[::-1], tail)[::-1]}"


def shorts(names: Iterable[object], longest: int = LONGEST) -> list[str]:
    """Give each name as `short` does."""
    return [short(name, longest) for name in names]


def columns(line: str) -> int:
    """Count columns: two for a wide sign of East Asian scripts and for emoji."""
    return sum(map(_width, line))


def longest_of(lines: Sequence[str]) -> int:
    """Give the columns of the widest line, 0 of none."""
    return max(map(columns, lines), default=0)


def number(value: float) -> str:
    """Give three significant digits, ``-`` for what is not defined."""
    return _minus(f"{value:.3g}") if math.isfinite(value) else "-"


def score(value: float) -> str:
    """Give a score with three decimals, a large one with as many digits, ``-`` for none."""
    if not math.isfinite(value):
        return "-"
    return _minus(f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}")


def correlation(value: float) -> str:
    """Give three decimals, ``undefined`` for that of a constant."""
    return _minus(f"{value:.3f}") if math.isfinite(value) else "undefined"


def _minus(text: str) -> str:
    """Write a minus as the ticks of an axis do."""
    return text.replace("-", "\N{MINUS SIGN}")


def _width(sign: str) -> int:
    if unicodedata.combining(sign) or sign == _JOINER:
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _fitting(line: str, room: int) -> str:
    """Give the beginning of a line that has room."""
    used, signs = 0, []
    for sign in line:
        used += _width(sign)
        if used > room:
            break
        signs.append(sign)
    return "".join(signs).strip()
