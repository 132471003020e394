"""What a report consists of, before it is written: plain values, no markup but that of drawings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Key:
    """A number that a reader looks for first.

    Attributes
    ----------
    value, label, detail
        For example ``0.889 ± 0.012``, ``accuracy``, ``95 %: 0.876 to 0.902, nested 5-fold``.
    """

    value: str
    label: str
    detail: str = ""


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes
    ----------
    name
        Letters, digits and hyphens: its place in the page and its file's stem.
    svg
        Markup made by `featx.plots.to_svg`, which escapes every text in it.
    alt
        What it shows, for who cannot see it.
    """

    name: str
    title: str
    svg: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table of texts.

    Attributes
    ----------
    right
        Columns of numbers, which are aligned to the right.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()
    note: str = ""


@dataclass(frozen=True)
class Shot:
    """An image of the data.

    Attributes
    ----------
    src
        A data URI of a thumbnail; empty where there is none.
    missing
        Why there is none.
    target, said
        The label, and what the head said.
    scores
        The three highest, (class, score); empty for a regression.
    weight
        How much it deserves a look: what galleries are sorted by, the highest first.
    fold
        That it was tested in.
    other
        The one that is nearly the same.
    note
        A word more on it.
    """

    path: str
    src: str
    target: str
    said: str
    scores: tuple[tuple[str, float], ...] = ()
    weight: float = 0.0
    fold: int | None = None
    missing: str = ""
    other: Shot | None = None
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """Images to look at, which a reader can sort and filter.

    Attributes
    ----------
    name
        Letters, digits and hyphens.
    shots
        The heaviest first.
    score
        What the scores are: ``probability`` or ``score``.
    """

    name: str
    title: str
    lead: str
    shots: tuple[Shot, ...]
    score: str = "score"


@dataclass(frozen=True)
class Code:
    """A text to copy: a command, or a paragraph."""

    title: str
    text: str
    prose: bool = False


Part: TypeAlias = Drawing | Sheet | Gallery | Code


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading.

    Attributes
    ----------
    name
        Letters, digits and hyphens.
    """

    name: str
    title: str
    lead: tuple[str, ...] = ()
    parts: tuple[Part, ...] = field(default=())


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes
    ----------
    summary
        Sentences in plain words, the most important one first.
    cautions
        What may fool the numbers.
    made
        When and by what, for the foot.
    """

    title: str
    subtitle: str
    summary: tuple[str, ...]
    keys: tuple[Key, ...] = ()
    cautions: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    made: str = ""
