"""Read what options hold: lists, numbers, names with values, sizes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMA = re.compile(r"(?<!\\),")


def names(values: Sequence[str] | None) -> tuple[str, ...]:
    r"""Split what was repeated or joined by commas; ``\,`` is a comma inside a name."""
    pieces = [piece for value in values or () for piece in _COMMA.split(value)]
    return tuple(piece.replace(r"\,", ",").strip() for piece in pieces if piece.strip())


def numbers(option: str, values: Sequence[str] | None) -> tuple[float, ...] | None:
    """Split likewise, and read each piece as a number; None where the option was not given.

    Raises
    ------
    UsageError
        If a piece is no number.
    """
    pieces = names(values)
    try:
        return tuple(float(piece) for piece in pieces) or None
    except ValueError as error:
        got = ",".join(pieces)
        raise UsageError(
            f"{option} is {got!r}; expected numbers, for example {option} 0.485,0.456,0.406"
        ) from error


def pairs(option: str, values: Sequence[str] | None) -> tuple[str, ...]:
    """Split ``NAME=VALUE`` texts; a piece without ``=`` belongs to the value before it.

    ``C=0.01,0.1,1`` is one pair, ``C=1,gamma=scale`` two.

    Raises
    ------
    UsageError
        If there is a value with no name before it, or a name twice.
    """
    found: dict[str, str] = {}
    for value in values or ():
        name = ""
        for piece in value.split(","):
            key, equals, rest = piece.partition("=")
            if equals and key.strip() in found:
                raise UsageError(f"{option} names {key.strip()!r} twice; give it once")
            if equals and key.strip():
                name = key.strip()
                found[name] = rest.strip()
            elif name:
                found[name] += f",{piece.strip()}"
            else:
                raise UsageError(f"{option} is {value!r}; expected NAME=VALUE, for example C=1")
    return tuple(f"{name}={value}" for name, value in found.items())


def weights(values: Sequence[str] | None) -> str | dict[str, str] | None:
    """Read ``--weights`` of a model: one FILE, or a NAME=FILE for each backbone that is meant.

    Raises
    ------
    UsageError
        If there are several, and one has no name.
    """
    if not values:
        return None
    named = [value.partition("=") for value in values]
    if len(values) == 1 and (not named[0][1] or Path(values[0]).exists()):
        return values[0]
    if not all(name and file for name, _, file in named):
        raise UsageError(
            f"--weights is {' and '.join(values)}; expected one FILE, or NAME=FILE for each "
            "backbone, for example --weights vgg16=vgg16.pth --weights resnet50=resnet50.pth"
        )
    return {name: file for name, _, file in named}


def image_size(text: str | None) -> int | Literal["weights"] | None:
    """Read ``--image-size``.

    Raises
    ------
    UsageError
        If it is neither a number of pixels nor the word ``weights``.
    """
    if text is None:
        return None
    if text == "weights":
        return "weights"
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UsageError(
        f"--image-size is {text!r}; expected a number of pixels, for example 224, or the word "
        "weights for the size that the weights were trained at"
    )


def max_failed(text: str) -> int | str:
    """Read ``--max-failed``.

    Raises
    ------
    UsageError
        If it is neither a number of images nor a share of them.
    """
    if text.isdecimal():
        return int(text)
    if re.fullmatch(r"\d+(\.\d+)?%", text) and float(text[:-1]) <= 100:
        return text
    raise UsageError(
        f"--max-failed is {text!r}; expected a number of images or a share, for example 20 or 10%"
    )


def one_or_all(data: Sequence[str] | None) -> str | list[str] | None:
    """Give the one DATA that was named, several as a list, none as None."""
    if not data:
        return None
    return data[0] if len(data) == 1 else list(data)
