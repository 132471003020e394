"""Inner products of rows of features: built in blocks, kept, extended."""

from featx.gram.build import Gram, build_gram
from featx.gram.cached import prune, stored_gram
from featx.gram.device import torch_device
from featx.gram.scaled import ScaledVectors, SomeVectors, UnitVectors, fit_scaler, fit_scalers
from featx.gram.vectors import (
    ArrayVectors,
    StoreVectors,
    Vectors,
    as_vectors,
    combine,
    parts,
    row_sums,
)

__all__ = [
    "ArrayVectors",
    "Gram",
    "ScaledVectors",
    "SomeVectors",
    "StoreVectors",
    "UnitVectors",
    "Vectors",
    "as_vectors",
    "build_gram",
    "combine",
    "fit_scaler",
    "fit_scalers",
    "parts",
    "prune",
    "row_sums",
    "stored_gram",
    "torch_device",
]
