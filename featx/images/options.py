"""How to read what has more than 8 bits, other channels or several pages, as text and parsed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from featx._imports import reader_function
from featx.errors import UsageError, unknown_name
from featx.recipe import INTERPOLATIONS, RESIZES, Preprocess

_BOUNDS = {
    "fixed": (-sys.float_info.max, sys.float_info.max),
    "percentile": (0.0, 100.0),
}


@dataclass(frozen=True)
class Intensity:
    """Which values mean black and white."""

    kind: Literal["dtype", "fixed", "percentile"]
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Options:
    """The parsed fields of a `Preprocess`.

    Attributes
    ----------
    intensity
        None: 8-bit images only.
    channels
        (): images of one or three channels only; else those to take, counted from 0.
    each_channel
        One item a channel.
    page
        None: images of one page only; else which, counted from 0.
    every_page
        One item a page.
    reader
        Turns bytes into an array, or None.
    """

    intensity: Intensity | None
    channels: tuple[int, ...] | Literal["each"]
    page: int | Literal["all"] | None
    reader: Callable[[bytes], Any] | None


@lru_cache(maxsize=64)
def parse_options(pre: Preprocess) -> Options:
    """Parse the fields that say how to read an image.

    Raises
    ------
    UsageError
        If one of them is not understood.
    """
    return Options(
        _intensity(pre.intensity),
        _channels(pre.channels),
        _page(pre.page),
        reader_function(pre.reader) if pre.reader else None,
    )


def check_preprocess(pre: Preprocess) -> None:
    """Raise if a field has a value that no image could be read with.

    Raises
    ------
    UsageError
        With what was expected.
    """
    parse_options(pre)
    if pre.resize not in RESIZES:
        raise unknown_name("resize", pre.resize, RESIZES)
    if pre.interpolation not in INTERPOLATIONS:
        raise unknown_name("interpolation", pre.interpolation, INTERPOLATIONS)
    if min(*pre.image_size, pre.resize_size) < 1:
        raise UsageError(
            f"image size {pre.image_size} with resize {pre.resize_size}: expected pixels, 1 or more"
        )
    if len(pre.mean) != 3 or len(pre.std) != 3 or not all(s > 0 for s in pre.std):
        raise UsageError(
            f"mean {pre.mean} and std {pre.std}: expected three values each, the std above 0"
        )


def _intensity(text: str) -> Intensity | None:
    if not text:
        return None
    if text == "dtype":
        return Intensity("dtype")
    kind, *numbers = text.split(":")
    bottom, top = _BOUNDS.get(kind, (math.nan, math.nan))
    try:
        low, high = map(float, numbers)
    except ValueError:
        low = high = math.nan
    if not bottom <= low < high <= top:
        raise UsageError(
            f"--intensity {text}: expected dtype, fixed:LO:HI or percentile:LO:HI with LO below "
            "HI (fixed:0:4095 or percentile:1:99, say)"
        )
    return Intensity("fixed" if kind == "fixed" else "percentile", low, high)


def _channels(text: str) -> tuple[int, ...] | Literal["each"]:
    if not text or text == "each":
        return "each" if text else ()
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len(parts) not in (1, 3):
        raise UsageError(
            f"--channels {text}: expected one or three channels counted from 0 (0,2,1, say), or "
            "each"
        )
    return tuple(map(int, parts))


def _page(text: str) -> int | Literal["all"] | None:
    if not text or text == "all":
        return "all" if text else None
    if not text.isdecimal():
        raise UsageError(f"--page {text}: expected a page counted from 0, or all")
    return int(text)
