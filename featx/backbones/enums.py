"""torchvision's weights enums: which weights are meant, and the preprocessing they bring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torchvision

from featx.backbones.hub import published_digest, sha256
from featx.backbones.preprocess import PRESETS, Preset
from featx.backbones.request import BackboneRequest
from featx.errors import unknown_name


def names() -> list[str]:
    """Every classification model that this torchvision has."""
    return list(torchvision.models.list_models(module=torchvision.models))


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
    note
        What is assumed of a file that was published under no known digest.
    """

    label: str
    member: Any
    file: Path | None = None
    random: bool = False
    note: str | None = None


def choose_weights(name: str, request: BackboneRequest) -> Choice:
    """Decide which weights of torchvision backbone ``name`` are meant.

    A file takes the transforms of the enum member that was published as the same bytes, whatever
    its name; else those of the default member, and the note says that this is assumed.

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
        return _of_file(file, enum)
    member = _member(name, request.weights, "weights")
    return Choice(str(member), member)


def _of_file(file: Path, enum: Any) -> Choice:
    digest = sha256(file) if file.is_file() else ""
    for member in enum:
        published = published_digest(file_name(member))
        if published is not None and digest.startswith(published):
            return Choice(file.name, member, file=file)
    note = (
        f"{file.name} is no file that torchvision has published for this backbone: the "
        f"preprocessing of {enum.DEFAULT} is assumed; --preprocess says otherwise"
    )
    return Choice(file.name, enum.DEFAULT, file=file, note=note)


def choose_preset(preprocess: str | None, name: str = "") -> Preset | None:
    """Give the preset that ``preprocess`` names: one of the table, or an enum's; None for None.

    Parameters
    ----------
    preprocess
        ``imagenet``, ``clip``, ``half``, ``vgg16/IMAGENET1K_V1``, or a member's name alone.
    name
        The torchvision backbone whose enum has the member, where it comes alone.

    Raises
    ------
    UnknownNameError
        If there is no such preset, backbone or member.
    """
    if preprocess is None or preprocess in PRESETS:
        return None if preprocess is None else PRESETS[preprocess]
    model, _, label = preprocess.rpartition("/")
    if not (model or name):
        hint = f"presets: {', '.join(PRESETS)}; or BACKBONE/MEMBER, as vgg16/IMAGENET1K_V1"
        raise unknown_name("preprocessing", preprocess, PRESETS, hint)
    if model and model not in names():
        raise unknown_name("backbone in --preprocess", model, names())
    return preset_of(_member(model or name, label, "preprocessing", [*PRESETS]))


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


def member_names(name: str) -> list[str]:
    """Give the names of the weights of a torchvision backbone, the default first."""
    enum = torchvision.models.get_model_weights(name)
    return sorted((member.name for member in enum), key=lambda n: n != enum.DEFAULT.name)


def _member(name: str, label: str, kind: str, others: list[str] | None = None) -> Any:
    members = {member.name: member for member in torchvision.models.get_model_weights(name)}
    found = members.get(label.rpartition(".")[2])
    if found is None:
        hint = f"{name} has {', '.join(members)}; or random, or a .pth or .safetensors file"
        if others:
            hint = f"{name} has {', '.join(members)}; presets: {', '.join(others)}"
        raise unknown_name(kind, label, members, hint)
    return found
