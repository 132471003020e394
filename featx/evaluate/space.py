"""What a head is fitted on: inner products of scaled rows, or the features themselves.

A head with an L2 penalty, or one that sees distances, needs nothing but the inner products of its
rows. They are taken of all rows once, where the scaling allows it: each row to unit length is done
on them; features scaled by what the training rows of a split say have products of their own. Where
rows are many and features few, the features themselves are less work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import Normalizer, StandardScaler

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError
from featx.evaluate.result import Scale
from featx.gram import (
    ArrayVectors,
    Gram,
    ScaledVectors,
    SomeVectors,
    Vectors,
    build_gram,
    combine,
    fit_scaler,
)
from featx.products import single, unit_gram

PRODUCT_ROWS = 5000
"""Rows up to which products are used even where there are fewer features."""

_HELD_BYTES = 4 * 2**30
"""Features that are kept in memory where every split reads them again."""


@dataclass(frozen=True)
class Space:
    """Rows as a head can be fitted on them.

    Attributes
    ----------
    vectors
        As they are stored.
    gram
        Of the scaled rows; None where it depends on the split, or features are used.
    lengths
        (n,) what each row was divided by; None where it was not.
    X
        (n, d) float64 features, scaled but for ``standard``; None where products are used.
    """

    scale: Scale
    vectors: Vectors
    gram: Gram | None = None
    lengths: Float64s | None = None
    X: Float64s | None = None

    @property
    def on_products(self) -> bool:
        """Whether heads are fitted on inner products."""
        return self.X is None


@dataclass(frozen=True)
class Products:
    """Inner products of a split: training rows (m, m), and with its test rows (m, t).

    Attributes
    ----------
    square
        (t,) of each test row with itself.
    exact
        As `Gram.exact`.
    """

    inner: Float64s
    cross: Float64s
    square: Float64s
    exact: bool


def make_space(
    vectors: Vectors, scale: Scale, gram: Callable[[], Gram], *, few_features: bool
) -> Space:
    """Prepare the rows for any number of splits.

    Parameters
    ----------
    gram
        Gives the products of the unscaled rows.
    few_features
        Whether the head takes the features themselves where they are fewer than the rows.

    Raises
    ------
    UsageError
        If ``scale`` is no way of scaling.
    """
    if scale not in ("none", "l2", "standard"):
        raise UsageError(f"scale is {scale!r}; expected none, l2 or standard")
    n, d = vectors.shape
    if d <= n and (few_features or n > PRODUCT_ROWS):
        X = single(vectors.read(np.arange(n))).astype(np.float64)
        return Space(scale, vectors, X=Normalizer(copy=False).transform(X) if scale == "l2" else X)
    if scale == "standard":
        small = n * d * vectors.dtype.itemsize <= _HELD_BYTES
        held = ArrayVectors(vectors.read(np.arange(n))) if small else vectors
        return Space(scale, held)
    G = gram()
    if scale == "none":
        return Space(scale, vectors, G)
    square = np.diag(G.values)
    lengths = np.where(square == 0, 1.0, np.sqrt(square))
    return Space(scale, vectors, Gram(unit_gram(G.values), G.exact), lengths)


def split_products(space: Space, train: Ints, test: Ints) -> Products:
    """Give the inner products of a split; nothing but its training rows decides the scaling."""
    G, rows, m = space.gram, np.concatenate([train, test]), len(train)
    if G is None:
        G = build_gram(SomeVectors(_scaled(space, train), rows))
        train, test = np.arange(m), np.arange(m, len(rows))
    values = G.values
    return Products(
        values[np.ix_(train, train)], values[np.ix_(train, test)], values[test, test], G.exact
    )


def split_features(space: Space, train: Ints, test: Ints) -> tuple[Float64s, Float64s]:
    """Give the features (m, d) and (t, d) of a split where `Space.X` is used."""
    X = np.asarray(space.X)
    Z, T = X[train], X[test]
    if space.scale == "standard":
        scaler = StandardScaler().fit(Z)
        Z, T = scaler.transform(Z), scaler.transform(T) if len(T) else T
    return Z, T


def _scaled(space: Space, train: Ints) -> ScaledVectors:
    scaler = fit_scaler(space.vectors, train)
    return ScaledVectors(space.vectors, scaler.mean_, scaler.scale_)


def lift_weights(space: Space, rows: Ints, beta: Float64s) -> Float64s:
    """Give ``beta X[rows]`` (k, d): weights of the scaled features."""
    if space.scale == "standard":
        return combine(_scaled(space, rows), rows, beta)
    if space.lengths is not None:
        beta = beta / space.lengths[rows]
    return combine(space.vectors, rows, beta)


def scaled_features(space: Space, rows: Ints) -> Array:
    """Give the scaled features (m, d) in float32."""
    if space.scale == "standard":
        return _scaled(space, rows).read(rows)
    X = single(space.vectors.read(rows))
    return Normalizer(copy=False).transform(X) if space.scale == "l2" else X
