"""Vary an image at random, as torchvision's transforms do, from a generator of the caller's.

torchvision's random transforms draw from torch's global generator, which threads share, so that
what an image becomes depends on what ran before. Here the numbers come from a generator that
belongs to the image, and the pixels from torchvision's pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from featx._types import Array
from featx.errors import UsageError

if TYPE_CHECKING:
    from featx.augmentation import Affine, Augmentation, Jitter

Step: TypeAlias = tuple[str, Mapping[str, Any]]
"""(name of a function of `torchvision.transforms.v2.functional`, its arguments)."""

_DRAWN = (
    *("hflip", "brightness", "contrast", "saturation", "hue"),
    *("order0", "order1", "order2", "order3", "rotation"),
    *("degrees", "translate_x", "translate_y", "scale", "shear"),
    *("crop_y", "crop_x", "sharpness", "grayscale"),
)
"""The order in which the numbers are drawn."""


def generator(seed: int, digest: bytes, view: int) -> np.random.Generator:
    """Give a generator that depends on these three alone, on any machine and in any order.

    Parameters
    ----------
    seed
        Of the whole data set.
    digest
        16 bytes: of the image's content.
    view
        Which variation of the image, or which epoch.
    """
    text = f"{seed}:{digest.hex()}:{view}".encode()
    entropy = int.from_bytes(blake2b(text, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.PCG64(entropy))


def augmented(image: Array, how: Augmentation, rng: np.random.Generator) -> Array:
    """Give a random variation of an image.

    Parameters
    ----------
    image
        (H, W, 3) uint8, or float32 in 0..1. It is not changed.
    how
        The distributions.
    rng
        Gives 19 numbers, always, in the order in which `drawn` says.

    Returns
    -------
    (H, W, 3) of the same dtype
        The image itself where nothing was drawn that changes it.

    Raises
    ------
    UsageError
        If the array is no such image, or too small for the crop.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.float32):
        raise UsageError(
            f"an array {image.shape} of {image.dtype}; expected an image (H, W, 3) of uint8, or of "
            "float32 from 0 to 1"
        )
    return applied(image, drawn(how, (image.shape[0], image.shape[1]), rng))


def drawn(how: Augmentation, size: tuple[int, int], rng: np.random.Generator) -> tuple[Step, ...]:
    """Draw what happens to one image of ``size`` (height, width): the steps, in order.

    19 uniform numbers are drawn, whatever is asked for: hflip; brightness, contrast, saturation,
    hue, and four whose ranks are the order of these; rotation; degrees, translation along x and
    y, scale and shear of the affine map; top and left of the crop; sharpness; grayscale. So an
    operation that is added or made stronger leaves what is drawn for the others as it was.

    Distributions are those of RandomHorizontalFlip, ColorJitter, RandomRotation, RandomAffine,
    RandomCrop, RandomAdjustSharpness and RandomGrayscale in `torchvision.transforms.v2`.

    Raises
    ------
    UsageError
        If the image is too small for the crop.
    """
    how.check_size(*size)
    u = dict(zip(_DRAWN, rng.random(len(_DRAWN)).tolist(), strict=True))
    steps: list[Step] = []
    if u["hflip"] < how.hflip:
        steps.append(("horizontal_flip", {}))
    steps += _jitter(how.jitter, u)
    if how.rotation:
        steps.append(("rotate", {"angle": _between(-how.rotation, how.rotation, u["rotation"])}))
    steps += _affine(how.affine, size, u)
    steps += _crop(how.crop, size, u)
    if u["sharpness"] < how.sharpness.probability:
        steps.append(("adjust_sharpness", {"sharpness_factor": how.sharpness.factor}))
    if u["grayscale"] < how.grayscale:
        steps.append(("rgb_to_grayscale", {"num_output_channels": 3}))
    return tuple(steps)


def applied(image: Array, steps: tuple[Step, ...]) -> Array:
    """Take an image (H, W, 3) through steps of `drawn`; bilinear where pixels are moved."""
    if not steps:
        return image
    import torch
    from torchvision.transforms.v2 import InterpolationMode, functional

    x = torch.from_numpy(np.array(image, order="C")).permute(2, 0, 1)
    for name, arguments in steps:
        moves = {"interpolation": InterpolationMode.BILINEAR} if name in _MOVING else {}
        x = getattr(functional, name)(x, **arguments, **moves)
    out: Array = x.permute(1, 2, 0).contiguous().numpy()
    return out


_MOVING = frozenset({"rotate", "affine", "resized_crop"})


def _between(low: float, high: float, u: float) -> float:
    return low + (high - low) * u


def _jitter(jitter: Jitter, u: Mapping[str, float]) -> list[Step]:
    """Give the changes of colour in their random order; those of no strength are left out."""
    names = ("brightness", "contrast", "saturation", "hue")
    order = np.argsort([u[f"order{i}"] for i in range(len(names))], kind="stable")
    steps: list[Step] = []
    for name in (names[i] for i in order.tolist()):
        if strength := getattr(jitter, name):
            low = -strength if name == "hue" else max(0.0, 1 - strength)
            high = strength if name == "hue" else 1 + strength
            steps.append((f"adjust_{name}", {f"{name}_factor": _between(low, high, u[name])}))
    return steps


def _affine(affine: Affine, size: tuple[int, int], u: Mapping[str, float]) -> list[Step]:
    if affine == type(affine)():
        return []
    height, width = size
    x, y = affine.translate[0] * width, affine.translate[1] * height
    shift = [round(_between(-x, x, u["translate_x"])), round(_between(-y, y, u["translate_y"]))]
    arguments = {
        "angle": _between(-affine.degrees, affine.degrees, u["degrees"]),
        "translate": shift,
        "scale": _between(*affine.scale, u["scale"]),
        "shear": [_between(-affine.shear, affine.shear, u["shear"]), 0.0],
    }
    return [("affine", arguments)]


def _crop(side: int, size: tuple[int, int], u: Mapping[str, float]) -> list[Step]:
    """Cut out a part with the proportions of the whole; every place is as likely."""
    shorter = min(size)
    if side in (0, shorter):
        return []
    height, width = (round(length * side / shorter) for length in size)
    box = {
        "top": int(u["crop_y"] * (size[0] - height + 1)),
        "left": int(u["crop_x"] * (size[1] - width + 1)),
        "height": height,
        "width": width,
    }
    return [("resized_crop", {**box, "size": list(size), "antialias": True})]
