"""Read cached features as arrays: what notebooks and heads work on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from featx import catalog, datasets, targets
from featx.errors import NotFoundError, TargetError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from featx._types import Array, Float32s, Ints, JsonObject, PathLike, Split
    from featx.manifest import Manifest
    from featx.recipe import Recipe
    from featx.store import FeatureStore


@dataclass(frozen=True, eq=False)
class Features:
    """A view of a data set's rows in one store, in the data set's order.

    Attributes
    ----------
    manifest
        The rows that have a vector, n of them.
    failed
        The rows that have none: ``path`` and ``reason``.
    store
        Where the vectors lie.
    rows
        (n,) int64: where in the store.
    target, group
        Names of the columns behind ``y`` and ``groups``.
    """

    manifest: Manifest
    failed: pd.DataFrame
    store: FeatureStore
    rows: Ints
    target: str | None = None
    group: str | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.manifest.name

    @property
    def recipe(self) -> Recipe:
        """What the vectors are."""
        return self.store.recipe

    @property
    def label(self) -> str:
        """The store's short name."""
        return self.recipe.label

    @property
    def fingerprint(self) -> str:
        """Hex identity of the ordered rows; a repaired row changes it."""
        return self.store.fingerprint(self.rows)

    @property
    def provenance(self) -> JsonObject:
        """How the newest of the vectors were made, and from which weights."""
        return dict(self.store.runs[-1]["provenance"]) if self.store.runs else {}

    @cached_property
    def X(self) -> Float32s:
        """(n, d) float32: read once, then kept."""
        return self.store.read(self.rows, np.float32)

    @property
    def raw(self) -> Array:
        """(n, d) as stored; float16 is for moving, not for arithmetic: use ``X`` to compute."""
        return self.store.read(self.rows)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """(n rows) the user's columns, and ``path`` where no column has that name."""
        frame = self.manifest.frame
        if "path" in frame.columns:
            return frame
        return frame.assign(path=self.manifest.path)[["path", *frame.columns]]

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

    def take(self, rows: Array) -> Features:
        """Give the view of ``rows`` ((m,) int or bool), in that order."""
        return replace(self, manifest=self.manifest.take(rows), rows=self.rows[rows])

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
        n, d = len(self), self.store.dim
        failed = f", {len(self.failed)} failed" if len(self.failed) else ""
        return f"<Features {self.name}: {n} x {d} {self.label}{failed}>"

    def _repr_html_(self) -> str:
        facts = {
            "data set": self.name,
            "features": self.label,
            "X": f"{len(self)} x {self.store.dim}, stored as {self.recipe.dtype}",
            "columns": ", ".join(map(str, self.frame.columns)),
            "failed": len(self.failed),
            "preprocessing": self.recipe.preprocess.describe(),
            "store": str(self.store.path),
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{escape(k)}</th>"
            f"<td style='text-align:left'>{escape(str(v))}</td></tr>"
            for k, v in facts.items()
        )
        return f"<table>{cells}</table>{self.frame.head(5).to_html(escape=True)}"


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


def view(manifest: Manifest, store: FeatureStore) -> Features:
    """Give the view of a manifest's rows in a store.

    Raises
    ------
    NotFoundError
        If some images of the manifest were never embedded under the store's recipe.
    """
    import pandas as pd

    readable = np.array([f is None for f in manifest.failure], dtype=bool)
    rows = np.where(readable, store.rows(manifest.digest, manifest.item), -1)
    absent = readable & (rows < 0)
    if absent.any():
        raise NotFoundError(
            f"{int(absent.sum())} of the {len(manifest)} images of {manifest.name} have no vector "
            f"in {store.recipe.label} ({store.path.absolute()}); run `featx extract` on the data "
            "again with the same options: it computes what is missing"
        )
    reasons = np.array(manifest.failure, dtype=object)
    reasons[readable] = store.reasons(rows[readable])
    good = np.array([r is None for r in reasons], dtype=bool)
    failed = pd.DataFrame({"path": manifest.path[~good], "reason": reasons[~good]})
    return Features(manifest.take(good), failed, store, rows[good])


def load(
    data: str | None = None,
    features: str | None = None,
    *,
    target: str | None = None,
    group: str | None = None,
    cache: PathLike | None = None,
    say: Callable[[str], None] | None = None,
) -> Features:
    """Open cached features.

    Parameters
    ----------
    data
        Name of the data set; None for the last extraction's.
    features
        Name of the store, for example ``vgg16:features:flatten@224`` or, where it fits one store
        alone, ``vgg16``; None for the last extraction's.
    target, group
        Columns behind ``y`` and ``groups``; ``y`` is ``label`` unless said otherwise.
    cache
        The cache folder; None for ``FEATX_CACHE``, else ``cache``.
    say
        Called with one line where something was chosen for the caller.

    Raises
    ------
    NotFoundError, AmbiguousNameError
        If a name fits nothing, or several things.
    CorruptStoreError
        If the cache holds other bytes than were written.
    """
    folder = catalog.cache_dir(cache)
    name, store = catalog.choose(folder, data, features, say or (lambda _: None))
    found = view(datasets.load(folder, name), store)
    for column in filter(None, (target, group)):
        found.column(column)
    return replace(found, target=target, group=group)
