"""What a notebook shows of a result: plain tables and lines, of which every text is escaped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape

_LEFT = "text-align:left;vertical-align:top"
_RIGHT = "text-align:right;font-variant-numeric:tabular-nums"
_LINE = "margin:2px 0"


def facts(values: Mapping[str, object]) -> str:
    """Give a table of names and what they are."""
    rows = (_cell("th", name, _LEFT) + _cell("td", value, _LEFT) for name, value in values.items())
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def table(
    header: Sequence[object], rows: Iterable[Sequence[object]], *, right: Collection[int]
) -> str:
    """Give a table under a header; ``right`` are the columns of numbers."""
    styles = [_RIGHT if i in right else _LEFT for i in range(len(header))]
    head = _row("th", header, styles)
    body = "".join(_row("td", cells, styles) for cells in rows)
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def lines(texts: Iterable[object], *, bold: bool = False) -> str:
    """Give one paragraph a text, close together."""
    style = f"{_LINE};font-weight:bold" if bold else _LINE
    return "".join(f"<p style='{style}'>{escape(str(text))}</p>" for text in texts)


def _row(tag: str, cells: Sequence[object], styles: Sequence[str]) -> str:
    shown = (_cell(tag, cell, style) for cell, style in zip(cells, styles, strict=True))
    return f"<tr>{''.join(shown)}</tr>"


def _cell(tag: str, text: object, style: str) -> str:
    return f"<{tag} style='{style}'>{escape(str(text))}</{tag}>"
