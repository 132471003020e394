"""Drawings inside a page: markup of several SVG files that can stand in one document."""

from __future__ import annotations

import re
from dataclasses import dataclass

from featx.reporting.parts import Drawing

WIDE = 1.75
"""Width over height from which on a drawing takes the whole width of the page."""

_ROOT = re.compile(r"<svg\b[^>]*>")
_BOX = re.compile(r"""viewBox=["'][-\d.]+[\s,]+[-\d.]+[\s,]+([\d.]+)[\s,]+([\d.]+)["']""")
_TAG = re.compile(r"<[^<>]+>")
_ID = re.compile(r"""\bid=["']([^"']+)["']""")
_MENTION = re.compile(r"""(\bid=["']|href=["']#|url\(["']?#)([^"')]+)""")


@dataclass(frozen=True)
class Inline:
    """A drawing as a page holds it.

    Attributes
    ----------
    svg
        The element alone, with ids that no other drawing has.
    wide
        Whether it takes the whole width.
    """

    drawing: Drawing
    svg: str
    wide: bool


def inline(drawing: Drawing) -> Inline:
    """Give a drawing's element without the head of its file, its ids behind its name.

    Raises
    ------
    ValueError
        If there is no element ``svg``.
    """
    root = _ROOT.search(drawing.svg)
    if root is None:
        raise ValueError(f"drawing {drawing.name!r}: expected markup with <svg ...>, got none")
    svg = drawing.svg[root.start() :].strip()
    return Inline(drawing, _own_ids(svg, f"{drawing.name}-"), _ratio(root[0]) >= WIDE)


def _ratio(root: str) -> float:
    box = _BOX.search(root)
    return float(box[1]) / float(box[2]) if box and float(box[2]) else 0.0


def _own_ids(svg: str, prefix: str) -> str:
    """Put ``prefix`` before every id and every mention of one; text between tags stays."""
    ids = {found for tag in _TAG.findall(svg) for found in _ID.findall(tag)}

    def named(mention: re.Match[str]) -> str:
        return f"{mention[1]}{prefix}{mention[2]}" if mention[2] in ids else mention[0]

    return _TAG.sub(lambda tag: _MENTION.sub(named, tag[0]), svg)
