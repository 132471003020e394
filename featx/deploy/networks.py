"""The networks of a saved head, loaded for one graph, and what featx makes of images with them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from featx.backbones import load_backbone
from featx.errors import RecipeMismatchError, UsageError
from featx.pooling import pool
from featx.rebuild import check_recipes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import Array, Float32s, Progress
    from featx.backbones import Backbone
    from featx.forward.headgraph import Pick
    from featx.model import Model
    from featx.modelinfo import ModelInfo
    from featx.recipe import Preprocess, Recipe


@dataclass(frozen=True)
class Networks:
    """Backbones, and which map of which is pooled how for each kind of features, in order."""

    backbones: tuple[Backbone, ...]
    picks: tuple[Pick, ...]

    def vectors(self, images: Array) -> list[Float32s]:
        """Give the (n, d) vectors of each kind, of torch on the processor in fp32, not rounded."""
        from featx.forward.torch_engine import TorchEngine  # loads torch

        maps = [TorchEngine(one, "cpu", "fp32")(images) for one in self.backbones]
        return [pool(maps[p.network][p.output], p.pooling) for p in self.picks]


def check_alike(info: ModelInfo) -> None:
    """Raise where a head's kinds of features prepare images in several ways.

    Mean and deviation may differ: they are part of the graph. Images padded with the mean may not.

    Raises
    ------
    UsageError
        Then; names the fields.
    """
    first, *others = (part.recipe for part in info.parts)
    for other in others:
        if differ := _differing(first.preprocess, other.preprocess):
            raise UsageError(
                f"{first.label} and {other.label} take images that are prepared in two ways "
                f"({', '.join(differ)}), and a graph takes one; export a head on kinds of features "
                "that agree in them"
            )


def _differing(a: Preprocess, b: Preprocess) -> list[str]:
    inside = () if a.resize == "pad" else ("mean", "std")
    names = [f.name for f in fields(a) if f.name not in inside]
    return [name for name in names if getattr(a, name) != getattr(b, name)]


def load_networks(model: Model, progress: Progress) -> Networks:
    """Load the backbones of a model, each once, and check that they are those of its fit.

    Raises
    ------
    WeightsNotFoundError
        If weights are not where they were.
    RecipeMismatchError
        If a backbone here is not the one that the head was fitted on; names each field.
    """
    from featx.forward.headgraph import Pick  # loads torch

    check_recipes(model.wanted, model.path.name, model.cache, progress)
    backbones = tuple(load_backbone(group.request, progress) for group in model.wanted)
    where = {
        recipe.hash: Pick(network, output, recipe.pooling)
        for network, backbone in enumerate(backbones)
        for recipe, output in _outputs(backbone)
    }
    recipes = [part.recipe for part in model.info.parts]
    if gone := [recipe.label for recipe in recipes if recipe.hash not in where]:
        raise RecipeMismatchError(
            f"the backbone that was loaded does not give {', '.join(gone)}; if its weights were "
            "just changed, put those of the fit back"
        )
    return Networks(backbones, tuple(where[recipe.hash] for recipe in recipes))


def _outputs(backbone: Backbone) -> list[tuple[Recipe, int]]:
    layers = [output.layer for output in backbone.outputs]
    return [(recipe, layers.index(recipe.layer)) for recipe, *_ in backbone.recipes()]


def joined(vectors: Sequence[Float32s], recipes: Sequence[Recipe], *, stored: bool) -> Float32s:
    """Put vectors of several kinds side by side, ``stored``: rounded as the cache stores them."""
    parts = [
        v.astype(recipe.dtype).astype(np.float32) if stored else v
        for v, recipe in zip(vectors, recipes, strict=True)
    ]
    return np.hstack(parts)
