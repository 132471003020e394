"""From bytes, an array or a Pillow image to an opened picture, and why it cannot be one."""

from __future__ import annotations

import errno
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from featx.errors import FeatxError, ImageError, MissingDependencyError
from featx.images.array import number_samples, open_array, open_with
from featx.images.deep import TIFF_MARKS, jpeg2000_bits, open_jpeg2000, open_tiff
from featx.images.magic import what_is
from featx.images.picture import Page, Picture, upright
from featx.images.png import SIGNATURE, check_png, open_png16
from featx.images.samples import Samples

_NOT_THE_IMAGE = frozenset(
    {errno.ENOSPC, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EDQUOT}
)
_ONE_PICTURE = frozenset({"MPO", "PSD"})
"""Formats whose further frames are no pictures of their own: a phone's preview, the layers."""
_SCALABLE = frozenset({"JPEG", "MPO"})
"""Formats that can be decoded at a fraction of their size, by leaving out high frequencies."""
_DEEP_RAWMODE = re.compile(r"(L|LA|RGB|RGBA|RGBX|CMYK);16[BLN]?")


@contextmanager
def image_errors(data: Any = b"") -> Iterator[None]:
    """Turn whatever a decoder raises about bad bytes into an `ImageError` with a reason.

    Lack of memory, a failing disk and a package that is not installed are not the image's fault.
    """
    try:
        yield
    except (FeatxError, MemoryError):
        raise
    except ImportError as error:
        raise MissingDependencyError(f"cannot read images here: {error}; install it") from error
    except UnidentifiedImageError as error:
        raise ImageError(what_is(data if isinstance(data, bytes) else b"")) from error
    except Exception as error:  # decoders raise nearly everything on damaged bytes
        if isinstance(error, OSError) and error.errno in _NOT_THE_IMAGE:
            raise
        raise ImageError(_reason(error)) from error


def open_picture(
    payload: Any,
    reader: Callable[[bytes], Any] | None,
    least: Callable[[tuple[int, int]], tuple[int, int]] | None = None,
) -> Picture:
    """Open what a source gave: bytes, an array or a Pillow image.

    ``least`` gives, for an image's (height, width), the size that a JPEG decoded at a fraction
    must still have; None has it decoded whole.
    """
    if isinstance(payload, Image.Image):
        return _open_image(payload)
    if isinstance(payload, bytes | bytearray | memoryview):
        data = bytes(payload)
        return open_with(reader, data) if reader else _open_bytes(data, least)
    if hasattr(payload, "__array__"):
        return open_array(np.asarray(payload))
    raise ImageError(
        f"{type(payload).__name__} is no image; expected bytes, an array (H, W[, C]) or a Pillow "
        "image"
    )


def _open_bytes(data: bytes, least: Callable[[tuple[int, int]], tuple[int, int]] | None) -> Picture:
    if not data:
        raise ImageError("zero bytes: the file is empty")
    if data.startswith(TIFF_MARKS):
        return open_tiff(data)
    if data.startswith(SIGNATURE):
        check_png(data)
    image = Image.open(io.BytesIO(data))
    n_frames = 1 if image.format in _ONE_PICTURE else int(getattr(image, "n_frames", 1))
    if image.format == "PNG" and data[24:25] == b"\x10":
        return open_png16(data, image, n_frames)
    if image.format == "JPEG2000" and (bits := jpeg2000_bits(data)) > 8:
        return open_jpeg2000(data, bits)
    refuse_cut(image)
    if least is not None and image.format in _SCALABLE:
        _shrink(image, least((image.height, image.width)))
    return Picture(n_frames, "frames", lambda i: _frame(image, i), image.format or "")


def _shrink(image: Image.Image, least: tuple[int, int]) -> None:
    """Have a JPEG decoded at the smallest of 1/2, 1/4, 1/8 that leaves ``least``, if one does.

    Only a fraction that divides both sides is taken: else the last pixels would stand for less of
    the image than the others, and the resize that follows would shift it.
    """
    height, width = image.height, image.width
    for part in (8, 4, 2):
        whole = height % part == 0 and width % part == 0
        if whole and height // part >= least[0] and width // part >= least[1]:
            image.draft(None, (width // part, height // part))
            return


def _open_image(image: Image.Image) -> Picture:
    """Open a Pillow image that the person holds, which must not be moved to another frame."""
    n_frames = 1 if image.format in _ONE_PICTURE else int(getattr(image, "n_frames", 1))
    if n_frames > 1:
        raise ImageError(f"a file open in Pillow with {n_frames} frames: give the frame's .copy()")
    refuse_cut(image)
    return Picture(1, "frames", lambda _: _loaded(image), image.format or "Pillow")


def _frame(image: Image.Image, index: int) -> Page:
    if index != image.tell():
        image.seek(index)
    return _loaded(image)


def _loaded(image: Image.Image) -> Page:
    image.load()
    image = upright(image)
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)[:, :, None]
        if image.mode == "I" and image.format == "PPM":  # which Pillow scales to 16 bits
            return Samples(values, 65535.0)
        return number_samples(values)
    return image


def refuse_cut(image: Image.Image) -> None:
    """Refuse a file, not yet loaded, whose 16 bits a channel Pillow would cut to 8.

    Raises
    ------
    ImageError
        With the ways out.
    """
    for codec, _, _, args in getattr(image, "tile", ()):
        words = args if isinstance(args, tuple) else (args,)
        deep = any(isinstance(word, str) and _DEEP_RAWMODE.fullmatch(word) for word in words)
        wide = codec.startswith("ppm") and image.mode == "RGB" and words[-1] > 255
        if deep or wide or codec == "SGI16":
            raise ImageError(
                f"{image.format} of 16 bits a channel, of which Pillow keeps 8; save it as PNG or "
                "TIFF, or read it with --reader module:function"
            )


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        return f"perhaps a decompression bomb: {text}"
    if "truncated" in text.lower():
        return f"truncated: {text}"
    return f"cannot be decoded: {text}"
