"""What turns a feature map into a vector.

Each pooling maps (n, *map_shape) float32 to (n, d) float32. A feature map is (channels, height,
width); a token map is (tokens, channels), the class token first where there is one; a vector is
(channels,). Pooling works in float32 on the values before they are rounded for storage, or on
the stored values of a flattened store.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from featx._types import Array
from featx.errors import UsageError, unknown_name

GEM_P = 3.0
GEM_EPS = 1e-6


def _spatial(x: Array) -> Array:
    """(n, c, h, w) to (n, c, h*w); (n, t, c) to (n, c, t); (n, c) to (n, c, 1)."""
    if x.ndim == 4:
        return x.reshape(x.shape[0], x.shape[1], -1)
    return x.transpose(0, 2, 1) if x.ndim == 3 else x[:, :, None]


def flatten(x: Array) -> Array:
    """Every value of the map, in C order, as ``torch.flatten(x, 1)`` gives them."""
    return x.reshape(x.shape[0], -1)


def avg(x: Array) -> Array:
    """Mean over positions."""
    return np.asarray(_spatial(x).mean(axis=2, dtype=np.float32))


def maximum(x: Array) -> Array:
    """Maximum over positions."""
    return np.asarray(_spatial(x).max(axis=2))


def std(x: Array) -> Array:
    """Population standard deviation over positions."""
    return np.asarray(_spatial(x).std(axis=2, dtype=np.float32))


def gem(x: Array) -> Array:
    """Generalised mean, ``(mean max(x, 1e-6)^3)^(1/3)`` (Radenovic et al. 2018, eq. 3)."""
    powers = np.maximum(_spatial(x), np.float32(GEM_EPS)) ** np.float32(GEM_P)
    return np.asarray(powers.mean(axis=2, dtype=np.float32) ** np.float32(1 / GEM_P))


def cls(x: Array) -> Array:
    """The first token."""
    return x[:, 0, :]


def tokens_avg(x: Array) -> Array:
    """Mean over all tokens but the first."""
    return np.asarray(x[:, 1:, :].mean(axis=1, dtype=np.float32))


POOLINGS: dict[str, Callable[[Array], Array]] = {
    "flatten": flatten,
    "avg": avg,
    "max": maximum,
    "std": std,
    "gem": gem,
    "cls": cls,
    "tokens-avg": tokens_avg,
}
_NEED_TOKENS = frozenset({"cls", "tokens-avg"})


def check_pooling(name: str, map_shape: tuple[int, ...], class_token: bool | None = None) -> None:
    """Raise if ``name`` is no pooling, or one that a map of this shape does not allow.

    ``class_token`` says whether the first token is one; None where that is not known.

    Raises
    ------
    UnknownNameError
        If no pooling has that name.
    UsageError
        If it needs tokens, and the layer gives none or a first one like the others.
    """
    if name not in POOLINGS:
        raise unknown_name("pooling", name, POOLINGS)
    if name in _NEED_TOKENS and len(map_shape) != 2:
        raise UsageError(
            f"pooling {name!r} needs a layer that gives tokens (tokens, channels); this one gives "
            f"{map_shape}; use flatten, avg, max, std or gem"
        )
    if name in _NEED_TOKENS and class_token is False:
        raise UsageError(
            f"pooling {name!r} needs a class token, and this backbone has none: its first token is "
            "a part of the image like the others; use avg"
        )


def pooled_dim(name: str, map_shape: tuple[int, ...]) -> int:
    """Give the length of the vector that pooling ``name`` makes of a map of this shape."""
    check_pooling(name, map_shape)
    if name == "flatten":
        return prod(map_shape)
    return map_shape[1] if len(map_shape) == 2 else map_shape[0]


def pool(x: Array, name: str) -> Array:
    """Pool (n, *map_shape) float32 or float16 maps into (n, d) vectors, C-contiguous.

    They are float32; flattened, float16 maps stay float16.
    """
    check_pooling(name, x.shape[1:])
    if name == "flatten":
        return np.ascontiguousarray(flatten(x))
    return np.ascontiguousarray(POOLINGS[name](x.astype(np.float32, copy=False)), dtype=np.float32)
