"""Small pictures in a terminal that shows colours: two pixels a character, one above the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from featx._types import Array

_UPPER_HALF = "\N{UPPER HALF BLOCK}"
_BETWEEN = 2


def half_blocks(stream: TextIO, pictures: Sequence[Array], width: int = 78) -> str:
    """Give pictures side by side, as text for a terminal; empty where it shows no colours.

    Parameters
    ----------
    stream
        Where it is going to be written.
    pictures
        (H, W) or (H, W, 3) uint8, of one height. Those that are too wide are made smaller.
    width
        Columns for all of them together.
    """
    console = Console(file=stream, width=width + 1, highlight=False)
    if console.no_color or not console.color_system or not _can_show(stream):
        return ""
    each = (width - _BETWEEN * (len(pictures) - 1)) // len(pictures)
    small = [_shrunk(picture, each) for picture in pictures]
    with console.capture() as captured:
        for top in range(0, max(map(len, small)), 2):
            line = Text(" " * _BETWEEN).join(_line(picture, top) for picture in small)
            console.print(line, no_wrap=True, crop=False)
    return captured.get()


def _can_show(stream: TextIO) -> bool:
    try:
        _UPPER_HALF.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _shrunk(picture: Array, width: int) -> Array:
    """Give (H, W, 3) with H even, at most ``width`` pixels wide."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture)).convert("RGB")
    if image.width > width:
        height = max(2, round(image.height * width / image.width))
        image = image.resize((width, height), Image.Resampling.BOX)
    out = np.asarray(image)
    return np.pad(out, ((0, len(out) % 2), (0, 0), (0, 0)), constant_values=255)


def _line(picture: Array, top: int) -> Text:
    line = Text()
    for upper, lower in zip(picture[top], picture[top + 1], strict=True):
        line.append(_UPPER_HALF, Style(color=_hex(upper), bgcolor=_hex(lower)))
    return line


def _hex(pixel: Array) -> str:
    return "#{:02x}{:02x}{:02x}".format(*pixel)
