"""Backbones of one's own: ``module:callable``, a callable, or a `torch.nn.Module`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from featx._imports import folder_importable, imported
from featx._types import Progress
from featx.backbones.assemble import Loaded, assemble, seeded
from featx.backbones.base import Backbone
from featx.backbones.cut import Cutter, Whole
from featx.backbones.enums import choose_preset
from featx.backbones.preprocess import PRESETS, prepare
from featx.backbones.request import BackboneRequest
from featx.backbones.weights import fill, read_tensors, tensor_digest
from featx.errors import UnknownNameError, UsageError

OUTPUT = "output"
"""The default layer: what the module itself gives."""
_VERSIONED = ("torch", "torchvision", "timm")
_UNSAID = replace(
    PRESETS["imagenet"], origin="the imagenet preset, for want of --preprocess, --mean and --std"
)
_OF_MODULES = frozenset(vars(nn.Module()))
_PLAIN = (bool, int, float, str, bytes, type(None))


def load(request: BackboneRequest, progress: Progress) -> Backbone:  # noqa: ARG001  # as every adapter's
    """Build or copy the module, fill it where a weights file is named, and cut it.

    Its structure goes into the recipe: the classes, their settings and, for those outside torch,
    torchvision and timm, their source. So a changed ``forward`` is another recipe.

    Raises
    ------
    UnknownNameError
        If ``module:callable`` cannot be imported.
    UsageError
        If it gives no module.
    WeightsError
        If a weights file does not fit.
    LayerError
        If a layer is not there or cannot be cut at.
    """
    name, model = _module(request)
    model = model.cpu().eval().requires_grad_(False)
    preset = choose_preset(request.preprocess) or _UNSAID
    pre, notes = prepare(request, preset, preset.size[0])
    tensors = frozenset(n for n in model.state_dict() if not n.endswith("num_batches_tracked"))
    cutter = Cutter(model, OUTPUT, Whole(OUTPUT, model, tensors))
    layers = tuple(map(cutter.resolve, request.layers or (OUTPUT,)))
    file = request.weights_file
    if file is not None:
        needed = frozenset().union(*map(cutter.tensors, layers))
        content = read_tensors(file, request.weights_key, request.strip_prefix)
        notes += fill(model, content, needed)
    loaded = Loaded(
        name=name,
        cutter=cutter,
        layers=layers,
        preprocess=pre,
        random_seed=request.seed if request.weights == "random" else None,
        options=(("structure", structure(model)),),
        notes=notes,
        provenance={
            "weights": "the module's own" if request.weights is None else request.weights,
            "weights_file": None if file is None else str(file),
        },
    )
    return assemble(loaded, request)


def _module(request: BackboneRequest) -> tuple[str, nn.Module]:
    """Give the name and a module of our own: built under the seed, or a copy of the object."""
    if request.weights not in (None, "random") and request.weights_file is None:
        raise UsageError(
            f"weights {request.weights!r} for a module of your own; give a .pth or .safetensors "
            "file, or leave it out for what the module holds"
        )
    if isinstance(request.name, nn.Module):
        if request.weights == "random":
            raise UsageError(
                "weights 'random' with a module object; give a callable that builds it"
            )
        return type(request.name).__qualname__, copy.deepcopy(request.name)
    with folder_importable(), seeded(request.seed):
        build = _imported(request.name) if isinstance(request.name, str) else request.name
        made = build()
    name = request.name if isinstance(request.name, str) else _name_of(build)
    if not isinstance(made, nn.Module):
        raise UsageError(f"{name} gives a {type(made).__name__}; expected a torch.nn.Module")
    return name, made


def _name_of(build: Callable[[], Any]) -> str:
    module = getattr(build, "__module__", "")
    return f"{module}:{getattr(build, '__qualname__', type(build).__qualname__)}"


def _imported(name: str) -> Callable[[], Any]:
    try:
        found: Callable[[], Any] = imported(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownNameError(
            f"backbone {name!r} cannot be imported ({error}); give module:callable, the module in "
            f"{Path.cwd()} or installed"
        ) from error
    if not callable(found):
        raise UsageError(f"backbone {name!r} is a {type(found).__name__}; expected a callable")
    return found


def structure(model: nn.Module) -> str:
    """Give 32 hex digits that change when the network's code or settings do."""
    digest = blake2b(digest_size=16)
    for name, part in model.named_modules():
        cls = type(part)
        unsaved = part._non_persistent_buffers_set
        settings = sorted(
            (key, _setting(value))
            for key, value in (*vars(part).items(), *((k, part._buffers[k]) for k in unsaved))
            if key not in _OF_MODULES
        )
        known = cls.__module__.partition(".")[0] in _VERSIONED
        texts = (
            name,
            f"{cls.__module__}.{cls.__qualname__}",
            part.extra_repr(),
            repr(settings),
            part.code if isinstance(part, fx.GraphModule) else "" if known else _source(cls),
        )
        digest.update("\0".join(texts).encode())
    return digest.hexdigest()


def _setting(value: Any) -> str:
    """Give a text that changes with numbers, texts, arrays and collections of those; else ``""``.

    What else an attribute may hold is a module of its own, or has no text that lasts.
    """
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, torch.Tensor):
        return tensor_digest("", value).hex()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return _setting(torch.from_numpy(np.ascontiguousarray(value)))
    if isinstance(value, Mapping):
        value = list(value.items())
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_setting, value))}]"
    return ""


def _source(cls: type) -> str:
    """Give the source of a class, or its methods' bytecode where it was typed at a prompt."""
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):
        codes = (getattr(method, "__code__", None) for _, method in sorted(vars(cls).items()))
        return "".join(_code(code) for code in codes if code is not None)


def _code(code: CodeType) -> str:
    consts = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()}{code.co_names}{consts}"
