"""An image's bytes, array or Pillow image: its digest, and the pixels that the backbone sees.

Pictures of 8 bits go Pillow's way, bit for bit as torchvision's transforms on Pillow images.
What Pillow would mangle (more bits, other channels, several pages) is refused until the
`Preprocess` says how to read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
from PIL import Image

from featx._quiet import quiet
from featx._types import Array
from featx.errors import ImageError
from featx.images.decode import image_errors, open_picture, refuse_cut
from featx.images.jpeg import plain_jpeg_size
from featx.images.options import Intensity, Options, check_preprocess, parse_options
from featx.images.picture import Page, Picture, orientation, to_image, to_rgb, to_samples
from featx.images.resize import centred_image, fit_floats, fit_image, least_size, target_size
from featx.images.samples import Samples, questions, to_unit
from featx.recipe import Preprocess

__all__ = [
    "centred_image",
    "check_preprocess",
    "digest",
    "is_plain",
    "load",
    "plain_jpeg_size",
    "target_size",
]

PILLOW = r"PIL\."
"""What Pillow warns about (odd metadata, large images) either fails the image or matters not."""


def is_plain(pre: Preprocess) -> bool:
    """Whether images of 8 bits are read as they are: no reader, no choice of channels or page."""
    options = parse_options(pre)
    first_page = options.page in (None, 0, "all")
    return options.reader is None and first_page and _takes_bytes_as_they_are(options)


def digest(payload: Any) -> bytes:
    """Give the identity of an image's content: 16 bytes of BLAKE2b.

    Of bytes: of the bytes. Of an array: of its dtype, shape and values in C order. Of a Pillow
    image: of its mode, size, palette, transparency, orientation and pixels.

    Raises
    ------
    ImageError
        If a Pillow image cannot be loaded, or an array holds Python objects.
    """
    if isinstance(payload, bytes | bytearray | memoryview):
        return blake2b(payload, digest_size=16).digest()
    if isinstance(payload, Image.Image):
        return _image_digest(payload)
    array = np.asarray(payload)
    if array.dtype.hasobject:
        raise ImageError(f"an array of dtype {array.dtype}; expected numbers")
    h = blake2b(f"{array.dtype.str}{array.shape}".encode(), digest_size=16)
    h.update(np.ascontiguousarray(array).data if array.size else b"")
    return h.digest()


def _image_digest(image: Image.Image) -> bytes:
    with image_errors(), quiet(PILLOW):
        refuse_cut(image)
        image.load()
        palette = image.getpalette("RGBA") if image.mode in ("P", "PA") else None
        about = (image.mode, image.size, palette, image.info.get("transparency"))
        h = blake2b(repr((*about, orientation(image))).encode(), digest_size=16)
        h.update(image.tobytes())
    return h.digest()


def load(payload: Any, pre: Preprocess, *, scaled: bool = False) -> list[Array]:
    """Decode an image and give it the size that the backbone sees.

    Parameters
    ----------
    payload
        The bytes of a file, an array (H, W[, C]), or a Pillow image.
    pre
        How to read and to resize it; ``mean`` and ``std`` are left to the engine.
    scaled
        Whether a JPEG of 8 bits that is much larger than needed is decoded at 1/2, 1/4 or 1/8 of
        its size, which is faster and changes its pixels a little.

    Returns
    -------
    list of (H, W, 3) uint8, or float32 in 0..1 where an intensity was scaled
        One for each item: page by page, in each page channel by channel where asked for.

    Raises
    ------
    ImageError
        If it cannot be decoded, or would be mangled without an option that is not set.
    UsageError
        If an option is not understood.
    """
    options = parse_options(pre)
    with image_errors(payload), quiet(PILLOW):
        shrinks = scaled and _takes_bytes_as_they_are(options)
        least = partial(least_size, pre=pre) if shrinks else None
        picture = open_picture(payload, options.reader, least)
        pages = _pages(picture, options)
        return [item for i in pages for item in _items(picture.page(i), pre, options)]


def _pages(picture: Picture, options: Options) -> Sequence[int]:
    n, noun = picture.n_pages, picture.noun
    if options.page == "all" or (options.page is None and n == 1):
        return range(n)
    if options.page is None:
        raise ImageError(f"{n} {noun}: --page 0 for the first, --page all for every one")
    if options.page >= n:
        have = f"1 {noun[:-1]}" if n == 1 else f"{n} {noun}"
        raise ImageError(f"no page {options.page} in it: it has {have}, counted from 0 (--page)")
    return (options.page,)


def _samples(page: Page) -> Samples:
    return page if isinstance(page, Samples) else to_samples(page)


def _items(page: Page, pre: Preprocess, options: Options) -> list[Array]:
    if isinstance(page, Image.Image) and _takes_bytes_as_they_are(options):
        return [fit_image(to_rgb(page), pre)]
    samples = _samples(page)
    asked = questions(samples, options)
    if asked:
        raise ImageError("; ".join(asked))
    return [_fit(part, pre, _intensity(options)) for part in _parts(samples, options)]


def _takes_bytes_as_they_are(options: Options) -> bool:
    return _intensity(options).kind == "dtype" and not options.channels


def _intensity(options: Options) -> Intensity:
    """Give what is asked for; 8-bit images need not be asked about."""
    return options.intensity or Intensity("dtype")


def _parts(samples: Samples, options: Options) -> list[Samples]:
    if options.channels == "each":
        return [samples.channels((i,)) for i in range(samples.n_channels)]
    return [samples.channels(options.channels) if options.channels else samples]


def _fit(samples: Samples, pre: Preprocess, intensity: Intensity) -> Array:
    if samples.is_plain and intensity.kind == "dtype":
        return fit_image(to_image(samples), pre)
    return fit_floats(to_unit(samples, intensity), pre)
