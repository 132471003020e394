"""Choose layers that are spread over a network's depth, without knowing its family.

A layer can be cut at where the whole image passes through it: no shortcut or branch goes around.
Such nodes are the waists of the graph. Those that give maps of one size are a stage.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import fx

from featx._types import Progress
from featx.backbones.assemble import count_layers
from featx.backbones.cut import Cutter, Trace
from featx.backbones.load import load_backbone
from featx.backbones.request import BackboneRequest
from featx.errors import UsageError

FEWEST, MOST = 3, 6
"""Stages of which the last layers are taken: with fewer (a transformer has one), layers are spread
evenly instead; of more, the deepest."""


@dataclass(frozen=True)
class _Place:
    """A layer, and the height and width of its map, or its number of tokens."""

    layer: str
    size: tuple[int, ...]


def spread(
    request: BackboneRequest, every: int | None = None, progress: Progress | None = None
) -> tuple[str, ...]:
    """Give layers from shallow to deep; the last one is the backbone's default.

    Parameters
    ----------
    request
        The backbone; its layers are not looked at.
    every
        Each of so many layers with weights, counted back from the default one; None: the last of
        each stage.

    Raises
    ------
    UsageError
        If ``every`` is no number of layers.
    LayerError
        If the network cannot be traced.
    FeatxError
        As `featx.backbones.load_backbone`.
    """
    if every is not None and every < 1:
        raise UsageError(f"every is {every}; expected a number of layers of 1 or more")
    backbone = load_backbone(replace(request, layers=(), poolings=()), progress)
    default, cutter = backbone.outputs[0].layer, backbone.cutter
    places = _places(cutter, default, backbone.preprocess.image_size)
    layers = [place.layer for place in places]
    stages = {place.size: place.layer for place in places}
    if every is None and len(stages) >= FEWEST:
        return tuple(stages.values())[-MOST:]
    step = every or max(1, round(len(layers) / (MOST - 1)))
    return tuple(layers[::-step][::-1])


def _places(cutter: Cutter, default: str, size: tuple[int, int]) -> list[_Place]:
    """Give a layer for each depth, from shallow to deep, the default one last.

    Of a depth it is the last node before a pooling, which has no weights either, shrinks the map.
    """
    trace = cutter.trace
    end = None if cutter.is_whole(default) else trace.find(default)
    names = [trace.short(name) for name in waists(trace, end)]
    names = [name for name in names if name != default]
    values = _maps(cutter, [*names, default], size)
    found: dict[int, _Place] = {}
    for name, value in zip(names, values, strict=False):
        if value.ndim not in (3, 4) or _same(value, values[-1]):
            continue
        place = _Place(name, _size(value))
        depth = count_layers(cutter.model, trace.tensors(trace.find(name)))
        if depth and found.setdefault(depth, place).size == place.size:
            found[depth] = place
    return [*(found[depth] for depth in sorted(found)), _Place(default, _size(values[-1]))]


def waists(trace: Trace, end: str | None = None) -> list[str]:
    """Give the nodes, up to ``end``, that everything computed before them passes through."""
    nodes = list(trace.graph.nodes)
    if end is not None:
        nodes = nodes[: nodes.index(trace.nodes[end]) + 1]
    number = {node: i for i, node in enumerate(nodes)}
    names = {node: name for name, node in trace.nodes.items()}
    found, reach = [], -1
    for i, node in enumerate(nodes):
        users = [user for user in node.users if user in number]
        if reach <= i and node in names and _gives_map(node, users, last=node is nodes[-1]):
            found.append(names[node])
        if node.op != "get_attr":  # a constant is no part of the image
            reach = max([reach, *(number[user] for user in users)])
    return found


def _gives_map(node: fx.Node, users: Sequence[fx.Node], *, last: bool) -> bool:
    """Say whether a node may give one tensor: its parts are not picked, and it is used."""
    picked = any(user.target is operator.getitem for user in users)
    return node.op.startswith("call_") and not picked and (bool(users) or last)


def _maps(cutter: Cutter, layers: Sequence[str], size: tuple[int, int]) -> list[torch.Tensor]:
    """Run noise through the network; on a plain image many maps would be alike."""
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return list(cutter.cut(layers).eval()(image))


def _size(value: torch.Tensor) -> tuple[int, ...]:
    return tuple(value.shape[2:] if value.ndim == 4 else value.shape[1:-1])


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)
