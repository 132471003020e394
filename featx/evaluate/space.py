"""What a head is fitted on: inner products of scaled rows, or the features themselves.

A head with an L2 penalty, or one that sees distances, needs nothing but the inner products of its
rows. They are taken of all rows once, where the scaling allows it: each row to unit length is done
on them; features scaled by what the training rows of a split say have products of their own. Where
rows are many and features few, the features themselves are less work.

Several kinds of features, *blocks*, are fused by adding their products: this is the head on all
features side by side, each block multiplied by the root of ``weight / variance``, where the
variance is that of the block's training rows around their mean, summed over its features
(Goenen and Alpaydin 2011, *Multiple kernel learning algorithms*: a sum with fixed weights).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    Vectors,
    combine,
    fit_scaler,
    row_sums,
)
from featx.products import single, unit_gram

PRODUCT_ROWS = 5000
"""Rows up to which products are used even where there are fewer features."""

HELD_BYTES = 4 * 2**30
"""Features that are kept in memory where every split reads them again."""


@dataclass(frozen=True)
class Source:
    """One kind of features, and where the products of all their rows come from."""

    vectors: Vectors
    gram: Callable[[], Gram]


@dataclass(frozen=True)
class Block:
    """One kind of features.

    Attributes
    ----------
    vectors
        As they are stored.
    gram
        Of the scaled rows; None where it depends on the split, or features are used.
    lengths
        (n,) what each row was divided by; None where it was not.
    sums
        (n,) sum of each scaled row; None where it depends on the split, or is not needed.
    """

    vectors: Vectors
    gram: Gram | None = None
    lengths: Float64s | None = None
    sums: Float64s | None = None


@dataclass(frozen=True)
class Space:
    """Rows as a head can be fitted on them.

    Attributes
    ----------
    blocks
        Several where features are fused.
    X
        (n, d) float64 features of the only block, scaled but for ``standard``; None where
        products are used.
    streamed
        Whether the only block's rows are read as they are needed, with weights of features sought.
    """

    scale: Scale
    blocks: tuple[Block, ...]
    X: Float64s | None = None
    streamed: bool = False

    @property
    def on_products(self) -> bool:
        """Whether heads are fitted on inner products."""
        return self.X is None and not self.streamed

    @property
    def dim(self) -> int:
        """Features of all blocks."""
        return sum(block.vectors.shape[1] for block in self.blocks)


def make_space(
    sources: Sequence[Source],
    scale: Scale,
    *,
    few_features: bool,
    sums: bool = False,
    streams: bool = False,
) -> Space:
    """Prepare the rows for any number of splits.

    Parameters
    ----------
    few_features
        Whether the head takes the features themselves where they are fewer than the rows.
    sums
        Whether the sum of each row is needed.
    streams
        Whether the head can be fitted on rows that pass by.

    Raises
    ------
    UsageError
        If ``scale`` is no way of scaling.
    """
    if scale not in ("none", "l2", "standard"):
        raise UsageError(f"scale is {scale!r}; expected none, l2 or standard")
    if is_tall(sources, few_features=few_features):
        vectors = sources[0].vectors
        if streams:
            return Space(scale, (Block(held(vectors)),), streamed=True)
        X = single(vectors.read(np.arange(vectors.shape[0]))).astype(np.float64)
        X = Normalizer(copy=False).transform(X) if scale == "l2" else X
        return Space(scale, (Block(vectors),), X)
    return Space(scale, tuple(_block(source, scale, sums) for source in sources))


def is_tall(sources: Sequence[Source], *, few_features: bool) -> bool:
    """Say whether rows are so many that their products are not made."""
    n, d = sources[0].vectors.shape
    return len(sources) == 1 and d <= n and (few_features or n > PRODUCT_ROWS)


def held(vectors: Vectors) -> Vectors:
    """Give the rows in memory as they are stored, where they are not too large for that."""
    n, d = vectors.shape
    if n * d * vectors.dtype.itemsize > HELD_BYTES:
        return vectors
    return ArrayVectors(vectors.read(np.arange(n)))


def _block(source: Source, scale: Scale, sums: bool) -> Block:
    vectors = source.vectors
    if scale == "standard":
        return Block(held(vectors))
    G, total = source.gram(), row_sums(vectors) if sums else None
    if scale == "none":
        return Block(vectors, G, sums=total)
    square = np.diag(G.values)
    lengths = np.where(square == 0, 1.0, np.sqrt(square))
    total = None if total is None else total / lengths
    return Block(vectors, Gram(unit_gram(G.values), G.exact), lengths, total)


def split_features(space: Space, train: Ints, test: Ints) -> tuple[Float64s, Float64s]:
    """Give the features (m, d) and (t, d) of a split where `Space.X` is used."""
    X = np.asarray(space.X)
    Z, T = X[train], X[test]
    if space.scale == "standard":
        scaler = StandardScaler().fit(Z)
        Z, T = scaler.transform(Z), scaler.transform(T) if len(T) else T
    return Z, T


def scaled(block: Block, train: Ints) -> ScaledVectors:
    """Give the vectors of a block, scaled by what the training rows say."""
    scaler = fit_scaler(block.vectors, train)
    return ScaledVectors(block.vectors, scaler.mean_, scaler.scale_)


def lift_weights(space: Space, rows: Ints, beta: Float64s, factors: Sequence[float]) -> Float64s:
    """Give weights (k, d) of the scaled features, all blocks side by side.

    Parameters
    ----------
    beta
        (k, m) weights of ``rows``, on products that were multiplied by ``factors``.
    """
    blocks = zip(space.blocks, factors, strict=True)
    return np.hstack([factor * _lift(space, block, rows, beta) for block, factor in blocks])


def _lift(space: Space, block: Block, rows: Ints, beta: Float64s) -> Float64s:
    if space.scale == "standard":
        return combine(scaled(block, rows), rows, beta)
    if block.lengths is not None:
        beta = beta / block.lengths[rows]
    return combine(block.vectors, rows, beta)


def scaled_features(space: Space, rows: Ints, factors: Sequence[float]) -> Array:
    """Give the scaled features (m, d) in float32, all blocks side by side, times their roots."""
    each = []
    for block, factor in zip(space.blocks, factors, strict=True):
        if space.scale == "standard":
            X = scaled(block, rows).read(rows)
        else:
            X = single(block.vectors.read(rows))
            X = Normalizer(copy=False).transform(X) if space.scale == "l2" else X
        each.append(X if factor == 1 else X * np.sqrt(factor))
    return each[0] if len(each) == 1 else np.hstack(each)
