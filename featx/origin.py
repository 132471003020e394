"""What a result was made from: what repeats it, and what it cannot be repeated without."""

from __future__ import annotations

import importlib.metadata
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from featx.commands import command, extract_commands
from featx.features import describe

if TYPE_CHECKING:
    from featx._types import JsonObject
    from featx.features import Features
    from featx.problem import Problem

_TRAINERS = ("torch", "skorch")


def origin(
    features: Features, problem: Problem, head: str, arguments: JsonObject, *first: str
) -> JsonObject:
    """Say it of what was made of a view, as ``result.json`` holds it.

    Parameters
    ----------
    arguments
        The options of the command that repeats it.
    first
        Its first words; ``featx fit`` unless given.
    """
    on_features = arguments.get("features") is not None
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "name": features.name,
            "source": features.manifest.source,
            "manifest": features.manifest.hash,
            "left_out": problem.left_out,
        },
        "features": describe(features),
        "seed": arguments["seed"],
        "versions": versions(head),
        "extract_commands": extract_commands(features) if on_features else [],
        "command": command(arguments, *first),
    }


def versions(head: str) -> dict[str, str]:
    """Give the versions that decide a result; of a network, those that trained it, too."""
    names = ("featx", "numpy", "scikit-learn")
    trainers = _TRAINERS if head in ("nn", "finetune") else ()
    return {"python": platform.python_version()} | {
        name: _version(name) for name in (*names, *trainers)
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
