"""Which layers of a backbone stay as they are while the others are trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from featx.errors import LayerError

if TYPE_CHECKING:
    from featx.backbones import Backbone

WORDS = ("all", "half", "none")


@dataclass(frozen=True)
class Frozen:
    """A backbone's layers, split into those that stay and those that are trained.

    Attributes
    ----------
    still, trained
        Names of the layers with weights (convolutions, linear maps), in forward order.
    tensors
        Names, in the model's state dict, of everything that stays: norms among the frozen layers,
        too.
    modules
        Modules that stay in eval mode, so that the statistics of their norms do not move.
    """

    still: tuple[str, ...]
    trained: tuple[str, ...]
    tensors: frozenset[str]
    modules: tuple[str, ...]

    def describe(self) -> str:
        """Say it in words."""
        n = len(self.still) + len(self.trained)
        if not self.trained:
            return f"all {n} layers of the backbone are frozen"
        if not self.still:
            return f"all {n} layers of the backbone are trained"
        return (
            f"{len(self.still)} of {n} layers are frozen, {self.still[0]} to {self.still[-1]}; "
            f"trained are {self.trained[0]} to {self.trained[-1]}"
        )


@dataclass(frozen=True)
class _Place:
    """A module with tensors of its own, or a tensor that the network takes by itself."""

    name: str
    tensors: frozenset[str]
    is_layer: bool


def freeze_layers(backbone: Backbone, freeze: str) -> Frozen:
    """Choose what stays.

    Parameters
    ----------
    backbone
        Cut at one layer.
    freeze
        ``all``, ``none``, ``half`` (the first half of the layers with weights, in forward order,
        rounded down), or a node's name: it, and all that it depends on.

    Raises
    ------
    LayerError
        If there is no such node.
    """
    places = list(_places(backbone))
    layers = [place.name for place in places if place.is_layer]
    if freeze in WORDS:
        count = {"all": len(layers), "half": len(layers) // 2, "none": 0}[freeze]
        still = places if freeze == "all" else _first(places, count)
    else:
        needed = backbone.cutter.tensors(backbone.cutter.resolve(freeze))
        still = [place for place in places if place.tensors <= needed]
        if not still:
            raise LayerError(f"nothing with weights comes before {freeze!r}, so nothing is frozen")
    tensors: frozenset[str] = frozenset().union(*(place.tensors for place in still))
    names = {place.name for place in still}
    return Frozen(
        still=tuple(name for name in layers if name in names),
        trained=tuple(name for name in layers if name not in names),
        tensors=tensors,
        modules=tuple(place.name for place in still if place.name not in place.tensors),
    )


def _first(places: list[_Place], n_layers: int) -> list[_Place]:
    """Give the first layers, and what stands among them and before the next one."""
    found: list[_Place] = []
    seen = 0
    for place in places if n_layers else []:
        seen += place.is_layer
        if seen > n_layers:
            break
        found.append(place)
    return found


def _places(backbone: Backbone) -> Iterator[_Place]:
    """Give all that has tensors and is needed, in forward order."""
    model = backbone.cutter.model
    needed = backbone.cutter.tensors(backbone.outputs[0].layer)
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    given: set[str] = set()
    for name in _order(backbone):
        own = {key for key in state if key == name or key.startswith(f"{name}.")} - given
        kept = frozenset(own & needed)
        if not kept:
            continue
        given |= own
        is_layer = any(key.endswith("weight") and state[key].ndim > 1 for key in kept)
        yield _Place(name, kept, is_layer)


def _order(backbone: Backbone) -> list[str]:
    """Name modules and tensors in the order in which the network takes them."""
    try:
        nodes = backbone.cutter.trace.graph.nodes
        return [str(node.target) for node in nodes if node.op in ("call_module", "get_attr")]
    except LayerError:  # it cannot be traced: as it was written
        return [
            name
            for name, module in backbone.cutter.model.named_modules()
            if name and _has_own(module)
        ]


def _has_own(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))
