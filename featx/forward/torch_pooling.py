"""The poolings of `featx.pooling` in torch, so that they can be part of a graph.

Reductions keep their dimension, which is flattened away afterwards: where the last one of three is
dropped at once, OpenVINO 2026.4 computes the scaler that follows wrongly, on processors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from featx.pooling import GEM_EPS, GEM_P


def _spatial(x: torch.Tensor) -> torch.Tensor:
    """(n, c, h, w) to (n, c, h*w); (n, t, c) to (n, c, t); (n, c) to (n, c, 1)."""
    if x.ndim == 4:
        return x.flatten(2)
    return x.transpose(1, 2) if x.ndim == 3 else x.unsqueeze(2)


def _flatten(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1)


def _avg(x: torch.Tensor) -> torch.Tensor:
    return _spatial(x).mean(2, keepdim=True).flatten(1)


def _maximum(x: torch.Tensor) -> torch.Tensor:
    return _spatial(x).amax(2, keepdim=True).flatten(1)


def _std(x: torch.Tensor) -> torch.Tensor:
    # Written out: converters know no standard deviation that divides by n.
    apart = _spatial(x) - _spatial(x).mean(2, keepdim=True)
    return (apart * apart).mean(2, keepdim=True).flatten(1).sqrt()


def _gem(x: torch.Tensor) -> torch.Tensor:
    powers = _spatial(x).clamp(min=GEM_EPS).pow(GEM_P)
    return powers.mean(2, keepdim=True).flatten(1).pow(1 / GEM_P)


def _cls(x: torch.Tensor) -> torch.Tensor:
    return x[:, 0]


def _tokens_avg(x: torch.Tensor) -> torch.Tensor:
    return x[:, 1:].mean(1, keepdim=True).flatten(1)


POOLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "flatten": _flatten,
    "avg": _avg,
    "max": _maximum,
    "std": _std,
    "gem": _gem,
    "cls": _cls,
    "tokens-avg": _tokens_avg,
}
"""(n, *map_shape) float32 to (n, d), by the names of `featx.pooling.POOLINGS`."""
