"""Networks, poolings and a head as one graph: from images as they are decoded to scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from featx.forward.graph import Prepared
from featx.forward.torch_pooling import POOLINGS
from featx.heads.chain import Activate, Both, Dense, Standardise, Step, UnitLength

if TYPE_CHECKING:
    from featx._types import Array
    from featx.backbones import Backbone
    from featx.heads.chain import Chain


@dataclass(frozen=True)
class Pick:
    """One kind of features.

    Attributes
    ----------
    network, output
        Which map of which network it is made of.
    pooling
        How.
    """

    network: int
    output: int
    pooling: str


class HeadGraph(nn.Module):
    """Takes (B, H, W, 3) images, uint8 or float32 in 0..1, and gives what a head says of them.

    Parameters
    ----------
    backbones
        Cut; all take images of one size.
    picks
        The kinds of features that the head takes, in its order.
    chain
        The head; numbers are rounded to float32.
    """

    def __init__(self, backbones: Sequence[Backbone], picks: Sequence[Pick], chain: Chain) -> None:
        super().__init__()
        self.networks = nn.ModuleList(
            Prepared(one.module, one.preprocess.mean, one.preprocess.std) for one in backbones
        )
        self.picks = tuple(picks)
        self.steps = nn.ModuleList(_MODULES[type(step)](step) for step in chain.steps)
        self.flat = chain.meaning == "prediction"
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give (B, k) scores or probabilities, or (B,) predicted values."""
        maps = [network(images) for network in self.networks]
        vectors = [POOLINGS[p.pooling](maps[p.network][p.output]) for p in self.picks]
        x = torch.cat(vectors, 1) if len(vectors) > 1 else vectors[0]
        for step in self.steps:
            x = step(x)
        return x[:, 0] if self.flat else x


def _tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


class _Standardise(nn.Module):
    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, step: Standardise) -> None:
        super().__init__()
        self.register_buffer("mean", _tensor(step.mean))
        self.register_buffer("scale", _tensor(step.scale))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Not folded into the weights that follow: where a mean is large beside its spread, float32
        # would lose in the sum what it keeps in the difference.
        return (x - self.mean) / self.scale


class _UnitLength(nn.Module):
    def __init__(self, step: UnitLength) -> None:
        super().__init__()
        self.spans = step.spans

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x[:, start:stop] for start, stop in self.spans]
        lengths = [(part * part).sum(1, keepdim=True).sqrt() for part in parts]
        ones = [
            part / torch.where(length == 0, torch.ones_like(length), length)
            for part, length in zip(parts, lengths, strict=True)
        ]
        return torch.cat(ones, 1) if len(ones) > 1 else ones[0]


class _Dense(nn.Module):
    weights: torch.Tensor
    offset: torch.Tensor

    def __init__(self, step: Dense) -> None:
        super().__init__()
        self.register_buffer("weights", _tensor(step.weights.T))
        self.register_buffer("offset", _tensor(step.offset))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weights, self.offset)


class _Activate(nn.Module):
    def __init__(self, step: Activate) -> None:
        super().__init__()
        self.function = _ACTIVATIONS[step.name]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class _Both(nn.Module):
    def __init__(self, step: Both) -> None:
        super().__init__()
        self.total = step.total

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.total - x, x], 1)


def _softmax(x: torch.Tensor) -> torch.Tensor:
    return x.softmax(1)


def _shares(x: torch.Tensor) -> torch.Tensor:
    """Logistic values divided by their sum, from their logarithms: all may be too small."""
    return (-functional.softplus(-x)).softmax(1)


_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "logistic": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": functional.gelu,
    "softmax": _softmax,
    "shares": _shares,
}
_MODULES: dict[type[Step], Callable[..., nn.Module]] = {
    Standardise: _Standardise,
    UnitLength: _UnitLength,
    Dense: _Dense,
    Activate: _Activate,
    Both: _Both,
}
