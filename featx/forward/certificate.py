"""The proof that a fast way to compute vectors gives what the reference way gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._types import Array, Float32s, Float64s, JsonObject
from featx.pooling import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from featx.backbones import Backbone
    from featx.forward.decoders import Decoder

MIN_COSINE = 0.998
"""What the worst row's cosine with the reference must reach."""
ROWS = 32
"""Images that a certificate is made of, where there are so many."""


@dataclass(frozen=True)
class Sample:
    """Seeded images of those to be embedded, decoded by the reference and otherwise.

    Attributes
    ----------
    images
        (n, H, W, 3), prepared the reference's way; n is 32 where there are so many.
    by
        Gives the same images by another decoder; None where there is none but the reference's.
    """

    images: Array
    by: Callable[[Decoder], Array] | None = None


@dataclass(frozen=True)
class Certificate:
    """How near the vectors of one recipe come to the reference's.

    Attributes
    ----------
    min_cosine, mean_cosine
        Over rows, between the vector and the reference's.
    relative_error
        Mean over rows of ``|v - r| / |r|``.
    rows
        How many images were compared.
    passed
        Whether ``min_cosine`` reaches `MIN_COSINE`; never with a value that is not finite.
    batch_size
        Images in a batch, chosen when the certificate was made.
    """

    min_cosine: float
    mean_cosine: float
    relative_error: float
    rows: int
    passed: bool
    batch_size: int = 0

    def to_json(self) -> JsonObject:
        """Give it as a JSON object, None for what is not finite."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Certificate:
        """Rebuild what `to_json` gave."""
        fields: dict[str, Any] = {n: math.nan if v is None else v for n, v in value.items()}
        return cls(**fields)


def compare(vectors: Array, reference: Array, batch_size: int = 0) -> Certificate:
    """Compare (n, d) vectors with the reference's, row by row, in float64."""
    v, r = vectors.astype(np.float64), reference.astype(np.float64)
    cosine = _cosines(v, r)
    error = np.linalg.norm(v - r, axis=1) / np.maximum(np.linalg.norm(r, axis=1), _TINY)
    low = float(cosine.min())
    return Certificate(
        min_cosine=low,
        mean_cosine=float(cosine.mean()),
        relative_error=float(error.mean()),
        rows=len(v),
        passed=low >= MIN_COSINE,
        batch_size=batch_size,
    )


_TINY = float(np.finfo(np.float64).tiny)


def _cosines(v: Float64s, r: Float64s) -> Float64s:
    """Cosine of each row; 1 where both are zero, 0 where one is, NaN where one is not finite."""
    norms = np.linalg.norm(v, axis=1) * np.linalg.norm(r, axis=1)
    dots = np.einsum("ij,ij->i", v, r)
    both_zero = ~v.any(axis=1) & ~r.any(axis=1)
    return np.where(both_zero, 1.0, dots / np.maximum(norms, _TINY))


def certify(
    backbone: Backbone,
    maps: Sequence[Float32s],
    reference: Sequence[Float32s],
    batch_size: int = 0,
) -> list[Certificate]:
    """Compare the vectors that each recipe makes of an engine's maps with the reference's.

    Parameters
    ----------
    backbone
        What both engines ran.
    maps, reference
        One (n, *map_shape) array for each of its outputs, of the same images; float16 or float32.
    batch_size
        Of the engine.

    Returns
    -------
    One certificate for each of ``backbone.recipes()``, in that order.
    """
    pairs = zip(backbone.outputs, maps, reference, strict=True)
    with np.errstate(invalid="ignore", over="ignore"):
        return [
            compare(pool(fast, name), pool(slow, name), batch_size)
            for output, fast, slow in pairs
            for name in output.poolings
        ]
