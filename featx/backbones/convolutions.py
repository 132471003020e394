"""Find the convolutions of a network in its graph, and the non-linearity that follows one."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from torch import nn

from featx.errors import LayerError, WeightsError

if TYPE_CHECKING:
    from torch import fx

    from featx._types import Float32s
    from featx.backbones.cut import Cutter, Trace


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NONLINEAR = _words(
    "relu relu_ relu6 leakyrelu leaky_relu prelu elu selu celu gelu silu silu_ swish mish "
    "hardswish hardsigmoid hardtanh sigmoid sigmoid_ tanh tanh_ softplus"
)
"""Operations, in lower case, that act on each value alone and are no straight line."""
_PASSED = _words(
    "batchnorm2d batch_norm groupnorm group_norm layernorm layer_norm instancenorm2d instance_norm "
    "localresponsenorm local_response_norm identity dropout dropout2d"
)
"""Operations that may stand between a convolution and its non-linearity."""
_CHECKS = _words("getattr dim size _assert")
"""Operations that look at a map's shape and pass nothing on."""
_NEAR = 4


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution, and what follows it.

    Attributes
    ----------
    layer
        Its node.
    weight
        (filters, input channels, height, width) float32; the channels of one group.
    groups
        Of channels that are convolved apart.
    through
        What stands between it and the non-linearity, as ``LAYER (OPERATION)``.
    nonlinearity
        Node of the non-linearity that follows; empty where none does.
    operation
        What that node does, for example ``ReLU``; empty where none follows.
    instead
        What comes where none follows, in words.
    """

    layer: str
    weight: Float32s
    groups: int
    through: tuple[str, ...]
    nonlinearity: str
    operation: str
    instead: str


def find_convolution(cutter: Cutter, layer: str | None = None) -> Convolution:
    """Give a convolution of a network whose weights are in place.

    Parameters
    ----------
    cutter
        Of the network.
    layer
        A node or the path of a module; None for the first convolution that an image meets.

    Raises
    ------
    LayerError
        If the network has no convolution or cannot be traced, or ``layer`` is none.
    WeightsError
        If the weights end before it.
    """
    trace = _traced(cutter)
    known = convolutions(trace)
    if not known:
        raise LayerError(
            f"{type(cutter.model).__name__} has no convolution of images (torch.nn.Conv2d), so "
            "there are no filters to look at; choose another backbone"
        )
    path = _chosen(trace, known, layer)
    module = trace.model.get_submodule(path)
    if not isinstance(module, nn.Conv2d) or module.weight.is_meta:
        raise WeightsError(
            f"the weights end before layer {path!r}; choose an earlier --layer, or weights that "
            "hold the whole network"
        )
    through, node, instead = _follow(trace, trace.nodes[known[path]])
    return Convolution(
        layer=known[path],
        weight=module.weight.detach().cpu().float().numpy(),
        groups=module.groups,
        through=tuple(_said(trace, one) for one in through),
        nonlinearity=_name(trace, node) if node is not None else "",
        operation=_operation(trace, node) if node is not None else "",
        instead=instead,
    )


def _traced(cutter: Cutter) -> Trace:
    try:
        return cutter.trace
    except LayerError as error:
        raise LayerError(
            f"{type(cutter.model).__name__} cannot be looked into, because torch.fx cannot trace "
            f"it ({error.__cause__}); choose another backbone"
        ) from error


def convolutions(trace: Trace) -> dict[str, str]:
    """Give the path of each convolution that is run and the name of its node, in that order."""
    modules = {n for n, module in trace.model.named_modules() if isinstance(module, nn.Conv2d)}
    found: dict[str, str] = {}
    for name in trace.nodes:
        path = name if name in modules else name.rpartition(".")[0]
        if path in modules:
            found[path] = name  # the last node of one that is traced into is its output
    return found


def _chosen(trace: Trace, known: dict[str, str], layer: str | None) -> str:
    """Give the path of the convolution that ``layer`` names, the first one for None."""
    if layer is None:
        return next(iter(known))
    if layer in known:
        return layer
    try:
        node = trace.find(layer)
    except LayerError:
        near = get_close_matches(layer, known, n=_NEAR, cutoff=0.4) or list(known)[:_NEAR]
        raise LayerError(f"no layer {layer!r}; convolutions: {_listed(near, known)}") from None
    if node in known.values():
        return next(path for path, name in known.items() if name == node)
    near = [path for path in known if path.startswith(f"{layer}.")] or _around(trace, known, node)
    raise LayerError(f"layer {layer!r} is no convolution; near it: {_listed(near, known)}")


def _around(trace: Trace, known: dict[str, str], node: str) -> list[str]:
    """Give the convolutions before and after a node that is none."""
    order = {name: i for i, name in enumerate(trace.nodes)}
    before = [path for path, name in known.items() if order[name] < order[node]]
    after = [path for path, name in known.items() if order[name] > order[node]]
    return before[-_NEAR // 2 :] + after[: _NEAR // 2]


def _listed(near: list[str], known: dict[str, str]) -> str:
    more = f" ({len(known)} in all)" if len(known) > len(near[:_NEAR]) else ""
    return ", ".join(map(repr, near[:_NEAR])) + more


def _follow(trace: Trace, node: fx.Node) -> tuple[list[fx.Node], fx.Node | None, str]:
    """Give what a convolution's value passes, the non-linearity after it, or what comes instead."""
    passed: list[fx.Node] = []
    while True:
        users = [user for user in node.users if _operation(trace, user).lower() not in _CHECKS]
        if len(users) > 1:
            return passed, None, "several operations take its value"
        if not users or users[0].op == "output":
            return passed, None, "the network ends there"
        node = users[0]
        operation = _operation(trace, node).lower()
        if operation in _NONLINEAR:
            return passed, node, ""
        if operation not in _PASSED:
            return passed, None, f"next is {_said(trace, node)}"
        passed.append(node)


def _operation(trace: Trace, node: fx.Node) -> str:
    """Say what a node does: the class of a module, the name of a function or method."""
    if node.op == "call_module":
        return type(trace.model.get_submodule(str(node.target))).__name__
    return str(getattr(node.target, "__name__", node.target))


def _name(trace: Trace, node: fx.Node) -> str:
    return next(name for name, other in trace.nodes.items() if other is node)


def _said(trace: Trace, node: fx.Node) -> str:
    """Name a node with what it does, where its name does not say that."""
    name, operation = _name(trace, node), _operation(trace, node)
    return name if name.endswith(operation) else f"{name} ({operation})"
