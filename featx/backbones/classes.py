"""Which classes a network tells apart: where its classifier ends, and what its outputs mean."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import fx

from featx.backbones import enums
from featx.backbones.base import Backbone
from featx.backbones.load import load_backbone
from featx.backbones.weights import read_tensors, shape_text
from featx.errors import FeatxError


@dataclass(frozen=True)
class Classes:
    """What a classifier says.

    Attributes
    ----------
    layer
        Node that gives one score (logit) a class; empty where there is none to be believed.
    categories
        Names of the classes, in the order of the scores.
    why_not
        Why there are none, in one line; empty where there are.
    note
        What is assumed of them; empty for what the weights say themselves.
    """

    layer: str = ""
    categories: tuple[str, ...] = ()
    why_not: str = ""
    note: str = ""


def find_classes(backbone: Backbone) -> Classes:
    """Say what the network's own output means, or why that cannot be said.

    The output is taken for a classifier's where the weights are trained, name their categories,
    and hold every tensor up to the end of the network. A weights file of another number of classes
    fails the last: its tensors have another shape.

    Parameters
    ----------
    backbone
        As `featx.backbones.load_backbone` gives it.
    """
    if backbone.random_seed is not None:
        return Classes(why_not="random weights: what they would say means nothing")
    categories, note = _CATEGORIES[backbone.request.kind](backbone)
    if not categories:
        return Classes(why_not=note or f"the weights of {backbone.name} name no categories")
    layer = _output(backbone)
    if not layer:
        return Classes(why_not=f"{backbone.name} does not end in one vector of scores")
    if lacking := _lacking(backbone, layer):
        return Classes(why_not=lacking)
    return Classes(layer, categories, note=note)


def _output(backbone: Backbone) -> str:
    """Give the node whose value the network returns; empty where that is no single one."""
    trace = backbone.cutter.trace
    last = next(node for node in reversed(trace.graph.nodes) if node.op == "output").args[0]
    names = {node: name for name, node in trace.nodes.items()}
    return names[last] if isinstance(last, fx.Node) and last in names else ""


def _lacking(backbone: Backbone, layer: str) -> str:
    """Say what a weights file lacks up to ``layer``; nothing where it lacks nothing.

    torchvision's networks hold no values that were not in the file. timm's were drawn by chance
    before the file was read, so that layer has to be asked for.
    """
    request = backbone.request
    if request.weights_file is None:
        return ""
    if request.kind == "torchvision":
        return _empty(backbone, request.weights_file, layer)
    try:
        load_backbone(replace(request, layers=(layer,), poolings=()))
    except FeatxError as error:
        return str(error)
    return ""


def _empty(backbone: Backbone, path: Path, layer: str) -> str:
    """Say which tensors hold no values, and of the first whether it has another shape."""
    state, request = backbone.cutter.model.state_dict(), backbone.request
    names = sorted(name for name in backbone.cutter.tensors(layer) if state[name].is_meta)
    if not names:
        return ""
    held = read_tensors(path, request.weights_key, request.strip_prefix).tensors
    first = next((name for name in names if name in held), None)
    if first is not None:
        return (
            f"{first} is {shape_text(held[first])} in {path.name}, and {shape_text(state[first])} "
            "in the network: another number of classes, whose names it does not hold"
        )
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{path.name} ends before the classifier: it lacks {names[0]}{more}"


def _of_torchvision(backbone: Backbone) -> tuple[tuple[str, ...], str]:
    choice = enums.choose_weights(backbone.name, backbone.request)
    note = f"the categories of {choice.member} are assumed" if choice.note else ""
    return tuple(choice.member.meta.get("categories", ())), note


def _of_timm(backbone: Backbone) -> tuple[tuple[str, ...], str]:
    """Name the classes of a subset of ImageNet, which timm knows by their number."""
    data = importlib.import_module("timm.data")
    subset = data.infer_imagenet_subset(backbone.cutter.model)
    if subset is None:
        return (), f"timm does not say which categories {backbone.name} tells apart"
    info = data.ImageNetInfo(subset)
    names = tuple(info.index_to_description(i) for i in range(info.num_classes()))
    return names, f"the categories of {subset} are assumed, by their number"


def _of_own(_: Backbone) -> tuple[tuple[str, ...], str]:
    return (), "a module of your own names no categories"


_CATEGORIES: dict[str, Callable[[Backbone], tuple[tuple[str, ...], str]]] = {
    "torchvision": _of_torchvision,
    "timm": _of_timm,
    "custom": _of_own,
}
"""Of each kind of backbone: the categories, and what is assumed, or why there are none."""
