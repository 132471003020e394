"""From an opened picture to what is seen of it, at its own size: which pages, which channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from PIL import Image

from featx._types import Float32s
from featx.errors import ImageError, ImageOptionError
from featx.images.options import Intensity, Options
from featx.images.picture import Page, Picture, to_image, to_rgb, to_samples
from featx.images.samples import Samples, questions, to_unit

Seen: TypeAlias = "Image.Image | Float32s"
"""An RGB image of 8 bits, or (H, W, 1 or 3) float32 in 0..1 where an intensity was scaled."""


def pages(picture: Picture, options: Options) -> Sequence[int]:
    """Say which pages are asked for.

    Raises
    ------
    ImageOptionError
        If there are several, and no option chooses.
    ImageError
        If the one asked for is not there.
    """
    n, noun = picture.n_pages, picture.noun
    if options.page == "all" or (options.page is None and n == 1):
        return range(n)
    if options.page is None:
        raise ImageOptionError(f"{n} {noun}: --page 0 for the first, --page all for every one")
    if options.page >= n:
        have = f"1 {noun[:-1]}" if n == 1 else f"{n} {noun}"
        raise ImageError(f"no page {options.page} in it: it has {have}, counted from 0 (--page)")
    return (options.page,)


def seen(page: Page, options: Options) -> list[Seen]:
    """Give a page as it is looked at: one item, or one for each channel where asked for.

    Raises
    ------
    ImageOptionError
        If it would be mangled without an option that is not set.
    ImageError
        If an option does not fit it.
    """
    if isinstance(page, Image.Image) and takes_bytes_as_they_are(options):
        return [to_rgb(page)]
    samples = page if isinstance(page, Samples) else to_samples(page)
    asked = questions(samples, options)
    if asked:
        raise ImageOptionError("; ".join(asked))
    return [_scaled(part, _intensity(options)) for part in _parts(samples, options)]


def takes_bytes_as_they_are(options: Options) -> bool:
    """Whether images of 8 bits keep their values and their channels."""
    return _intensity(options).kind == "dtype" and not options.channels


def _intensity(options: Options) -> Intensity:
    """Give what is asked for; 8-bit images need not be asked about."""
    return options.intensity or Intensity("dtype")


def _parts(samples: Samples, options: Options) -> list[Samples]:
    if options.channels == "each":
        return [samples.channels((i,)) for i in range(samples.n_channels)]
    return [samples.channels(options.channels) if options.channels else samples]


def _scaled(samples: Samples, intensity: Intensity) -> Seen:
    if samples.is_plain and intensity.kind == "dtype":
        return to_image(samples)
    return to_unit(samples, intensity)
