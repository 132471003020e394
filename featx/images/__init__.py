"""An image's bytes, array or Pillow image: its digest, and the pixels that the backbone sees.

Pictures of 8 bits go Pillow's way, bit for bit as torchvision's transforms on Pillow images.
What Pillow would mangle (more bits, other channels, several pages) is refused until the
`Preprocess` says how to read it.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
from PIL import Image

from featx._quiet import quiet
from featx._types import Array
from featx.errors import ImageError
from featx.images.decode import image_errors, open_picture, refuse_cut
from featx.images.items import Seen, pages, seen, takes_bytes_as_they_are
from featx.images.jpeg import plain_jpeg_size
from featx.images.options import check_preprocess, parse_options
from featx.images.picture import PILLOW, orientation
from featx.images.resize import centred_image, fit_floats, fit_image, least_size, target_size
from featx.images.whole import Look, look
from featx.recipe import Preprocess

__all__ = [
    "Look",
    "centred_image",
    "check_preprocess",
    "digest",
    "is_plain",
    "load",
    "look",
    "plain_jpeg_size",
    "target_size",
]


def is_plain(pre: Preprocess) -> bool:
    """Whether images of 8 bits are read as they are: no reader, no choice of channels or page."""
    options = parse_options(pre)
    first_page = options.page in (None, 0, "all")
    return options.reader is None and first_page and takes_bytes_as_they_are(options)


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
        shrinks = scaled and takes_bytes_as_they_are(options)
        least = partial(least_size, pre=pre) if shrinks else None
        picture = open_picture(payload, options.reader, least)
        every = (picture.page(i) for i in pages(picture, options))
        return [_fit(item, pre) for page in every for item in seen(page, options)]


def _fit(item: Seen, pre: Preprocess) -> Array:
    return fit_image(item, pre) if isinstance(item, Image.Image) else fit_floats(item, pre)
