"""One kind of features: the rows of a view in one store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featx._types import Array, Ints, JsonObject
    from featx.recipe import Recipe
    from featx.store import FeatureStore


@dataclass(frozen=True, eq=False)
class Kind:
    """Rows of one store, in a view's order.

    Attributes
    ----------
    store
        Where the vectors lie.
    rows
        (n,) int64: where in the store.
    """

    store: FeatureStore
    rows: Ints

    @property
    def recipe(self) -> Recipe:
        """What the vectors are."""
        return self.store.recipe

    @property
    def label(self) -> str:
        """The store's short name."""
        return self.recipe.label

    @property
    def name(self) -> str:
        """The label with the start of the recipe's hash: what fits this store alone."""
        return f"{self.label}#{self.recipe.hash[:8]}"

    @property
    def fingerprint(self) -> str:
        """Hex identity of the ordered rows; a repaired row changes it."""
        return self.store.fingerprint(self.rows)

    @property
    def provenance(self) -> JsonObject:
        """How the newest of the vectors were made, and from which weights."""
        return dict(self.store.runs[-1]["provenance"]) if self.store.runs else {}

    def take(self, rows: Array) -> Kind:
        """Give ``rows`` ((m,) int or bool), in that order."""
        return replace(self, rows=self.rows[rows])
