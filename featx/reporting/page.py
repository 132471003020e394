"""A report as one HTML file that opens anywhere and fetches nothing."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from featx._visible import one_line, visible
from featx.reporting.parts import Code, Drawing, Gallery, Page, Part, Section, Sheet
from featx.reporting.payload import payload
from featx.reporting.text import minus

TEMPLATES = Path(__file__).parent / "templates"
FIRST = 24
"""Images of a gallery that are shown before anybody asks for more."""

LONG = 12
"""Rows of a table that need no sorting; nor does a list of names and values, of any length."""

RESERVED = tuple(f"page-{part}" for part in ("main", "contents", "cautions", "data", "look"))
"""Ids of the page itself."""

_KINDS: dict[type[Part], str] = {Sheet: "sheet", Gallery: "gallery", Code: "code"}
"""The macro that writes each part; of drawings, it writes one or two."""

_BOX = re.compile(r'<svg\b[^>]*?\bviewBox="\S+ \S+ (\S+) \S+"')
NARROW_PT = 425
"""Width up to which two drawings stand side by side: smaller, their texts are hard to read."""

WIDE_PT = 520
"""Width from which on a drawing needs more room than a line of text has."""

Block = tuple[str, Sequence[Part]]


def render(page: Page) -> str:
    """Give the text of the page: always the same, and UTF-8 whatever the data are called.

    Every text of ``page`` is escaped; drawings are markup and stay as they are. A browser that
    opens the page runs its own script alone and asks for nothing, by its security policy.

    Parameters
    ----------
    page
        Names of sections, drawings and galleries are ids of elements, each of them once.

    Raises
    ------
    ValueError
        If a name comes twice.
    """
    _check_names(page)
    script = _template("report.js")
    template = _environment().get_template("report.html.jinja")
    return template.render(
        page=page,
        sections=[(section, _blocks(section)) for section in page.sections],
        policy=policy(script),
        style=Markup(_template("report.css")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        data=Markup(payload(_galleries(page))),  # noqa: S704
        first=FIRST,
        long=LONG,
    )


def policy(script: str) -> str:
    """Give a Content-Security-Policy under which ``script`` runs, and no other.

    Drawings have styles in attributes, which no digest can allow.
    """
    digest = b64encode(sha256(script.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters |= {"one_line": one_line, "minus": minus, "svg": Markup}
    environment.tests["wide"] = lambda drawing: _width_pt(drawing) > WIDE_PT
    return environment


def _shown(value: object) -> object:
    """Make every text that a template writes visible, unless it is markup already."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _blocks(section: Section) -> list[Block]:
    """Give what a section shows, in order: narrow drawings two by two, all else one by one."""
    blocks: list[Block] = []
    for part in section.parts:
        last = blocks[-1] if blocks else ("", [])
        if not isinstance(part, Drawing):
            blocks.append((_KINDS[type(part)], [part]))
        elif last[0] == "drawings" and len(last[1]) == 1 and _abreast(last[1][0], part):
            blocks[-1] = ("drawings", [*last[1], part])
        else:
            blocks.append(("drawings", [part]))
    return blocks


def _abreast(*parts: Part) -> bool:
    return all(isinstance(part, Drawing) and _width_pt(part) <= NARROW_PT for part in parts)


def _width_pt(drawing: Drawing) -> float:
    box = _BOX.match(drawing.svg)
    return float(box[1]) if box else 0.0


def _galleries(page: Page) -> list[Gallery]:
    parts = (part for section in page.sections for part in section.parts)
    return [part for part in parts if isinstance(part, Gallery)]


def _check_names(page: Page) -> None:
    names = [*RESERVED, *(section.name for section in page.sections)]
    for section in page.sections:
        names += [part.name for part in section.parts if isinstance(part, Drawing | Gallery)]
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise ValueError(f"a page needs a name for each place in it, got twice: {', '.join(twice)}")
