"""Build real image files in memory."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image


def pixels(height: int, width: int, channels: int | None = 3, seed: int = 0) -> np.ndarray:
    """Smooth colours with noise on them, uint8: what neither compresses nor resizes trivially."""
    rng = np.random.default_rng([seed, height, width])
    y, x = np.mgrid[0:height, 0:width]
    planes = channels or 1
    base = np.stack([(y * (k + 1) + x * (3 - k % 3)) % 256 for k in range(planes)], axis=2)
    image = np.clip(base + rng.integers(-40, 40, base.shape), 0, 255).astype(np.uint8)
    return image if channels else image[:, :, 0]


def encode(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """Save in a format of Pillow's."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def tiff(array: np.ndarray, **options: Any) -> bytes:
    """Save as TIFF with tifffile."""
    import tifffile

    out = io.BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


def png16(array: np.ndarray) -> bytes:
    """Save as PNG of 16 bits a channel, which Pillow cannot."""
    import imagecodecs

    return imagecodecs.png_encode(array)
