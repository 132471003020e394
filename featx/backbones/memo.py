"""Resolve a request to its recipes, from a memo of an earlier time where nothing has changed.

Reading the memo needs no torch, so that a run with nothing to compute starts at once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from featx._files import side_dir, write_json
from featx._imports import marked_reader
from featx._objects import Place
from featx._types import JsonObject, Progress
from featx.backbones.base import Backbone, Filled
from featx.backbones.load import load_backbone
from featx.backbones.request import BackboneRequest
from featx.errors import CacheWriteError, FeatxError
from featx.recipe import Recipe

_SCHEMA = 1
"""Raise it when the same request begins to mean another recipe."""
_PACKAGES = {
    "torchvision": ("torch", "torchvision"),
    "timm": ("torch", "torchvision", "timm"),
}


_RACY_NS = 2_000_000_000
"""The coarsest time stamp of a file system that is in use (FAT): two seconds."""


@dataclass(frozen=True)
class Resolved:
    """What a request means.

    Attributes
    ----------
    filled
        (recipe, map shape, length of the vector) for each output and pooling.
    notes
        Lines for the user.
    provenance
        Where the weights came from.
    backbone
        The network, if it had to be loaded for this; None where a memo answered.
    """

    filled: tuple[Filled, ...]
    notes: tuple[str, ...] = ()
    provenance: JsonObject | None = None
    backbone: Backbone | None = None

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The recipes alone."""
        return tuple(recipe for recipe, *_ in self.filled)


def resolve(
    request: BackboneRequest, cache: Place | None = None, progress: Progress | None = None
) -> Resolved:
    """Give the recipes that a request means.

    A memo in ``cache/memo`` holds for the same request, the same weights file (path, size, time,
    inode) and the same versions of torch, torchvision and timm. Backbones given as Python code
    have none, for their code may change; nor do downloads that timm looks after.

    Raises
    ------
    FeatxError
        As `featx.backbones.load_backbone`.
    """
    path = None if cache is None else _memo_path(request, cache)
    if path is not None and (found := _recall(path)) is not None:
        return found
    started_ns = time.time_ns()
    backbone = load_backbone(request, progress)
    resolved = Resolved(tuple(backbone.recipes()), backbone.notes, backbone.provenance, backbone)
    if path is not None:
        _remember(path, resolved, started_ns)
    return resolved


def _memo_path(request: BackboneRequest, cache: Place) -> Path | None:
    if request.kind == "custom" or (request.kind == "timm" and _left_to_timm(request)):
        return None
    key = {
        "schema": _SCHEMA,
        "request": request.to_json(),
        "reader": marked_reader(request.reader),
        "hub": _hub_folder(),
        "versions": {name: _version(name) for name in (*_PACKAGES[request.kind], "featx")},
    }
    text = json.dumps(key, sort_keys=True)
    return side_dir(cache) / "memo" / f"{blake2b(text.encode(), digest_size=16).hexdigest()}.json"


def _left_to_timm(request: BackboneRequest) -> bool:
    return request.weights_file is None and request.weights != "random"


def _hub_folder() -> str:
    """Where torch.hub keeps its files, told without importing torch."""
    if "torch" in sys.modules:
        return str(sys.modules["torch"].hub.get_dir())
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    return str(Path(os.environ.get("TORCH_HOME", home)).expanduser() / "hub")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _token(file: str | None) -> list[int] | None:
    """(size, time, inode) of a weights file; None where there is no file."""
    if file is None:
        return None
    stat = Path(file).stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _recall(path: Path) -> Resolved | None:
    """Read a memo; None where there is none, it is damaged, or its weights file has changed."""
    try:
        memo = json.loads(path.read_text(encoding="utf-8"))
        if memo["token"] != _token(memo["provenance"]["weights_file"]):
            return None
        filled = tuple(
            (Recipe.from_json(recipe), tuple(map_shape), int(dim))
            for recipe, map_shape, dim in memo["filled"]
        )
        return Resolved(filled, tuple(memo["notes"]), memo["provenance"])
    except (OSError, ValueError, KeyError, TypeError, FeatxError):
        return None


def _remember(path: Path, resolved: Resolved, started_ns: int) -> None:
    """Write a memo, unless the weights file changed while it was read or just before.

    Its token would then be that of other bytes, or those bytes could change once more without the
    token showing it.
    """
    provenance = resolved.provenance or {}
    token = _token(provenance.get("weights_file"))
    if token is not None and token[1] > started_ns - _RACY_NS:
        return
    memo = {
        "token": token,
        "filled": [[r.to_json(), list(shape), dim] for r, shape, dim in resolved.filled],
        "notes": list(resolved.notes),
        "provenance": provenance,
    }
    try:
        write_json(path, memo)
    except CacheWriteError:
        # Only time is lost without it; who needs to write vectors is told by the store.
        return
