"""Cut a network at the layers asked for, and know which tensors each of them needs.

Node names are torchvision's (`torchvision.models.feature_extraction`): a module's path, or a
path and the name of a function. A path that is no node stands for the last node below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import torch
from torch import fx, nn
from torchvision.models.feature_extraction import NodePathTracer

from featx._memory import GIB, available
from featx.errors import LayerError

_BUFFER_OF_TRAINING = "num_batches_tracked"


@dataclass(frozen=True)
class Whole:
    """A part of a model that is run as it is, without tracing.

    Attributes
    ----------
    layer
        What its output is called.
    module
        Takes (B, 3, H, W), gives one tensor.
    tensors
        Names, in the model's state dict, of what it needs.
    """

    layer: str
    module: nn.Module
    tensors: frozenset[str]


class Trace:
    """The graph of a model in eval mode, its nodes found by name.

    Parameters
    ----------
    model
        In eval mode; its parameters may be on the meta device.
    tracing
        Further arguments of torchvision's tracer: what it must not look into.

    Raises
    ------
    LayerError
        If the model's control flow depends on values, so that it cannot be traced.
    """

    def __init__(self, model: nn.Module, tracing: Mapping[str, Any] | None = None) -> None:
        tracer = NodePathTracer(**(tracing or {}))
        try:
            self.graph: fx.Graph = tracer.trace(model)
        except Exception as error:
            raise LayerError(
                f"{type(model).__name__} cannot be cut at a layer, because torch.fx cannot trace "
                f"it ({error}); leave --layer out to take its own output"
            ) from error
        self.model = model
        self.nodes: dict[str, fx.Node] = {
            name: node for node, name in tracer.node_to_qualname.items() if node.op != "placeholder"
        }

    def find(self, layer: str) -> str:
        """Give the full name of the node that ``layer`` stands for.

        Raises
        ------
        LayerError
            If there is none; the nearest names are given.
        """
        below = [name for name in self.nodes if name == layer or name.startswith(f"{layer}.")]
        if not below:
            raise LayerError(_no_layer(layer, list(self.nodes)))
        return below[-1]

    def short(self, name: str) -> str:
        """Give the shortest path that stands for the node ``name``: one value, one name."""
        parts = name.split(".")
        paths = (".".join(parts[:i]) for i in range(1, len(parts) + 1))
        return next(path for path in paths if self.find(path) == name)

    def tensors(self, name: str) -> frozenset[str]:
        """Give the names, in the model's state dict, of the tensors that a node depends on."""
        targets = {
            str(node.target)
            for node in self._needed(self.nodes[name])
            if node.op in ("call_module", "get_attr")
        }
        return frozenset(
            key
            for key in self.model.state_dict()
            if not key.endswith(_BUFFER_OF_TRAINING) and any(p in targets for p in _paths(key))
        )

    def cut(self, names: Sequence[str]) -> fx.GraphModule:
        """Give the network up to these nodes; it returns their values in this order.

        An operation after a requested node may overwrite its value in place (VGG's ReLU does), so
        every value but the last one computed is copied as soon as it is there.
        """
        graph = fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        wanted = {self.nodes[name] for name in names}
        needed = set().union(*map(self._needed, wanted))
        last = [node for node in self.graph.nodes if node in wanted][-1]
        kept: dict[fx.Node, fx.Node] = {}
        for node in self.graph.nodes:
            if node.op == "placeholder" or node in needed:
                copies[node] = graph.node_copy(node, copies.__getitem__)
            if node in wanted:
                value = copies[node]
                kept[node] = value if node is last else graph.call_method("clone", (value,))
        graph.output(tuple(kept[self.nodes[name]] for name in names))
        return fx.GraphModule(self.model, graph)

    def _needed(self, node: fx.Node) -> set[fx.Node]:
        """Give what a node depends on: its ancestors, and what ran before it for its effect alone.

        The latter are nodes whose result nobody uses: checks, and operations in place.
        """
        needed = self._ancestors(node)
        for earlier in self.graph.nodes:
            if earlier is node:
                return needed
            if not earlier.users:
                needed |= self._ancestors(earlier)
        return needed

    @staticmethod
    def _ancestors(node: fx.Node) -> set[fx.Node]:
        found: set[fx.Node] = set()
        waiting = [node]
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting.extend(current.all_input_nodes)
        return found


class Parts(nn.Module):
    """Runs the parts of a cut network and gives their values in the order asked for.

    Parameters
    ----------
    parts
        (module, positions): a module that returns a tensor or several, and where each value goes.
    channels_last
        For each output, whether a map comes as (height, width, channels).
    """

    def __init__(
        self, parts: Sequence[tuple[nn.Module, Sequence[int]]], channels_last: Sequence[bool]
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(module for module, _ in parts)
        self.positions = [tuple(positions) for _, positions in parts]
        self.channels_last = tuple(channels_last)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give one tensor an output for (B, 3, H, W)."""
        values: dict[int, torch.Tensor] = {}
        for part, positions in zip(self.parts, self.positions, strict=True):
            # A part may change its input in place.
            out = part(x.clone() if len(self.positions) > 1 else x)
            values.update(zip(positions, out if isinstance(out, tuple) else (out,), strict=True))
        return tuple(
            values[i].permute(0, 3, 1, 2) if last and values[i].ndim == 4 else values[i]
            for i, last in enumerate(self.channels_last)
        )


class Cutter:
    """Finds layers in a model and cuts there; traces it only where a layer asks for that.

    Parameters
    ----------
    model
        In eval mode.
    default
        The layer that is cut at by default; where several names mean it, this one is used.
    whole
        The part that is run as it is, if there is one.
    channels_last
        Pattern of the layers whose maps come as (height, width, channels); empty for none.
    tracing
        See `Trace`.
    """

    def __init__(
        self,
        model: nn.Module,
        default: str = "",
        whole: Whole | None = None,
        channels_last: str = "",
        tracing: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.default = default
        self.whole = whole
        self.channels_last = channels_last
        self.tracing = tracing

    @cached_property
    def trace(self) -> Trace:
        """The model's graph."""
        return Trace(self.model, self.tracing)

    def resolve(self, layer: str) -> str:
        """Give the one name of what ``layer`` stands for.

        Raises
        ------
        LayerError
            If there is no such layer, or the model cannot be traced.
        """
        if self.is_whole(layer):
            return layer
        name = self.trace.find(layer)
        known = self.default and not self.is_whole(self.default)
        if known and name == self.trace.find(self.default):
            return self.default
        return self.trace.short(name)

    def tensors(self, layer: str) -> frozenset[str]:
        """Give the names, in the model's state dict, of the tensors that a layer depends on."""
        if self.whole is not None and self.is_whole(layer):
            return self.whole.tensors
        return self.trace.tensors(self.trace.find(layer))

    def cut(self, layers: Sequence[str]) -> Parts:
        """Give the network up to these layers; it returns their values in this order."""
        traced = [i for i, layer in enumerate(layers) if not self.is_whole(layer)]
        parts: list[tuple[nn.Module, list[int]]] = []
        if self.whole is not None and len(traced) < len(layers):
            parts.append((self.whole.module, [list(layers).index(self.whole.layer)]))
        if traced:
            names = [self.trace.find(layers[i]) for i in traced]
            parts.append((self.trace.cut(names), traced))
        return Parts(parts, [self._is_channels_last(layer) for layer in layers])

    def is_whole(self, layer: str) -> bool:
        """Say whether a layer is the part that is run as it is."""
        return self.whole is not None and layer == self.whole.layer

    def _is_channels_last(self, layer: str) -> bool:
        return bool(self.channels_last) and re.match(self.channels_last, layer) is not None


_FLOATS = 32
"""For each pixel, that a network holds at the least: MobileNetV2's maps have 35, VGG16's 131."""


def map_shapes(
    module: nn.Module, layers: Sequence[str], size: tuple[int, int]
) -> list[tuple[int, ...]]:
    """Run one image through the cut network and give the shape of each output's map.

    Raises
    ------
    LayerError
        If the network does not take that size, or has no room for it, or a layer gives no map,
        tokens or vector of one image.
    """
    needed, free = _FLOATS * 4 * size[0] * size[1], available()
    if needed > free:
        raise LayerError(
            f"an image of {size[0]}x{size[1]} pixels takes at least {needed / GIB:.0f} GiB in a "
            f"network, and {free / GIB:.1f} GiB are free; give a smaller --image-size"
        )
    try:
        with torch.inference_mode():
            outputs = module(torch.zeros(1, 3, *size))
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
        raise LayerError(
            f"the network does not run on an image of {size[0]}x{size[1]} pixels ({error}); "
            "try --image-size weights"
        ) from error
    shapes = []
    for layer, value in zip(layers, outputs, strict=True):
        if not isinstance(value, torch.Tensor) or value.ndim not in (2, 3, 4) or len(value) != 1:
            got = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            raise LayerError(
                f"layer {layer!r} gives {got} for one image; expected (1, channels), "
                "(1, tokens, channels) or (1, channels, height, width); choose another --layer"
            )
        shapes.append(tuple(value.shape[1:]))
    return shapes


def _paths(key: str) -> list[str]:
    """Give ``a.b.c`` as ``a``, ``a.b``, ``a.b.c``."""
    parts = key.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _no_layer(layer: str, names: list[str]) -> str:
    paths = list(dict.fromkeys(path for name in names for path in _paths(name)))
    near = get_close_matches(layer, paths, n=5, cutoff=0.4)
    guess = f"did you mean {', '.join(map(repr, near))}? " if near else ""
    tops = list(dict.fromkeys(name.split(".")[0] for name in names))
    return (
        f"no layer {layer!r}; {guess}top-level layers: {', '.join(tops)}; "
        "torchvision.models.feature_extraction.get_graph_node_names lists every node"
    )
