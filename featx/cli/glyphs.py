"""Small drawings of characters: a confusion matrix, and a line of values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from featx.cli.text import one_line, shortened, table, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_CLASSES = 10
"""That a matrix in a terminal of 80 columns has room for."""
_NAME = 9
_WHOLE = 60
_WIDTH = 79
_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-=+*#@"


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Iterator[str]:
    """Lay out a (k, k) confusion matrix: a row for each label, a column for what was said.

    Nothing is shown of more than ten classes. A dot stands for none, so that mistakes stand out.
    """
    if not counts or len(classes) > MOST_CLASSES:
        return
    names = [one_line(str(name)) for name in classes]
    yield "labels in rows, predictions in columns:"
    room = (_WIDTH - _NAME) // len(names) - 2
    header = ["", *(_heading(name, room) for name in names)]
    rows = [
        [shortened(name, _NAME), *(str(n) if n else "." for n in row)]
        for name, row in zip(names, counts, strict=True)
    ]
    yield from table(header, rows, right=range(1, len(header)))
    if max(map(len, names)) > min(room, _NAME):
        whole = ", ".join(shortened(name, _WHOLE) for name in names)
        yield from wrapped(f"classes, in this order: {whole}")


def _heading(name: str, room: int) -> str:
    return name if len(name) <= room else name[: room - 1] + "."


def sparkline(values: Sequence[float | None], block: str = "█") -> str:
    """Give one character a value, higher for more; a space for what is no number.

    Parameters
    ----------
    block
        What the terminal draws bars with, as `featx.cli.console.Console.block` says; where it
        cannot show ``█``, plain characters are taken.
    """
    levels = _LEVELS if block == "█" else _ASCII
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        return ""
    low, high = min(known), max(known)
    scale = (len(levels) - 1) / (high - low) if high > low else 0.0
    return "".join(
        levels[round((v - low) * scale)] if v is not None and math.isfinite(v) else " "
        for v in values
    )
