"""Say numbers, names and tables so that they fit a terminal of 80 columns."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from textwrap import wrap
from typing import TYPE_CHECKING

from featx._visible import one_line as one_line
from featx._words import count as count

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from featx._types import JsonObject


def literal(*words: str) -> str:
    """Give a command line that can be pasted into this system's shell."""
    if os.name == "nt":
        from subprocess import list2cmdline

        return list2cmdline(words)
    return shlex.join(words)


def wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    """Break a text into lines of 79 columns, never within a word."""
    return wrap(
        text,
        79,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def duration(seconds: float) -> str:
    """Say a time: ``0.8 s``, ``48 s``, ``4 min 17 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(n_bytes: float) -> str:
    """Say a size in units of 1024: ``812 B``, ``1.5 KiB``, ``31 GiB``."""
    value, unit = float(n_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"


def rate(per_second: float | None) -> str:
    """Say a rate: ``0.42``, ``48.6``, ``1240``; ``-`` where there is none."""
    if per_second is None:
        return "-"
    digits = 0 if per_second >= 100 else 1 if per_second >= 1 else 2
    return f"{per_second:.{digits}f}"


def number(value: float | None) -> str:
    """Say a score: three decimals, fewer where it is large."""
    if value is None:
        return "-"
    return f"{value:z.3f}" if abs(value) < 100 else f"{value:.1f}"


def interval(score: JsonObject) -> str:
    """Say the 95 % interval of a score, where it has one."""
    if score["low"] is None or score["high"] is None:
        return "-"
    return f"{number(score['low'])} to {number(score['high'])}"


def shortened(text: str, width: int) -> str:
    """Leave out the middle of what is longer: a name's end may be what tells it from others."""
    if len(text) <= width:
        return text
    end = (width - 3) // 2
    return f"{text[: width - 3 - end]}...{text[-end:]}"


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    right: Sequence[int] = (),
    *,
    whole: bool = False,
) -> Iterator[str]:
    """Lay out rows under a header, two spaces apart; columns ``right`` end at the right.

    On a terminal, cells that are too long for it go on in the next line, broken between words: a
    name stays whole, and can be copied. Elsewhere a row is a line.

    Parameters
    ----------
    whole
        A row is a line on a terminal, too.
    """
    from rich.console import Console  # 0.1 s, for those who have a table to show
    from rich.table import Table
    from rich.text import Text

    cells = [[one_line(str(cell)) for cell in row] for row in (header, *rows)]
    unbroken = range(len(header)) if whole else right
    widths = _widths(list(zip(*cells, strict=True)), unbroken)
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for i, width in enumerate(widths):
        grid.add_column(justify="right" if i in right else "left", width=width)
    for row in cells:
        grid.add_row(*map(Text, row))  # no markup in it
    console = Console(width=sum(widths) + 2 * len(widths), color_system=None, force_jupyter=False)
    for line in console.render_lines(grid, pad=False):
        yield "".join(segment.text for segment in line).rstrip()


def _widths(columns: Sequence[Sequence[str]], unbroken: Collection[int]) -> list[int]:
    """Give each column its width; where they are too wide, those that hold spaces less."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in columns]
    words = [max(cell_len(w) for cell in column for w in (*cell.split(), "")) for column in columns]
    spare = {i: widths[i] - words[i] for i in range(len(columns)) if i not in unbroken}
    excess = sum(widths) + 2 * (len(widths) - 1) - _columns()
    for i in sorted(spare, key=lambda i: -spare[i]):
        cut = max(0, min(excess, spare[i]))
        widths[i] -= cut
        excess -= cut
    return widths


_ENDLESS = 1_000_000
"""Columns of what is no terminal."""


def _columns() -> int:
    """Give the columns of the terminal that results go to."""
    if sys.stdout is None or not sys.stdout.isatty():
        return _ENDLESS
    return shutil.get_terminal_size().columns
