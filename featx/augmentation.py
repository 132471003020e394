"""How images are varied at random: a value of a few numbers, its names, and its file.

What an augmentation does to pixels is in `featx.augment`. The operations run in the order of the
fields below, which is that of the recipes they come from.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from featx._types import JsonObject, PathLike
from featx.errors import UsageError, unknown_name

_Part: TypeAlias = "Augmentation | Jitter | Affine | Sharpness"

_RANGES: dict[str, tuple[float, float]] = {
    "hflip": (0, 1),
    "jitter.brightness": (0, 100),
    "jitter.contrast": (0, 100),
    "jitter.saturation": (0, 100),
    "jitter.hue": (0, 0.5),
    "rotation": (0, 180),
    "affine.degrees": (0, 180),
    "affine.translate": (0, 1),
    "affine.scale": (0.01, 100),
    "affine.shear": (0, 80),
    "crop": (0, 2**16),
    "sharpness.factor": (0, 100),
    "sharpness.probability": (0, 1),
    "grayscale": (0, 1),
}
"""Least and greatest value of each number; a pair's are those of both."""


def _settle(part: _Part, prefix: str) -> None:
    """Check the numbers of a part, and write each in one way: 1 and 1.0 are one identity."""
    for f in dataclasses.fields(part):
        value = getattr(part, f.name)
        if dataclasses.is_dataclass(f.default):
            if not isinstance(value, type(f.default)):
                raise UsageError(f"{f.name} is {value!r}; expected {type(f.default).__name__}")
            continue
        name = prefix + f.name
        if isinstance(f.default, tuple):
            if not isinstance(value, list | tuple) or len(value) != len(f.default):
                raise UsageError(f"{name} is {value!r}; expected {len(f.default)} numbers")
            settled: Any = tuple(_number(name, one, float) for one in value)
        else:
            settled = _number(name, value, type(f.default))
        object.__setattr__(part, f.name, settled)


def _number(name: str, value: Any, kind: type) -> float:
    """Give a number within its range, as ``kind``: float, or int where it must be whole."""
    low, high = _RANGES[name]
    word = "a whole number" if kind is int else "a number"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not (math.isfinite(value) and low <= value <= high) or kind(value) != value:
        raise UsageError(f"{name} is {value!r}; expected {word} from {low:g} to {high:g}")
    out: float = kind(value) + kind(0)  # -0.0 is written 0.0
    return out


@dataclass(frozen=True)
class Jitter:
    """Strengths of random changes of colour, applied in random order.

    Attributes
    ----------
    brightness, contrast, saturation
        A factor is drawn from ``1 - value`` (at least 0) to ``1 + value``.
    hue
        A shift is drawn from ``-value`` to ``value``; 1 is the whole circle of colours, so 0.5 is
        the most there is.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        _settle(self, "jitter.")


@dataclass(frozen=True)
class Affine:
    """A random affine map about the centre.

    Attributes
    ----------
    degrees
        The angle is drawn from ``-degrees`` to ``degrees``.
    translate
        Largest shifts along x and y, as fractions of width and height.
    scale
        The factor is drawn from the first to the second.
    shear
        The shear along x is drawn from ``-shear`` to ``shear`` degrees.
    """

    degrees: float = 0.0
    translate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0

    def __post_init__(self) -> None:
        _settle(self, "affine.")
        if self.scale[0] > self.scale[1]:
            raise UsageError(
                f"affine.scale is {list(self.scale)}; expected the smaller factor first"
            )


@dataclass(frozen=True)
class Sharpness:
    """A change of sharpness that some images get.

    Attributes
    ----------
    factor
        0 blurs, 1 changes nothing, 2 sharpens by a factor of 2.
    probability
        With which an image gets it.
    """

    factor: float = 1.0
    probability: float = 0.0

    def __post_init__(self) -> None:
        _settle(self, "sharpness.")
        if (self.factor == 1) != (self.probability == 0):
            raise UsageError(
                f"sharpness has factor {self.factor:g} and probability {self.probability:g}, which "
                "changes nothing; give a factor other than 1 and a probability above 0"
            )


@dataclass(frozen=True)
class Augmentation:
    """Random variations of an image as the network sees it; the default leaves it as it is.

    Attributes
    ----------
    hflip
        Probability that left and right are swapped.
    jitter
        See `Jitter`.
    rotation
        The angle is drawn from ``-rotation`` to ``rotation`` degrees; corners turn black.
    affine
        See `Affine`; what comes from outside the image is black.
    crop
        Shorter side in pixels of a part at a random place, which is then brought back to the size
        of the whole; 0 for none.
    sharpness
        See `Sharpness`.
    grayscale
        Probability that colours are lost.

    Raises
    ------
    UsageError
        If a value is out of its range; names the field and the range.
    """

    hflip: float = 0.0
    jitter: Jitter = Jitter()
    rotation: float = 0.0
    affine: Affine = Affine()
    crop: int = 0
    sharpness: Sharpness = Sharpness()
    grayscale: float = 0.0

    def __post_init__(self) -> None:
        _settle(self, "")

    @property
    def is_nothing(self) -> bool:
        """Whether it leaves every image as it is."""
        return self == NO_AUGMENTATION

    def check_size(self, height: int, width: int) -> None:
        """Raise `UsageError` if images of this size in pixels are too small for the crop."""
        if self.crop > min(height, width):
            raise UsageError(
                f"crop is {self.crop} pixels, and the network sees images of {height} x {width}; "
                f"expected a crop of at most {min(height, width)}: write an augmentation of your "
                "own with a smaller one (a TOML file), or take larger images (--image-size)"
            )

    def describe(self) -> str:
        """Say in one line what it does, for example ``hflip 0.5, rotation 30``."""
        return _words(self) or "nothing"

    def to_json(self) -> JsonObject:
        """Give it as a JSON object, fields at their default left out."""
        return _without_defaults(self)

    @classmethod
    def from_json(cls, value: JsonObject) -> Augmentation:
        """Rebuild the augmentation that `to_json` gave, or that a person wrote so.

        Raises
        ------
        UnknownNameError
            If a field is not known; the nearest ones are given.
        UsageError
            If a value is not of the right type, or out of its range.
        """
        return cls(**_fields(cls, value, ""))


NO_AUGMENTATION = Augmentation()
PRESETS: dict[str, Augmentation] = {
    "light": Augmentation(hflip=0.5),
    "faces": Augmentation(hflip=0.5, jitter=Jitter(0.1, 0.1, 0.1, 0.1), rotation=30),
    "cartoons": Augmentation(
        hflip=0.1,
        affine=Affine(degrees=10),
        crop=200,
        sharpness=Sharpness(factor=2, probability=0.1),
        grayscale=0.1,
    ),
}


def read_augmentation(given: Augmentation | PathLike) -> Augmentation:
    """Give the augmentation of a preset's name or of a TOML file; one that is made stays itself.

    Raises
    ------
    UnknownNameError
        If it is neither, or the file names a field that there is not.
    UsageError
        If the file cannot be read, or a value is out of its range.
    """
    if isinstance(given, Augmentation):
        return given
    if (preset := PRESETS.get(str(given))) is not None:
        return preset
    path = Path(given).expanduser()
    if path.suffix != ".toml" and not path.is_file():
        raise unknown_name(
            "augmentation",
            str(given),
            PRESETS,
            f"known: {', '.join(sorted(PRESETS))}, or a TOML file with lines such as hflip = 0.5",
        )
    try:
        return Augmentation.from_json(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"augmentation {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"augmentation {path} is no TOML: {error}") from error
    except UsageError as error:
        raise type(error)(f"augmentation {path}: {error}") from error


_PARTS: dict[str, type[Any]] = {"jitter": Jitter, "affine": Affine, "sharpness": Sharpness}


def _without_defaults(part: _Part) -> JsonObject:
    out: JsonObject = {}
    for f in dataclasses.fields(part):
        value = getattr(part, f.name)
        if value == f.default:
            continue
        if dataclasses.is_dataclass(f.default):
            out[f.name] = _without_defaults(value)
        else:
            out[f.name] = list(value) if isinstance(value, tuple) else value
    return out


def _fields(cls: type, value: Any, prefix: str) -> JsonObject:
    """Give the arguments of a part as a person wrote it."""
    known = {f.name: f.default for f in dataclasses.fields(cls)}
    if not isinstance(value, dict):
        raise UsageError(
            f"{prefix.rstrip('.')} is {value!r}; expected a table of {', '.join(known)}, such as "
            f"{{ {next(iter(known))} = 0.1 }}"
        )
    out: JsonObject = {}
    for name, item in value.items():
        if name not in known:
            raise unknown_name("augmentation field", prefix + name, [prefix + k for k in known])
        part = _PARTS.get(name)
        out[name] = item if part is None else part(**_fields(part, item, f"{name}."))
    return out


def _words(part: _Part) -> str:
    """Say each field that is not at its default, those of a part of it in brackets."""
    words = []
    for f in dataclasses.fields(part):
        value = getattr(part, f.name)
        if value == f.default:
            continue
        if dataclasses.is_dataclass(f.default):
            words.append(f"{f.name} ({_words(value)})")
        elif isinstance(value, tuple):
            words.append(f"{f.name} {' '.join(f'{one:g}' for one in value)}")
        else:
            words.append(f"{f.name} {value:g}")
    return ", ".join(words)
