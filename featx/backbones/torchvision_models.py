"""Backbones of torchvision: built, filled with their weights, cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import torchvision
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from featx._types import Progress
from featx.backbones import enums
from featx.backbones.assemble import Loaded, assemble, seeded
from featx.backbones.base import Backbone
from featx.backbones.cut import Cutter
from featx.backbones.families import Family, family_of
from featx.backbones.hub import pretrained_file
from featx.backbones.preprocess import prepare
from featx.backbones.request import BackboneRequest
from featx.backbones.weights import WeightsFile, fill, read_tensors
from featx.errors import UsageError, unknown_name

_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")
_BUILT_WITHOUT_INIT = ("googlenet", "inception_v3")


def load(request: BackboneRequest, progress: Progress) -> Backbone:
    """Build, fill and cut a torchvision backbone.

    Raises
    ------
    UnknownNameError
        If torchvision has no such model, or the model no such weights.
    WeightsNotFoundError
        If the weights are neither on disk nor within reach.
    WeightsError
        If they do not fit.
    LayerError
        If a layer is not there or cannot be cut at.
    """
    name = str(request.name)
    if name not in enums.names():
        raise unknown_name("backbone", name, enums.names(), "`featx backbones` lists them")
    family = family_of(name, layer_given=bool(request.layers))
    choice = enums.choose_weights(name, request)
    preset = enums.choose_preset(request.preprocess, name) or enums.preset_of(choice.member)
    pre, notes = prepare(request, preset, family.size)
    if choice.note is not None and request.preprocess is None:
        notes += (choice.note,)
    path = choice.file
    if path is None and not choice.random:
        path = pretrained_file(choice.member.url, enums.file_name(choice.member), progress)
    model = _build(name, family, pre.image_size, request.seed if choice.random else None)
    options = _set_transform_input(model, family, trained=not choice.random)
    cutter = Cutter(model, family.layer, channels_last=family.channels_last)
    layers = tuple(map(cutter.resolve, request.layers or (family.layer,)))
    if path is not None:
        file = read_tensors(path, request.weights_key, request.strip_prefix)
        needed = frozenset().union(*map(cutter.tensors, layers))
        notes += fill(model, _renamed(name, file), needed)
    loaded = Loaded(
        name=name,
        cutter=cutter,
        layers=layers,
        map_pooling=family.pooling,
        class_token=name.startswith("vit"),
        preprocess=pre,
        random_seed=request.seed if choice.random else None,
        options=options,
        notes=notes,
        provenance={
            "weights": choice.label,
            "weights_file": None if path is None else str(path),
            "torchvision": torchvision.__version__,
        },
    )
    return assemble(loaded, request)


def _build(name: str, family: Family, size: tuple[int, int], seed: int | None) -> nn.Module:
    """Build the model: with seeded values, or with parameters that hold none yet."""
    arguments: dict[str, Any] = {}
    if family.size_argument:
        arguments[family.size_argument] = size[0] if family.size_argument == "image_size" else size
    if name in _BUILT_WITHOUT_INIT:
        arguments["init_weights"] = seed is not None
    try:
        with seeded(seed) if seed is not None else _without_values():
            model: nn.Module = torchvision.models.get_model(name, weights=None, **arguments)
    except (AssertionError, ValueError) as error:
        raise UsageError(
            f"{name} cannot be built for images of {size[0]}x{size[1]} pixels ({error}); "
            "try --image-size weights"
        ) from error
    return model.eval().requires_grad_(False)


class _NothingToChange(TorchFunctionMode):
    """Leaves tensors without values as they are where they would be changed in place.

    torch would change them in Python, and import its compiler for it: seconds, for nothing.
    """

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        tensor = args[0] if args else kwargs.get("tensor")  # as functions of torch.nn.init have it
        in_place = name.endswith("_") and not name.endswith("__")
        if in_place and isinstance(tensor, torch.Tensor) and tensor.is_meta:
            return tensor
        return func(*args, **kwargs)


@contextmanager
def _without_values() -> Iterator[None]:
    """Put parameters on the meta device as they are made: initialising them costs nothing."""

    def to_meta(_module: nn.Module, _name: str, parameter: Any) -> Any:
        if parameter is None:
            return None
        return nn.Parameter(parameter.detach().to("meta"), requires_grad=False)

    handle = register_module_parameter_registration_hook(to_meta)
    try:
        with _NothingToChange():
            yield
    finally:
        handle.remove()


def _set_transform_input(
    model: nn.Module, family: Family, *, trained: bool
) -> tuple[tuple[str, Any], ...]:
    if not family.transform_input:
        return ()
    model.transform_input = trained  # type: ignore[assignment]  # no module, but a flag of Inception's
    return (("transform_input", trained),)


def _renamed(name: str, file: WeightsFile) -> WeightsFile:
    """Give the names of today to DenseNet files from when module names could hold dots."""
    if not name.startswith("densenet"):
        return file
    tensors = {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in file.tensors.items()}
    return replace(file, tensors=tensors)
