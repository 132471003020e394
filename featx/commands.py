"""Command lines that repeat what was done."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx._types import JsonObject
    from featx.features import Features
    from featx.features.kind import Kind

_LISTS = ("features", "target", "missing", "mix", "layer", "mean", "std")
"""Options that take several values, with commas between them."""

_REQUEST = (
    *("image_size", "resize", "weights", "weights_key", "strip_prefix", "preprocess", "mean"),
    *("std", "interpolation", "seed", "intensity", "channels", "page", "reader", "dtype"),
)
"""What of a backbone's request is an option of the same name."""


def command(arguments: JsonObject, *first: str) -> str:
    """Give the command line that repeats a fit, or what begins with other words."""
    return shlex.join([*(first or ("featx", "fit")), *_options(arguments)])


def _options(arguments: JsonObject) -> list[str]:
    words: list[str] = []
    for name, value in arguments.items():
        option = "--" + name.replace("_", "-")
        if name == "search":
            words += [] if value else ["--no-search"]
        elif isinstance(value, bool):
            words += [option] if value else []
        elif name in _LISTS:
            many = value if isinstance(value, list | tuple) else [] if value is None else [value]
            words += [option, ",".join(_escaped(item) for item in many)] if many else []
        elif isinstance(value, dict):
            for key, choice in value.items():
                many = choice if name == "grid" else [choice]
                words += [option, f"{key}={','.join(map(_word, many))}"]
        elif value is not None:
            words += [option, str(value)]
    return words


def _escaped(value: Any) -> str:
    return str(value).replace(",", r"\,")


def _word(value: Any) -> str:
    """Write a parameter as `featx.heads.parse_params` reads it: sizes as ``100x50``."""
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def data_words(data: Any, options: JsonObject) -> str:
    """Say how data were named on the command line, or would be; empty for what has no path.

    Parameters
    ----------
    options
        Those of `featx.extract` that say which rows are meant.
    """
    given = list(data) if isinstance(data, list | tuple) else [] if data is None else [data]
    named = [*given, *(value for value in options.values() if value is not None)]
    if not all(isinstance(value, str | int | os.PathLike) for value in named):
        return ""
    return shlex.join([*map(os.fspath, given), *_options(options)])


def extract_commands(features: Features) -> list[str]:
    """Give the commands that make the vectors of a view again; none where that is not known."""
    asked = features.manifest.asked
    kinds = [_kind_words(kind) for kind in features.kinds]
    if not all([*asked, *kinds]):
        return []
    return [f"featx extract {data} {kind}" for kind in kinds for data in asked]


def _kind_words(kind: Kind) -> str:
    """Say what was asked of a backbone; empty where it was an object of a Python session."""
    request, recipe = kind.provenance.get("request") or {}, kind.recipe
    if not isinstance(request.get("name"), str):
        return ""
    given: JsonObject = {"backbone": request["name"]}
    if request.get("layers"):
        given["layer"] = recipe.layer
    if request.get("poolings"):
        given["pool"] = recipe.pooling
    if recipe.numerics == "reference":
        given |= {"precision": "fp32", "decoder": "pil"}
    asked = {name: request[name] for name in _REQUEST if name in request}
    return shlex.join(_options(given | asked))
