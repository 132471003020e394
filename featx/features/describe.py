"""What ``result.json`` says of the features that a head was fitted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featx.features.view import joined_hash

if TYPE_CHECKING:
    from featx._types import JsonObject
    from featx.features.kind import Kind
    from featx.features.view import Features


def describe(features: Features) -> JsonObject:
    """Describe one kind of features; several as a whole, and each in ``parts``."""
    parts = [_kind(kind) for kind in features.kinds]
    if len(parts) == 1:
        return parts[0]
    seeds = [part["random_seed"] for part in parts if part["random_seed"] is not None]
    return {
        "label": features.label,
        "hash": joined_hash([part["hash"] for part in parts]),
        "recipe": None,
        "fingerprint": features.fingerprint,
        "dtype": " + ".join(part["dtype"] for part in parts),
        "preprocess": " + ".join(part["preprocess"] for part in parts),
        "random_seed": seeds[0] if seeds else None,
        "depth": None,
        "d": features.dim,
        "parts": parts,
    }


def _kind(kind: Kind) -> JsonObject:
    recipe = kind.recipe
    return {
        "label": kind.label,
        "hash": recipe.hash,
        "recipe": recipe.to_json(),
        "fingerprint": kind.fingerprint,
        "dtype": recipe.dtype,
        "preprocess": recipe.preprocess.describe(),
        "random_seed": recipe.random_seed,
        "depth": (kind.provenance.get("weights") or {}).get("depths", {}).get(recipe.layer),
        "d": kind.store.dim,
    }
