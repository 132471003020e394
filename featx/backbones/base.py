"""A backbone that is loaded and cut, and the recipes that it fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from featx._types import JsonObject
from featx.backbones.request import BackboneRequest
from featx.pooling import check_pooling, pooled_dim
from featx.recipe import Preprocess, Recipe

if TYPE_CHECKING:
    from torch import nn

    from featx.backbones.cut import Cutter

Filled = tuple[Recipe, tuple[int, ...], int]
"""(recipe, shape of the map before pooling, length of the vector)."""


@dataclass(frozen=True)
class Output:
    """One place where the network is cut.

    Attributes
    ----------
    layer
        Its node.
    map_shape
        Of one image's output: (channels, height, width), (tokens, channels) or (channels,).
    poolings
        What is made of it.
    weights
        Hex BLAKE2b-128 digest of the tensors that it depends on.
    """

    layer: str
    map_shape: tuple[int, ...]
    poolings: tuple[str, ...]
    weights: str


@dataclass
class Backbone:
    """A network in eval mode, cut at the layers asked for.

    Attributes
    ----------
    name
        As it stands in the recipe.
    module
        Takes (B, 3, H, W) float32, normalised; gives one (B, *map_shape) tensor an output.
    cutter
        Finds other layers of the same network.
    outputs
        Where it is cut, in the order asked for.
    preprocess
        How images are prepared for it.
    request
        What was asked for.
    random_seed
        Of untrained weights; None for trained ones.
    options
        What else changes its output.
    notes
        Lines for the user: the preprocessing used, sizes and tensors that do not fit.
    provenance
        Where the weights came from: their name, file, revision, versions.
    """

    name: str
    module: nn.Module
    cutter: Cutter
    outputs: tuple[Output, ...]
    preprocess: Preprocess
    request: BackboneRequest
    random_seed: int | None = None
    options: tuple[tuple[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    provenance: JsonObject = field(default_factory=dict)

    def recipes(self) -> list[Filled]:
        """Give one (recipe, map shape, length) for each output and pooling, in that order."""
        return [
            (self._recipe(output, name), output.map_shape, pooled_dim(name, output.map_shape))
            for output in self.outputs
            for name in output.poolings
        ]

    def _recipe(self, output: Output, pooling: str) -> Recipe:
        return Recipe(
            backbone=self.name,
            weights=output.weights,
            layer=output.layer,
            pooling=pooling,
            preprocess=self.preprocess,
            dtype=self.request.dtype,
            numerics=self.request.numerics,
            random_seed=self.random_seed,
            options=self.options,
        )


def choose_poolings(
    asked: tuple[str, ...],
    map_shape: tuple[int, ...],
    map_default: str,
    *,
    class_token: bool | None,
) -> tuple[str, ...]:
    """Give the poolings of one output: those asked for, else what suits its shape.

    Tokens give the class token where there is one, else their mean; a map gives ``map_default``;
    a vector stays as it is.
    """
    if asked:
        for name in asked:
            check_pooling(name, map_shape, class_token)
        return tuple(dict.fromkeys(asked))
    tokens = "cls" if class_token else "avg"
    return ({1: "flatten", 2: tokens}.get(len(map_shape), map_default),)
