"""What Pillow passes over in PNG: wrong checksums, and the lower half of 16 bits."""

from __future__ import annotations

import re
import zlib

import numpy as np
from PIL import Image

from featx.errors import ImageError
from featx.images.picture import Page, Picture, orientation, upright_array
from featx.images.samples import Samples, with_alpha

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"fdAT"})
_MAY_TURN = re.compile(rb"eXIf|exif|adobe\.xmp")


def check_png(data: bytes) -> None:
    """Refuse a PNG in which a chunk that decides pixels differs from its checksum.

    Pillow does not look at the checksum of pixels (ISO/IEC 15948, 5.3): what was damaged would
    come out as other pixels.

    Raises
    ------
    ImageError
        If one differs. What is missing at the end is left to the decoder.
    """
    view, at = memoryview(data), len(SIGNATURE)
    while at + 12 <= len(view):
        length = int.from_bytes(view[at : at + 4], "big")
        kind, end = bytes(view[at + 4 : at + 8]), at + 8 + length
        wanted = int.from_bytes(view[end : end + 4], "big")
        if kind in _PIXELS and end + 4 <= len(view) and zlib.crc32(view[at + 4 : end]) != wanted:
            raise ImageError(f"damaged: PNG chunk {kind.decode()} differs from its checksum")
        at = end + 4


def open_png16(data: bytes, image: Image.Image, n_frames: int) -> Picture:
    """Open a PNG of 16 bits a channel, which Pillow cuts to 8 without a word."""

    def page(index: int) -> Page:
        import imagecodecs

        if index:
            raise ImageError("a later frame of a 16-bit PNG; read it with --reader module:function")
        values = np.atleast_3d(imagecodecs.png_decode(data))
        if _MAY_TURN.search(data):  # Pillow decodes the whole image to look for it
            values = upright_array(values, orientation(image))
        samples = Samples(values, 65535.0)
        return with_alpha(samples) if samples.n_channels in (2, 4) else samples

    return Picture(n_frames, "frames", page, "PNG")
