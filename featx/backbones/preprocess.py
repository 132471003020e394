"""How images are prepared for a backbone: the weights' own way, a preset, single fields."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from featx._imports import marked_reader
from featx.backbones.request import BackboneRequest
from featx.errors import UsageError, unknown_name
from featx.recipe import INTERPOLATIONS, RESIZES, Preprocess, Resize

_CHANNELS = 3


@dataclass(frozen=True)
class Preset:
    """The preprocessing that some weights were trained with.

    Attributes
    ----------
    origin
        Where it comes from, in words.
    size
        (height, width) in pixels of what the network saw.
    resize_size
        The shorter side in pixels before the centre crop.
    interpolation, mean, std, resize
        See `featx.recipe.Preprocess`.
    """

    origin: str
    size: tuple[int, int] = (224, 224)
    resize_size: int = 256
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    resize: Resize = "crop"


_HALF = (0.5, 0.5, 0.5)
PRESETS: dict[str, Preset] = {
    "imagenet": Preset("the imagenet preset"),
    "clip": Preset(
        "the clip preset",
        resize_size=224,
        interpolation="bicubic",
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
    ),
    "half": Preset("the half preset", mean=_HALF, std=_HALF),
}


def prepare(
    request: BackboneRequest, preset: Preset, default_size: int | str
) -> tuple[Preprocess, tuple[str, ...]]:
    """Decide how images are prepared, and say it.

    The resize before the crop scales with the image size: ``resize_size N / crop``.

    Parameters
    ----------
    request
        What was asked for; its single fields come before the preset's.
    preset
        Of the weights, or the one that was named in their place.
    default_size
        In pixels, or ``weights``, where the request names no size.

    Raises
    ------
    UsageError
        If a value is unknown or out of range, or ``resize="none"`` comes without a size.
    """
    resize: Resize = request.resize or preset.resize
    if resize not in RESIZES:
        raise unknown_name("resize", resize, RESIZES)
    if resize == "none" and request.image_size is None:
        raise UsageError(
            "resize 'none' takes images as they are, so their size in pixels must be given: "
            "--image-size N"
        )
    asked = default_size if request.image_size is None else request.image_size
    size = preset.size if asked == "weights" else (_positive(asked), _positive(asked))
    fields: dict[str, int] = {}
    if resize == "crop":
        fields["resize_size"] = round(preset.resize_size * min(size) / min(preset.size))
    pre = Preprocess(
        image_size=size,
        resize=resize,
        interpolation=_interpolation(request.interpolation or preset.interpolation),
        mean=_triple("mean", request.mean or preset.mean),
        std=_triple("std", request.std or preset.std, positive=True),
        intensity=request.intensity,
        channels=request.channels,
        page=request.page,
        reader=marked_reader(request.reader),
        augment=request.augment,
        augment_seed=0 if request.augment.is_nothing else request.seed,
        **fields,
    )
    request.augment.check_size(*size)
    return pre, _notes(pre, preset)


def _notes(pre: Preprocess, preset: Preset) -> tuple[str, ...]:
    notes = [f"preprocessing: {pre.describe()} (from {preset.origin})"]
    if pre.image_size != preset.size:
        notes.append(
            f"image size {pre.image_size[0]}: the weights expect {preset.size[0]} "
            "(--image-size weights takes that)"
        )
    return tuple(notes)


def _positive(size: int | str) -> int:
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise UsageError(f"image size {size!r}; give a number of pixels above 0, or 'weights'")
    return size


def _interpolation(name: str) -> str:
    if name not in INTERPOLATIONS:
        raise unknown_name("interpolation", name, INTERPOLATIONS)
    return name


def _triple(what: str, values: tuple[float, ...], *, positive: bool = False) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != _CHANNELS or not all(map(isfinite, numbers)):
        raise UsageError(f"{what} {values!r}; give three numbers, one for each of R, G, B")
    if positive and min(numbers) <= 0:
        raise UsageError(f"{what} {values!r}; give three numbers above 0")
    return numbers
