"""Everything that decides what a vector is, and its identity.

The identity of a recipe is the BLAKE2b-128 digest of its canonical JSON: keys sorted, no spaces,
fields at their default left out, so that a field added later keeps the caches that exist.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, TypeAlias, get_args

from featx._types import JsonObject
from featx.augmentation import NO_AUGMENTATION, Augmentation
from featx.errors import FeatxError, RecipeMismatchError

Resize: TypeAlias = Literal["crop", "squash", "pad", "none"]
RESIZES: tuple[Resize, ...] = get_args(Resize)
INTERPOLATIONS = ("bicubic", "bilinear", "box", "hamming", "lanczos", "nearest")
Numerics: TypeAlias = Literal["reference", "certified"]
StoredDtype: TypeAlias = Literal["float16", "float32"]


@dataclass(frozen=True)
class Preprocess:
    """How an image's bytes become the array that the backbone sees.

    Attributes
    ----------
    image_size
        (height, width) in pixels of what the backbone sees.
    resize
        ``crop``: the shorter side to ``resize_size``, then the centre; ``squash``: both sides,
        proportions lost; ``pad``: the longer side, the rest filled with ``mean``; ``none``: the
        image must have ``image_size`` already.
    resize_size
        The shorter side in pixels before the centre crop; used by ``crop`` alone.
    interpolation
        Pillow's name of the filter, in lower case.
    mean, std
        Of each channel, in units of full intensity (0 to 1).
    intensity
        ``""`` for 8-bit images; else ``dtype``, ``fixed:LO:HI`` or ``percentile:LO:HI``.
    channels
        ``""``, or a list such as ``0,2,1``, or ``each`` (one item a channel).
    page
        ``""``, a page number counted from 0, or ``all`` (one item a page).
    reader
        ``module:function@mark`` that turns bytes into an array, the mark that of its code; or
        ``""``.
    augment
        How views of an image after the first, which is the image itself, are varied. How many
        there are is no part of it.
    augment_seed
        Of these variations; 0 where there are none.
    """

    image_size: tuple[int, int] = (224, 224)
    resize: Resize = "crop"
    resize_size: int = 256
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    intensity: str = ""
    channels: str = ""
    page: str = ""
    reader: str = ""
    augment: Augmentation = NO_AUGMENTATION
    augment_seed: int = 0

    @property
    def is_varied(self) -> bool:
        """Whether an image has varied views."""
        return not self.augment.is_nothing

    @property
    def has_parts(self) -> bool:
        """Whether an image is as many items as it has pages or channels."""
        return self.page == "all" or self.channels == "each"

    @property
    def has_items(self) -> bool:
        """Whether an image may have several vectors."""
        return self.has_parts or self.is_varied

    def describe(self) -> str:
        """Say in one line which values are used."""
        height, width = self.image_size
        how = {
            "crop": f"shorter side to {self.resize_size}, centre crop {height}x{width}",
            "squash": f"squashed to {height}x{width}",
            "pad": f"padded to {height}x{width}",
            "none": f"{height}x{width} as it is",
        }[self.resize]
        extra = [
            f"{name} {value}"
            for name in ("intensity", "channels", "page", "reader")
            if (value := getattr(self, name))
        ]
        mean, std = (" ".join(f"{v:g}" for v in values) for values in (self.mean, self.std))
        parts = [how, self.interpolation, f"mean {mean}", f"std {std}", *extra]
        if self.is_varied:
            parts.append(f"views with {self.augment.describe()} (seed {self.augment_seed})")
        return ", ".join(parts)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a vector is.

    Attributes
    ----------
    backbone
        The field's name of it, for example ``vgg16`` or ``timm/vit_base_patch16_clip_224.openai``.
    weights
        Hex BLAKE2b-128 digest of the tensors up to the cut.
    layer
        The node at which the network is cut.
    pooling
        What turns its output into a vector: a name in `featx.pooling.POOLINGS`.
    preprocess
        How an image becomes what the backbone sees.
    dtype
        In which the vectors are stored.
    numerics
        ``reference`` for the literal path (Pillow, torch, fp32); else ``certified``.
    random_seed
        Of untrained weights; None for trained ones.
    options
        What else changes the network's output, for example ``transform_input``.
    """

    backbone: str
    weights: str
    layer: str
    pooling: str
    preprocess: Preprocess = field(default_factory=Preprocess)
    dtype: StoredDtype = "float16"
    numerics: Numerics = "certified"
    random_seed: int | None = None
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def hash(self) -> str:
        """32 hex digits: the identity of the recipe."""
        return blake2b(self.canonical().encode(), digest_size=16).hexdigest()

    @property
    def label(self) -> str:
        """Its short name everywhere, for example ``vgg16:features:flatten@224``."""
        height, width = self.preprocess.image_size
        size = f"{height}" if height == width else f"{height}x{width}"
        mark = "" if self.random_seed is None else f"(random seed {self.random_seed})"
        views = "+views" if self.preprocess.is_varied else ""
        return f"{self.backbone}{mark}:{self.layer}:{self.pooling}@{size}{views}"

    @property
    def store_name(self) -> str:
        """The folder's name in the cache: readable, unique by its hash, safe on every system."""
        readable = "-".join((self.backbone, self.layer, self.pooling))
        safe = re.sub(r"[^A-Za-z0-9._]+", "-", readable)[:100]
        return f"{safe}-{self.hash[:16]}.zarr"

    def to_json(self) -> JsonObject:
        """Give the recipe as a JSON object, fields at their default left out."""
        return _without_defaults(self)

    @classmethod
    def from_json(cls, value: JsonObject) -> Recipe:
        """Rebuild the recipe that `to_json` gave.

        Raises
        ------
        RecipeMismatchError
            If a field is unknown: it was written by a newer featx.
        """
        fields = dict(value)
        pre = dict(fields.pop("preprocess", {}))
        options = fields.pop("options", {})
        _refuse_unknown(cls, fields)
        _refuse_unknown(Preprocess, pre)
        for name in ("image_size", "mean", "std"):
            if name in pre:
                pre[name] = tuple(pre[name])
        if "augment" in pre:
            pre["augment"] = _augmentation(pre["augment"])
        return cls(
            **fields,
            preprocess=Preprocess(**pre),
            options=tuple(sorted(options.items())),
        )

    def canonical(self) -> str:
        """Give the text whose digest is the identity."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def differences(self, other: Recipe, here: str = "here", there: str = "there") -> list[str]:
        """Name each field that differs, for example ``image_size 224 here, 299 there``."""
        mine, theirs = _flat(self), _flat(other)
        return [
            f"{name} {mine[name]!r} {here}, {theirs[name]!r} {there}"
            for name in mine
            if mine[name] != theirs[name]
        ]


def _flat(recipe: Recipe) -> dict[str, Any]:
    values = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    pre = values.pop("preprocess")
    flat = values | {f.name: getattr(pre, f.name) for f in dataclasses.fields(pre)}
    return flat | {"augment": pre.augment.describe()}


def _augmentation(value: JsonObject) -> Augmentation:
    try:
        return Augmentation.from_json(value)
    except FeatxError as error:
        raise RecipeMismatchError(
            f"a recipe with views: {error}; upgrade featx to read it"
        ) from error


def _without_defaults(value: Recipe | Preprocess) -> JsonObject:
    out: JsonObject = {}
    for f in dataclasses.fields(value):
        item = getattr(value, f.name)
        if f.default is not dataclasses.MISSING and item == f.default:
            continue
        if isinstance(item, Augmentation):
            out[f.name] = item.to_json()
        elif isinstance(item, Preprocess):
            out[f.name] = _without_defaults(item)
        elif f.name == "options":
            out[f.name] = dict(item)
        else:
            out[f.name] = list(item) if isinstance(item, tuple) else item
    return {name: item for name, item in out.items() if item != {}}


def _refuse_unknown(cls: type, fields: JsonObject) -> None:
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise RecipeMismatchError(
            f"a recipe with the unknown field {', '.join(unknown)}; this featx knows "
            f"{', '.join(sorted(known))}; upgrade featx to read it"
        )
