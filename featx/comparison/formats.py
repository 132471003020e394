"""A table as Markdown, LaTeX or CSV, whatever its cells hold."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from featx.card import escape as markdown_cell

_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
} | {mark: f"\\{mark}" for mark in "{}$&#%_"}
r"""``[`` and ``*`` at the start of a row would be taken for an option of the ``\\`` before it."""

_FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for a formula where a cell begins with it (OWASP, *CSV Injection*)."""


@dataclass(frozen=True)
class Cells:
    """A table as it is shown; the columns ``right`` hold numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int]


def markdown(cells: Cells) -> str:
    """Give a table of pipes."""
    marks = ["---:" if i in cells.right else "---" for i in range(len(cells.header))]
    lines = [cells.header, marks, *cells.rows]
    shown = [row if row is marks else [markdown_cell(cell) for cell in row] for row in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in shown)


def latex(cells: Cells) -> str:
    """Give a ``tabular`` with the rules of the package booktabs."""
    columns = "".join("r" if i in cells.right else "l" for i in range(len(cells.header)))
    header, *rows = (
        " & ".join(map(latex_cell, row)) + r" \\" for row in [cells.header, *cells.rows]
    )
    lines = [r"\toprule", header, r"\midrule", *rows, r"\bottomrule"]
    body = "\n".join(lines)
    return (
        f"% \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}\n"
    )


def latex_cell(text: str) -> str:
    """Give text as LaTeX shows it; a minus sign before a number is one."""
    shown = "".join(_LATEX.get(mark, mark) for mark in one_line(text))
    shown = shown.replace("--", "-{}-")
    return re.sub(r"(?<![\w.-])-(?=\d)", "$-$", shown)


def csv_text(table: pd.DataFrame) -> str:
    """Give numbers in full; a text that would be a formula gets an apostrophe before it."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    write([_csv_cell(name) for name in table.columns])
    for row in table.itertuples(index=False):
        write([_csv_cell(cell) for cell in row])
    return out.getvalue()


def _csv_cell(cell: object) -> object:
    if not isinstance(cell, str):
        return "" if pd.isna(cell) else cell  # type: ignore[call-overload]
    text = one_line(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def one_line(text: str) -> str:
    """Give text without line breaks and what cannot be seen."""
    return "".join(ch if ch.isprintable() else " " for ch in " ".join(text.split()))
