"""What a person asks for: a backbone, where to cut it, its weights, how images are prepared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from featx._types import JsonObject
from featx.augmentation import NO_AUGMENTATION, Augmentation
from featx.errors import UsageError
from featx.recipe import Numerics, Resize, StoredDtype

if TYPE_CHECKING:
    from torch import nn

WEIGHT_FILES = (".pth", ".pt", ".safetensors", ".bin")
Name: TypeAlias = "str | nn.Module | Callable[[], nn.Module]"
Kind: TypeAlias = Literal["torchvision", "timm", "custom"]


@dataclass(frozen=True)
class BackboneRequest:
    """A backbone as asked for; what is left at its default is decided by the backbone.

    Attributes
    ----------
    name
        ``vgg16``, ``timm/NAME``, ``module:callable`` (called with no arguments), a callable or a
        `torch.nn.Module`.
    layers, poolings
        Nodes to cut at and what to make of their maps; empty for the backbone's default.
    image_size
        In pixels; ``weights`` for the size that the weights were trained for.
    resize
        See `featx.recipe.Preprocess`.
    weights
        None for pretrained ones, ``random``, the name of an enum member, or a file.
    weights_key
        Which part of the file holds the tensors, for example ``teacher``; dots go deeper.
    strip_prefix
        Taken off the tensors' names, for example ``module.``.
    preprocess
        An enum (``vgg16/IMAGENET1K_V1``, ``IMAGENET1K_V1``) or a preset (``imagenet``, ``clip``,
        ``half``) in place of the weights' own.
    mean, std, interpolation
        In place of the preset's.
    seed
        Of random weights, and of varied views.
    intensity, channels, page, reader
        How to read deep images; see `featx.recipe.Preprocess`.
    dtype, numerics
        See `featx.recipe.Recipe`.
    augment
        How views of an image are varied; see `featx.recipe.Preprocess`.
    """

    name: Name
    layers: tuple[str, ...] = ()
    poolings: tuple[str, ...] = ()
    image_size: int | Literal["weights"] | None = None
    resize: Resize | None = None
    weights: str | None = None
    weights_key: str | None = None
    strip_prefix: str | None = None
    preprocess: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str | None = None
    seed: int = 0
    intensity: str = ""
    channels: str = ""
    page: str = ""
    reader: str = ""
    dtype: StoredDtype = "float16"
    numerics: Numerics = "certified"
    augment: Augmentation = NO_AUGMENTATION

    @property
    def kind(self) -> Kind:
        """Which adapter loads it."""
        if isinstance(self.name, str) and self.name.startswith("timm/"):
            return "timm"
        return "torchvision" if isinstance(self.name, str) and ":" not in self.name else "custom"

    @property
    def weights_file(self) -> Path | None:
        """The weights file that was named, if one was."""
        if self.weights is None or not self.weights.lower().endswith(WEIGHT_FILES):
            return None
        return Path(self.weights).expanduser().absolute()

    def to_json(self) -> JsonObject:
        """Give what rebuilds this request, fields at their default left out.

        A weights file is named by its absolute path; the name of a module object is None.
        """
        out: JsonObject = {"name": self.name if isinstance(self.name, str) else None}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if f.name != "name" and value != f.default:
                out[f.name] = list(value) if isinstance(value, tuple) else value
        if "augment" in out:
            out["augment"] = self.augment.to_json()
        if (file := self.weights_file) is not None:
            out["weights"] = str(file)
        return out

    @classmethod
    def from_json(cls, value: JsonObject, name: Name | None = None) -> BackboneRequest:
        """Rebuild the request that `to_json` gave.

        Parameters
        ----------
        value
            What `to_json` gave.
        name
            The module, where it was an object and not a name.

        Raises
        ------
        UsageError
            If the backbone was a Python object and ``name`` is not given.
        """
        fields: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in value.items()
        }
        if "augment" in fields:
            fields["augment"] = Augmentation.from_json(fields["augment"])
        chosen = fields.pop("name", None) if name is None else name
        fields.pop("name", None)
        if chosen is None:
            raise UsageError(
                "the backbone was a module object of a Python session; give it again with "
                "backbone=MODULE, or name it as module:callable next time"
            )
        return cls(name=chosen, **fields)
