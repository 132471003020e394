"""Backbones of torchvision: their weights enums, their files, their builders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import file_digest
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import torchvision
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from featx._types import Progress
from featx.backbones.assemble import Loaded, assemble
from featx.backbones.base import Backbone
from featx.backbones.cut import Cutter
from featx.backbones.families import Family, family_of
from featx.backbones.preprocess import PRESETS, Preset, prepare
from featx.backbones.request import BackboneRequest
from featx.backbones.weights import WeightsFile, fill, read_tensors
from featx.errors import WeightsError, WeightsNotFoundError, unknown_name

_HASH = re.compile(r"-([0-9a-f]{8,})\.")
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")
_BUILT_WITHOUT_INIT = ("googlenet", "inception_v3")


def names() -> list[str]:
    """Every classification model that this torchvision has."""
    return list(torchvision.models.list_models(module=torchvision.models))


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
    if name not in names():
        raise unknown_name("backbone", name, names(), "`featx backbones` lists them")
    family = family_of(name, layer_given=bool(request.layers))
    choice = choose_weights(name, request)
    preset = choose_preset(name, request.preprocess) or preset_of(choice.member)
    pre, notes = prepare(request, preset, family.size)
    path = None if choice.random else _path(choice, progress)
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


@dataclass(frozen=True)
class Choice:
    """Which weights are meant.

    Attributes
    ----------
    label
        What they are called.
    member
        Of the weights enum; its transforms are the weights' own.
    file
        That the user named, or None.
    random
        Whether they are untrained.
    """

    label: str
    member: Any
    file: Path | None = None
    random: bool = False


def choose_weights(name: str, request: BackboneRequest) -> Choice:
    """Decide which weights of torchvision backbone ``name`` are meant.

    A file takes the transforms of the enum member whose file has the same name, else those of
    the default member.

    Raises
    ------
    UnknownNameError
        If the weights are no member of the backbone's enum.
    """
    enum = torchvision.models.get_model_weights(name)
    if request.weights is None:
        return Choice(str(enum.DEFAULT), enum.DEFAULT)
    if request.weights == "random":
        return Choice(f"random (seed {request.seed})", enum.DEFAULT, random=True)
    if (file := request.weights_file) is not None:
        same = [member for member in enum if file_name(member) == file.name]
        return Choice(file.name, same[0] if same else enum.DEFAULT, file=file)
    member = _member(name, request.weights, "weights")
    return Choice(str(member), member)


def choose_preset(name: str, preprocess: str | None) -> Preset | None:
    """Give the preset that ``preprocess`` names: one of the table, or an enum's, or None."""
    if preprocess is None or preprocess in PRESETS:
        return None if preprocess is None else PRESETS[preprocess]
    model, slash, member = preprocess.rpartition("/")
    if slash and model not in names():
        raise unknown_name("backbone in --preprocess", model, names())
    return preset_of(_member(model or name, member, "preprocessing", [*PRESETS]))


def preset_of(member: Any) -> Preset:
    """Read the preprocessing of a member of a weights enum."""
    transforms = member.transforms()
    (size,), (resize_size,) = transforms.crop_size, transforms.resize_size
    return Preset(
        origin=str(member),
        size=(size, size),
        resize_size=resize_size,
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def file_name(member: Any) -> str:
    """Give the name of the file that a member of a weights enum is downloaded as."""
    return Path(urlparse(member.url).path).name


def _member(name: str, label: str, kind: str, others: list[str] | None = None) -> Any:
    members = {member.name: member for member in torchvision.models.get_model_weights(name)}
    found = members.get(label.rpartition(".")[2])
    if found is None:
        hint = f"{name} has {', '.join(members)}; or random, or a .pth or .safetensors file"
        if others:
            hint = f"{name} has {', '.join(members)}; presets: {', '.join(others)}"
        raise unknown_name(kind, label, members, hint)
    return found


def _path(choice: Choice, progress: Progress) -> Path:
    """Give the file of the weights, downloaded by torch.hub where it is not there yet."""
    if choice.file is not None:
        return choice.file
    path = Path(torch.hub.get_dir()) / "checkpoints" / file_name(choice.member)
    digest = found[1] if (found := _HASH.search(path.name)) else None
    if not path.is_file():
        progress.say(f"downloading {choice.member.url} to {path}")
        _download(choice.member.url, path, digest)
    elif digest is not None and not _sha256(path).startswith(digest):
        raise WeightsError(
            f"{path} is not the file of {choice.label}: its SHA-256 does not start with {digest}; "
            "delete it, so that it is downloaded again, or name it with --weights FILE"
        )
    return path


def _download(url: str, path: Path, digest: str | None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), digest, progress=True)
    except RuntimeError as error:
        raise WeightsError(f"{url} arrived damaged ({error}); try again") from error
    except (OSError, HTTPException) as error:
        raise WeightsNotFoundError(
            f"the pretrained weights {path.name} are not in {path.parent} and {url} cannot be "
            f"reached ({error}); put the file there, or name one with --weights FILE (or try "
            "things out with --weights random, untrained)"
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return file_digest(handle, "sha256").hexdigest()


def _build(name: str, family: Family, size: tuple[int, int], seed: int | None) -> nn.Module:
    """Build the model: with seeded values, or with parameters that hold none yet."""
    arguments: dict[str, Any] = {}
    if family.size_argument:
        arguments[family.size_argument] = size[0] if family.size_argument == "image_size" else size
    if name in _BUILT_WITHOUT_INIT:
        arguments["init_weights"] = seed is not None
    with seeded(seed) if seed is not None else _without_values():
        model: nn.Module = torchvision.models.get_model(name, weights=None, **arguments)
    return model.eval().requires_grad_(False)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's CPU generator as after ``torch.manual_seed(seed)``; then restore it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def _without_values() -> Iterator[None]:
    """Put parameters on the meta device as they are made: initialising them costs nothing."""

    def to_meta(_module: nn.Module, _name: str, parameter: Any) -> Any:
        if parameter is None:
            return None
        return nn.Parameter(parameter.detach().to("meta"), requires_grad=False)

    handle = register_module_parameter_registration_hook(to_meta)
    try:
        yield
    finally:
        handle.remove()


def _set_transform_input(
    model: nn.Module, family: Family, *, trained: bool
) -> tuple[tuple[str, Any], ...]:
    if not family.transform_input:
        return ()
    model.transform_input = trained  # type: ignore[assignment]
    return (("transform_input", trained),)


def _renamed(name: str, file: WeightsFile) -> WeightsFile:
    """Give the names of today to DenseNet files from when module names could hold dots."""
    if not name.startswith("densenet"):
        return file
    tensors = {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in file.tensors.items()}
    return replace(file, tensors=tensors)
