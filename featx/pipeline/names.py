"""Options of a file under the names of arguments, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx._types import JsonObject

_AS_WRITTEN = {"layers": "layer", "pools": "pool"}
"""Arguments of `featx.extract` that have another name on the command line."""
SPLIT = ("backbone", "layers", "pools", "features")
"""Arguments of which a text holds several, between commas."""


def named(step: Mapping[str, Any]) -> JsonObject:
    """Give options of `featx.extract` or `featx.fit` under the names of their arguments."""
    arguments = {said: name for name, said in _AS_WRITTEN.items()}
    found = {arguments.get(key, key.replace("-", "_")): value for key, value in step.items()}
    for name in SPLIT:
        if isinstance(found.get(name), str):
            found[name] = [piece.strip() for piece in found[name].split(",")]
    return found


def written(name: str) -> str:
    """Give an argument's name as a file has it."""
    return _AS_WRITTEN.get(name, name.replace("_", "-"))
