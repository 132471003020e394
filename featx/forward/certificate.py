"""The proof that a fast way to compute vectors gives what the reference way gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._types import Array, Float64s, JsonObject
from featx.pooling import pool

if TYPE_CHECKING:
    from featx.backbones import Backbone
    from featx.forward.engine import Engine

MIN_COSINE = 0.998
"""What the worst row's cosine with the reference must reach."""
ROWS = 32
"""Images that a certificate is made of, where there are so many."""


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
    """

    min_cosine: float
    mean_cosine: float
    relative_error: float
    rows: int
    passed: bool

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


def compare(vectors: Array, reference: Array) -> Certificate:
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
    )


_TINY = float(np.finfo(np.float64).tiny)


def _cosines(v: Float64s, r: Float64s) -> Float64s:
    """Cosine of each row; 1 where both are zero, 0 where one is, NaN where one is not finite."""
    norms = np.linalg.norm(v, axis=1) * np.linalg.norm(r, axis=1)
    dots = np.einsum("ij,ij->i", v, r)
    both_zero = ~v.any(axis=1) & ~r.any(axis=1)
    return np.where(both_zero, 1.0, dots / np.maximum(norms, _TINY))


def certify(
    backbone: Backbone, engine: Engine, images: Array, reference: Engine
) -> list[Certificate]:
    """Run images through an engine and through the reference, and compare each recipe's vectors.

    Parameters
    ----------
    backbone
        What both engines run.
    engine
        The fast one.
    images
        (n, H, W, 3), prepared.
    reference
        The one to be compared with.

    Returns
    -------
    One certificate for each of ``backbone.recipes()``, in that order.
    """
    pairs = zip(backbone.outputs, engine(images), reference(images), strict=True)
    with np.errstate(invalid="ignore", over="ignore"):
        return [
            compare(pool(fast, name), pool(slow, name))
            for output, fast, slow in pairs
            for name in output.poolings
        ]
