"""Files of more than 8 bits or of unusual channels: TIFF and JPEG 2000."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from featx._quiet import quiet_log
from featx._types import Array
from featx.errors import ImageError
from featx.images.array import number_samples
from featx.images.picture import Page, Picture, check_pixels, upright_array
from featx.images.samples import Samples, with_alpha

if TYPE_CHECKING:
    import tifffile

TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_PREMULTIPLIED, _ALPHA = 1, 2
_REDUCED, _MASK = 1, 4
_UNCOMPRESSED, _JPEG = 1, 7
_UNSIGNED = (1, 4)  # 4 is undefined, which readers take for unsigned
_PILLOW_READS = {
    (_WHITE_IS_ZERO, 1),
    (_BLACK_IS_ZERO, 1),
    (_RGB, 3),
    (_PALETTE, 1),
    (_CMYK, 4),
    (_YCBCR, 3),
}
"""(photometric, samples a pixel) of 8-bit pages that Pillow reads as they are meant."""


def open_tiff(data: bytes) -> Picture:
    """Open a TIFF. Thumbnails and masks in it are no pages."""
    import tifffile

    quiet_log("tifffile")
    quiet_log("PIL")
    file = tifffile.TiffFile(io.BytesIO(data))
    everything: list[Any] = list(file.pages)
    pages = [p for p in everything if not int(p.subfiletype) & (_REDUCED | _MASK)] or everything
    first = pages[0]
    if len(pages) == 1 and file.is_imagej and file.series[0].size > first.size:
        check_pixels(first.imagewidth, first.imagelength, file.series[0].size // first.size)
        planes = file.series[0].asarray().reshape(-1, *first.shape)
        return Picture(len(planes), "pages", lambda i: _tiff_samples(first, planes[i]), "TIFF")
    return Picture(len(pages), "pages", lambda i: _tiff_page(data, pages[i]), "TIFF")


def _tiff_page(data: bytes, page: tifffile.TiffPage) -> Page:
    if _pillow_reads(page):
        image = Image.open(io.BytesIO(data))
        image.seek(page.index)
        image.load()  # which also turns it upright
        return image
    height, width = page.imagelength, page.imagewidth
    check_pixels(width, height, page.size // (height * width))
    return _tiff_samples(page, page.asarray())


def _pillow_reads(page: tifffile.TiffPage) -> bool:
    """Whether Pillow reads the page as it is meant, and reads it best.

    What is compressed without loss comes out alike both ways; Pillow's libtiff would write its
    complaints about damage straight into the terminal.
    """
    bits, kind, samples = page.bitspersample, page.photometric, page.samplesperpixel
    alpha = (kind, samples) == (_RGB, 4) and page.extrasamples[:1] in ((_PREMULTIPLIED,), (_ALPHA,))
    understood = (kind, samples) in _PILLOW_READS or alpha
    lossless = bits == 8 and kind <= _RGB and page.compression not in (_UNCOMPRESSED, _JPEG)
    return understood and bits <= 8 and page.sampleformat in _UNSIGNED and not lossless


def _tiff_samples(page: tifffile.TiffPage, values: Array) -> Samples:
    """Give a decoded page as (H, W, C), 0 black, upright, alpha apart."""
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        kind = getattr(page.photometric, "name", page.photometric)
        raise ImageError(
            f"a TIFF of {page.bitspersample} bits in the colour space {kind}; save it as RGB or "
            "grey, or read it with --reader module:function"
        )
    if page.axes not in ("YX", "YXS", "SYX"):
        raise ImageError(f"a TIFF page with the axes {page.axes}; read it with --reader")
    values = np.moveaxis(values, 0, -1) if page.axes == "SYX" else np.atleast_3d(values)
    turn = page.tags.valueof(274, default=1)
    samples = number_samples(upright_array(values, int(turn)), page.bitspersample)
    if page.photometric == _WHITE_IS_ZERO and samples.full is not None:
        samples = Samples((samples.full - samples.values).astype(values.dtype), samples.full)
    kinds = tuple(page.extrasamples)
    if len(kinds) == 1 and kinds[0] in (_PREMULTIPLIED, _ALPHA) and samples.n_channels in (2, 4):
        return with_alpha(samples, premultiplied=kinds[0] == _PREMULTIPLIED)
    return samples


def open_jpeg2000(data: bytes, bits: int) -> Picture:
    """Open a JPEG 2000 of more than 8 bits a channel."""

    def page(_: int) -> Page:
        import imagecodecs

        return number_samples(np.atleast_3d(imagecodecs.jpeg2k_decode(data)), bits)

    return Picture(1, "pages", page, "JPEG2000")


def jpeg2000_bits(data: bytes) -> int:
    """Read the bits a channel from the SIZ segment (ISO/IEC 15444-1, A.5.1); 8 if there is none."""
    start = data.find(b"\xff\x4f\xff\x51")
    depth = data[start + 42 : start + 43]
    return (depth[0] & 0x7F) + 1 if start >= 0 and depth else 8
