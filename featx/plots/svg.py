"""A figure as markup for a page: in the page's own colour of text, with ids of its own.

Matplotlib writes a file. Inside a page, several of them share one space of ids and one style sheet,
and the page is light or dark. So the file is read as XML, changed as a tree, where no name of a
class can be taken for markup, and written again. Ids that nothing refers to are left out.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import blake2b
from io import BytesIO
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from PIL import Image

from featx.plots.style import INK, styled
from featx.plots.text import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 130
"""Of what is in an SVG as an image: points by the thousand."""

LEAST = 0.65
"""Of its own size, to which a figure shrinks in a narrow place; texts then have 8 pixels."""
_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_URL = re.compile(r"url\(#([^)]+)\)")
_LONG = re.compile(r"-?\d+\.\d{3,}")
_FAMILY = re.compile(r"font-family: ?[^;]*(; ?|$)")
_FONT = re.compile(r"font: ?(?:(italic|oblique) )?(?:(\d+|bold) )?([\d.]+px) [^;]*")
_LARGE = 100_000
"""Signs of an image's data URI."""
_ROUNDED = ("d", "x", "y", "points")
_NO_DATE = {"Date": None, "Creator": None, "Format": None, "Type": None}


def to_svg(figure: Figure, *, title: str) -> str:
    """Write a figure as an ``<svg>`` element for an HTML page.

    Texts stay texts, in the system's font or in what a style sheet says of ``svg``. Texts, axes and
    grid have the colour ``currentColor``, and the ground is transparent. The element is as wide as
    its place, from two thirds of its own size up to it. The same figure gives the same bytes.

    Parameters
    ----------
    title
        What the figure is called, for a reader who cannot see it. Ids in the element begin with it,
        and with a digest of all that is drawn.
    """
    buffer = BytesIO()
    with styled():
        figure.savefig(buffer, format="svg", dpi=DPI, metadata=_NO_DATE)
    written = buffer.getvalue()
    root = ET.fromstring(written)  # noqa: S314  # written by matplotlib, a line above
    _drop(root)
    _without_namespaces(root)
    _own_ids(root, _prefix(title, written))
    for element in root.iter():
        _restyle(element)
    for element in root.iter():
        _hoist(element)
    _frame(root, title)
    return ET.tostring(root, encoding="unicode")


def _prefix(title: str, written: bytes) -> str:
    digest = blake2b(written + one_line(title).encode(), digest_size=4).hexdigest()
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()[:40]).strip("-")
    return f"fx-{words}-{digest}-" if words else f"fx-{digest}-"


def _drop(root: ET.Element) -> None:
    """Remove metadata, and the style sheet, which would hold for the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            name = child.tag.rpartition("}")[2]
            if name in ("metadata", "style") or (name == "defs" and _is_bare(child)):
                parent.remove(child)


def _is_bare(defs: ET.Element) -> bool:
    return all(child.tag.rpartition("}")[2] == "style" for child in defs)


def _without_namespaces(root: ET.Element) -> None:
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        if _HREF in element.attrib:
            element.set("href", element.attrib.pop(_HREF))


def _references(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "href" and value.startswith("#"):
                yield value[1:]
            yield from _URL.findall(value)


def _own_ids(root: ET.Element, prefix: str) -> None:
    """Give ids that something refers to a prefix, and remove the others."""
    used = set(_references(root))
    for element in root.iter():
        if (name := element.attrib.pop("id", None)) in used:
            element.set("id", f"{prefix}{name}")
        for key, value in element.attrib.items():
            if key == "href" and value.startswith("#"):
                element.set(key, f"#{prefix}{value[1:]}")
            else:
                element.set(key, _URL.sub(rf"url(#{prefix}\1)", value))


def _restyle(element: ET.Element) -> None:
    """Put the page's colour for ours and its font for matplotlib's; round coordinates."""
    if style := element.get("style"):
        style = _FONT.sub(_font, _FAMILY.sub("", style.replace(INK, "currentColor")))
        element.set("style", style.replace(": ", ":").replace("; ", ";"))
    for name in ("fill", "stroke"):
        if element.get(name) == INK:
            element.set(name, "currentColor")
    if element.tag == "image":
        element.set("href", _lighter(element.get("href", "")))
    for name in _ROUNDED:
        if value := element.get(name):
            element.set(name, _LONG.sub(_round, " ".join(value.split())))
    if element.get("transform", "").startswith(("rotate(-0 ", "rotate(0 ")):
        del element.attrib["transform"]
    if element.tag not in ("text", "tspan"):
        element.text = None
    element.tail = None


def _lighter(uri: str) -> str:
    """Give a large image in 256 colours: a third of the bytes, and points have few."""
    kind, _, data = uri.partition(",")
    if len(data) < _LARGE or kind != "data:image/png;base64":
        return uri
    buffer = BytesIO()
    with Image.open(BytesIO(b64decode(data))) as image:
        image.quantize(256, Image.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
    return f"{kind},{b64encode(buffer.getvalue()).decode()}"


def _font(match: re.Match[str]) -> str:
    style, weight, size = match.groups()
    parts = [f"font-size:{size}"]
    parts += [f"font-weight:{weight}"] if weight else []
    parts += [f"font-style:{style}"] if style else []
    return ";".join(parts)


def _round(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")


def _hoist(group: ET.Element) -> None:
    """Write once what all the points of a group say of their colour."""
    styles = {child.get("style") for child in group}
    if group.tag != "g" or len(group) < 2 or len(styles) > 1 or "style" in group.attrib:
        return
    if (style := styles.pop()) and all(child.tag == "use" for child in group):
        group.set("style", style)
        for child in group:
            del child.attrib["style"]


def _frame(root: ET.Element, title: str) -> None:
    """Say what the whole is: an image with a name, as wide as there is room."""
    width = float(str(root.get("width")).removesuffix("pt")) * 4 / 3  # 72 points are 96 px
    view = str(root.get("viewBox"))
    root.attrib.clear()
    root.attrib |= {
        "xmlns": _SVG,
        "viewBox": view,
        "role": "img",
        "direction": "ltr",
        "font-family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
        "style": f"width:100%;min-width:{LEAST * width:.0f}px;max-width:{width:.0f}px;height:auto",
    }
    name = ET.Element("title")
    name.text = one_line(title)
    root.insert(0, name)
