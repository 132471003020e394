"""A data set's rows with their vectors: what `featx.load` gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from featx import targets
from featx._html import facts
from featx.errors import TargetError, unknown_name
from featx.features.kind import Kind
from featx.views import Views

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from featx._types import Array, Float32s, Ints, JsonObject, Split
    from featx.manifest import Manifest
    from featx.recipe import Recipe
    from featx.store import FeatureStore


@dataclass(frozen=True, eq=False)
class Features:
    """A view of a data set's rows in one store or several, in the data set's order.

    Attributes
    ----------
    manifest
        The rows that have a vector of each kind, n of them.
    failed
        The rows that have none: ``path`` and ``reason``.
    store
        Where the vectors lie, those of the first kind.
    rows
        (n,) int64: where in the store.
    target, group
        Names of the columns behind ``y`` and ``groups``.
    others
        Further kinds of features of the same rows.
    """

    manifest: Manifest
    failed: pd.DataFrame
    store: FeatureStore
    rows: Ints
    target: str | None = None
    group: str | None = None
    others: tuple[Kind, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.manifest.name

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Each kind of features, in the order that they were named in."""
        return (Kind(self.store, self.rows), *self.others)

    @property
    def recipe(self) -> Recipe:
        """What the vectors are, those of the first kind."""
        return self.store.recipe

    @property
    def label(self) -> str:
        """The store's short name; of several the names, joined by a plus."""
        return " + ".join(kind.label for kind in self.kinds)

    @property
    def dim(self) -> int:
        """Values of a row, all kinds together."""
        return sum(kind.store.dim for kind in self.kinds)

    @property
    def fingerprint(self) -> str:
        """Hex identity of the ordered rows; a repaired row changes it."""
        return joined_hash([kind.fingerprint for kind in self.kinds])

    @property
    def provenance(self) -> JsonObject:
        """How the newest of the vectors of the first kind were made, and from which weights."""
        return self.kinds[0].provenance

    @cached_property
    def X(self) -> Float32s:
        """(n, d) float32, all kinds side by side: read once, then kept."""
        return _side_by_side([kind.store.read(kind.rows, np.float32) for kind in self.kinds])

    @property
    def raw(self) -> Array:
        """(n, d) as stored; float16 is for moving, not for arithmetic: use ``X`` to compute."""
        return _side_by_side([kind.store.read(kind.rows) for kind in self.kinds])

    @cached_property
    def frame(self) -> pd.DataFrame:
        """(n rows) the user's columns; ``path``, and ``item`` where images have several rows.

        Of these two, what a column of the user's is called so is not added.
        """
        frame = self.manifest.frame
        own: dict[str, Array] = {"path": self.manifest.path}
        if self.manifest.item.any():
            own["item"] = self.manifest.item
        new = [name for name in own if name not in frame.columns]
        return frame.assign(**{name: own[name] for name in new})[[*new, *frame.columns]]

    @property
    def y(self) -> Array:
        """(n,) the target column: numbers where every value is one, else as it is.

        Raises
        ------
        TargetError
            If no target is named and there is no column ``label``.
        """
        name = self.target or ("label" if "label" in self.frame.columns else None)
        if name is None:
            raise TargetError(
                f"{self.name} has no column 'label'; choose the target with target=NAME; "
                f"columns: {', '.join(map(str, self.frame.columns))}"
            )
        return as_numbers(self.column(name))

    @property
    def groups(self) -> Array | None:
        """(n,) the group column, or None."""
        return None if self.group is None else self.column(self.group)

    def column(self, name: str) -> Array:
        """Give one column as an (n,) object array.

        Raises
        ------
        UnknownNameError
            If there is no such column.
        """
        if name not in self.frame.columns:
            raise unknown_name("column", name, map(str, self.frame.columns))
        return self.frame[name].to_numpy(dtype=object)

    @cached_property
    def views(self) -> Views | None:
        """Which rows are views of which image; None where an image has no more than one."""
        if not self.recipe.preprocess.is_varied or not self.manifest.item.any():
            return None
        return Views(self.manifest.entry)

    def take(self, rows: Array) -> Features:
        """Give the view of ``rows`` ((m,) int or bool), in that order."""
        others = tuple(kind.take(rows) for kind in self.others)
        return replace(self, manifest=self.manifest.take(rows), rows=self.rows[rows], others=others)

    def split(self, column: str = "split", train: str = "train", test: str = "test") -> Split:
        """Give (train rows, test rows) by the values of a column.

        Raises
        ------
        UnknownNameError
            If there is no such column.
        TargetError
            If either side is empty.
        """
        values = self.column(column)
        sides = np.flatnonzero(values == train), np.flatnonzero(values == test)
        if not all(map(len, sides)):
            have = ", ".join(sorted({str(v) for v in values})[:10])
            raise TargetError(f"column {column!r} holds {have}; expected {train!r} and {test!r}")
        return sides

    def __repr__(self) -> str:
        n, d = len(self), self.dim
        failed = f", {len(self.failed)} failed" if len(self.failed) else ""
        return f"<Features {self.name}: {n} x {d} {self.label}{failed}>"

    def _repr_html_(self) -> str:
        recipes = [kind.recipe for kind in self.kinds]
        dtypes = " and ".join(dict.fromkeys(recipe.dtype for recipe in recipes))
        said = {
            "data set": self.name,
            "features": self.label,
            "X": f"{len(self)} x {self.dim}, stored as {dtypes}",
            "columns": ", ".join(map(str, self.frame.columns)),
            "failed": len(self.failed),
            "preprocessing": "; ".join(dict.fromkeys(r.preprocess.describe() for r in recipes)),
            "store": ", ".join(str(kind.store.path) for kind in self.kinds),
        }
        return facts(said) + self.frame.head(5).to_html(escape=True)


def as_numbers(values: Array) -> Array:
    """Give (n,) numbers where every value is one, integers as such; else the values as they are."""
    import pandas as pd

    missing = np.asarray(pd.isna(values))
    given = targets.as_numbers(values[~missing])
    if given is None or not missing.any():
        return values if given is None else given
    numbers = np.full(len(values), np.nan)
    numbers[~missing] = given
    return numbers


def joined_hash(parts: Sequence[str]) -> str:
    """Give one hash for several hexadecimal ones in their order; a single one stays as it is."""
    if len(parts) == 1:
        return parts[0]
    return blake2b(" ".join(parts).encode(), digest_size=16).hexdigest()


def _side_by_side(blocks: Sequence[Array]) -> Array:
    return blocks[0] if len(blocks) == 1 else np.hstack(blocks)
