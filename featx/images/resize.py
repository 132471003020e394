"""Give an image the size that the backbone sees, as torchvision's transforms on Pillow images do.

``crop`` is ``Resize(resize_size)`` and ``CenterCrop(image_size)``, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from featx._types import Array, Float32s
from featx.errors import ImageError
from featx.recipe import Preprocess

Size = tuple[int, int]
"""(height, width) in pixels."""


def fit_image(image: Image.Image, pre: Preprocess) -> Array:
    """Give an RGB image its size: (H, W, 3) uint8."""
    target = SIZES[pre.resize]((image.height, image.width), pre)
    image = _resized(image, target, pre)
    height, width = pre.image_size
    if image.height >= height and image.width >= width:  # as `centred`, with fewer pixels copied
        y, x = (round((have - want) / 2) for have, want in zip(target, pre.image_size, strict=True))
        return np.array(image.crop((x, y, x + width, y + height)))
    return centred_image(np.asarray(image), pre)


def centred_image(image: Array, pre: Preprocess) -> Array:
    """Crop or fill up (h, w, 3) uint8, resized already: (H, W, 3) uint8."""
    fill = [round(255 * mean) for mean in pre.mean] if pre.resize == "pad" else [0, 0, 0]
    return centred(image, pre.image_size, fill)


def target_size(size: Size, pre: Preprocess) -> Size:
    """Give the (height, width) to which an image of ``size`` is resized, before it is cropped.

    Raises
    ------
    ImageError
        If it has to have its size already and has another, or would become too large.
    """
    target = SIZES[pre.resize](size, pre)
    _check_target(size, target)
    return target


MARGIN = 3
"""How many times the size that the backbone sees a JPEG decoded at a fraction still has, so that
the antialiased resize that follows decides what is seen. Of 40 enlarged photographs the worst
cosine of VGG16's vectors with those of whole images was 0.9974 at 2, 0.9985 at 3 and at 4."""


def least_size(size: Size, pre: Preprocess) -> Size:
    """Give the (height, width) that a scaled decoding of an image must not fall below."""
    height, width = SIZES[pre.resize](size, pre)
    if pre.resize != "crop":  # EXIF may turn the image yet, and these do not turn with it
        height = width = max(height, width)
    return MARGIN * height, MARGIN * width


def fit_floats(values: Float32s, pre: Preprocess) -> Array:
    """Give (h, w, 1 or 3) float32 in 0..1 its size: (H, W, 3) float32 in 0..1."""
    target = SIZES[pre.resize]((values.shape[0], values.shape[1]), pre)
    planes = [
        np.asarray(_resized(Image.fromarray(np.ascontiguousarray(plane)), target, pre))
        for plane in np.moveaxis(values, 2, 0)
    ]
    sized = np.clip(np.stack(planes, axis=2), 0, 1)  # bicubic and lanczos overshoot
    fill = list(pre.mean) if pre.resize == "pad" else [0.0, 0.0, 0.0]
    return centred(np.broadcast_to(sized, (*sized.shape[:2], 3)), pre.image_size, fill)


def centred(image: Array, size: Size, fill: list[int] | list[float]) -> Array:
    """Crop (h, w, 3) to its centre, or put it into the centre of ``fill``: (*size, 3).

    The offsets are those of torchvision's ``center_crop``: first pad what is too small, one more
    pixel behind than before where they do not halve, then crop at ``round((h - H) / 2)``, where a
    half goes to the even number.
    """
    (y, sy, h), (x, sx, w) = (_overlap(n, m) for n, m in zip(image.shape[:2], size, strict=True))
    part = image[sy : sy + h, sx : sx + w]
    if part.shape[:2] == size:
        return np.array(part)
    out = np.empty((*size, 3), dtype=image.dtype)
    out[:] = fill
    out[y : y + h, x : x + w] = part
    return out


def _overlap(have: int, want: int) -> tuple[int, int, int]:
    """Give where one side starts in the result and in the image, and how long both overlap."""
    if have < want:
        return (want - have) // 2, 0, have
    return 0, round((have - want) / 2), want


def _shorter_side(size: Size, pre: Preprocess) -> Size:
    """Torchvision's ``_compute_resized_output_size``: the longer side is rounded down."""
    height, width = size
    longer = int(pre.resize_size * max(size) / min(size))
    return (longer, pre.resize_size) if width <= height else (pre.resize_size, longer)


def _inside(size: Size, pre: Preprocess) -> Size:
    scale = min(want / have for want, have in zip(pre.image_size, size, strict=True))
    height, width = (max(1, round(have * scale)) for have in size)
    return height, width


def _as_it_is(size: Size, pre: Preprocess) -> Size:
    if size != pre.image_size:
        raise ImageError(
            f"{size[1]} x {size[0]} pixels; --resize none needs {pre.image_size[1]} x "
            f"{pre.image_size[0]}; use --resize crop, squash or pad"
        )
    return size


SIZES: dict[str, Callable[[Size, Preprocess], Size]] = {
    "crop": _shorter_side,
    "squash": lambda _, pre: pre.image_size,
    "pad": _inside,
    "none": _as_it_is,
}


def _resized(image: Image.Image, target: Size, pre: Preprocess) -> Image.Image:
    height, width = target
    if image.size == (width, height):
        return image
    _check_target((image.height, image.width), target)
    return image.resize((width, height), Image.Resampling[pre.interpolation.upper()])


def _check_target(size: Size, target: Size) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and target[0] * target[1] > 2 * limit:
        raise ImageError(
            f"{size[1]} x {size[0]} pixels would become {target[1]} x {target[0]} before the "
            "crop; use --resize squash or pad"
        )
