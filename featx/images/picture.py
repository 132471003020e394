"""An opened image: how many pages it has, and each page as Pillow or as plain numbers has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image

from featx._types import Array
from featx.errors import ImageError
from featx.images.samples import Samples

Page: TypeAlias = Image.Image | Samples
PILLOW = r"PIL\."
"""What Pillow warns about (odd metadata, large images) either fails the image or matters not."""
_GREY = frozenset({"1", "L", "LA", "La"})

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an EXIF orientation upright."""

_ARRAY_TURNS: dict[int, Callable[[Array], Array]] = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


@dataclass(frozen=True)
class Picture:
    """An opened image.

    Attributes
    ----------
    n_pages
        How many pages, or frames, it has.
    noun
        What a person calls them.
    page
        Decodes one of them, upright.
    format
        As Pillow calls it; ``array`` for what came as numbers.
    """

    n_pages: int
    noun: str
    page: Callable[[int], Page]
    format: str


def upright(image: Image.Image) -> Image.Image:
    """Turn a loaded image as its EXIF orientation says, as a person sees it."""
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def orientation(image: Image.Image) -> int:
    """Give the EXIF orientation, 1 where there is none that can be read."""
    try:
        value = image.getexif().get(0x0112, 1)
    except MemoryError:
        raise
    except Exception:  # damaged metadata, which every viewer passes over too
        return 1
    return value if isinstance(value, int) else 1


def upright_array(values: Array, turn: int) -> Array:
    """Turn (H, W[, C]) as an EXIF orientation says."""
    return _ARRAY_TURNS[turn](values) if turn in _ARRAY_TURNS else values


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an 8-bit image of any mode to RGB, on white where it is transparent."""
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def to_samples(image: Image.Image) -> Samples:
    """Give the channels of an 8-bit image: one of a grey one, else red, green and blue."""
    grey = image.mode in _GREY
    if not image.has_transparency_data:
        values = np.asarray(image.convert("L" if grey else "RGB"))
        return Samples(np.atleast_3d(values), 255)
    values = np.asarray(image.convert("LA" if grey else "RGBA"))
    return Samples(values[:, :, :-1], 255, values[:, :, -1].astype(np.float32) / 255)


def to_image(samples: Samples) -> Image.Image:
    """Give 8-bit samples of one or three channels as an RGB image, on white where transparent."""
    values = np.ascontiguousarray(samples.values)
    image = Image.fromarray(values[:, :, 0] if samples.n_channels == 1 else values).convert("RGB")
    if samples.alpha is not None:
        image.putalpha(Image.fromarray(np.round(samples.alpha * 255).astype(np.uint8)))
    return to_rgb(image)


def check_pixels(width: int, height: int, samples: int = 4) -> None:
    """Refuse what Pillow would refuse as a decompression bomb, also where others decode.

    Raises
    ------
    ImageError
        If there are more than twice ``PIL.Image.MAX_IMAGE_PIXELS`` pixels.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height * max(1, samples / 4) > 2 * limit:
        raise ImageError(
            f"{width} x {height} pixels: more than {2 * limit:,}, so perhaps a decompression bomb; "
            "scale it down, or raise PIL.Image.MAX_IMAGE_PIXELS in Python if you trust it"
        )
