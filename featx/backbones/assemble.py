"""Put a backbone together from a loaded model and the layers to cut at."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from featx._types import JsonObject
from featx.backbones.base import Backbone, Output, choose_poolings
from featx.backbones.cut import Cutter, map_shapes
from featx.backbones.request import BackboneRequest
from featx.backbones.weights import weights_digests
from featx.recipe import Preprocess


@dataclass(frozen=True)
class Loaded:
    """A model with its weights in place, not yet cut.

    Attributes
    ----------
    name
        As it stands in the recipe.
    cutter
        Of the model.
    layers
        Where to cut, as the cutter resolved them.
    map_pooling
        Default for a map.
    class_token
        Whether the first token stands for the image; None where that is not known.
    preprocess, random_seed, options, notes, provenance
        See `featx.backbones.base.Backbone`.
    """

    name: str
    cutter: Cutter
    layers: tuple[str, ...]
    preprocess: Preprocess
    map_pooling: str = "flatten"
    class_token: bool | None = None
    random_seed: int | None = None
    options: tuple[tuple[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    provenance: JsonObject = field(default_factory=dict)


def assemble(loaded: Loaded, request: BackboneRequest) -> Backbone:
    """Cut the model, learn the shapes by running one image, and tell the weights' identity.

    Raises
    ------
    LayerError
        If a layer gives no map, tokens or vector.
    UsageError
        If a pooling does not suit a layer's shape.
    """
    layers = tuple(dict.fromkeys(loaded.layers))
    module = loaded.cutter.cut(layers).eval()
    shapes = map_shapes(module, layers, loaded.preprocess.image_size)
    tensors = [loaded.cutter.tensors(layer) for layer in layers]
    digests = weights_digests(loaded.cutter.model, tensors)
    depths = [count_layers(loaded.cutter.model, names) for names in tensors]
    outputs = tuple(
        Output(
            layer=layer,
            map_shape=shape,
            poolings=choose_poolings(
                request.poolings,
                shape,
                loaded.map_pooling,
                class_token=loaded.class_token,
            ),
            weights=digest,
        )
        for layer, shape, digest in zip(layers, shapes, digests, strict=True)
    )
    return Backbone(
        name=loaded.name,
        module=module,
        cutter=loaded.cutter,
        outputs=outputs,
        preprocess=loaded.preprocess,
        request=request,
        random_seed=loaded.random_seed,
        options=loaded.options,
        notes=(*loaded.notes, *_random_note(loaded)),
        provenance={
            **loaded.provenance,
            "torch": torch.__version__,
            "depths": dict(zip(layers, depths, strict=True)),
        },
    )


def count_layers(model: nn.Module, names: Collection[str]) -> int:
    """Count layers as the field does in VGG16: convolutions and linear maps, those with weights.

    Normalisations, whose weights are vectors, are not counted; shortcuts with weights are.
    """
    state = model.state_dict()
    return sum(name.endswith("weight") and state[name].ndim > 1 for name in names)


def _random_note(loaded: Loaded) -> tuple[str, ...]:
    if loaded.random_seed is None:
        return ()
    note = (
        f"random weights (seed {loaded.random_seed}), untrained: for trying things out only; some "
        "networks then need --dtype float32"
    )
    return (note,)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's CPU generator as after ``torch.manual_seed(seed)``; then restore it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
