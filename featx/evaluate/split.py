"""The inner products of a split, taken out of those of all rows; several kinds are added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError
from featx.evaluate.space import Block, Space, scaled
from featx.gram import Gram, SomeVectors, build_gram

_ROWS = 16
"""Rows of products that are copied at a time: what a core's cache holds."""


@dataclass(frozen=True)
class Products:
    """Inner products of a split: training rows (m, m), and with its test rows (m, t).

    Attributes
    ----------
    square
        (t,) of each test row with itself.
    exact
        As `Gram.exact`.
    dim
        Features.
    sums
        (m,) sum of each training row; zeros where it is not needed, or features were centred.
    factors
        One a block: what its products were multiplied by.
    """

    inner: Array
    cross: Float64s
    square: Float64s
    exact: bool
    dim: int
    sums: Float64s
    factors: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Split:
    """The products of each block, before they are added.

    Attributes
    ----------
    grams
        One a block, of the same rows.
    sums
        (blocks, m), as in `Products`.
    variances
        (blocks,) of the training rows around their mean; 1 where there is a single block.
    train, test
        Rows of ``grams``.
    """

    grams: tuple[Gram, ...]
    dims: tuple[int, ...]
    sums: Float64s
    variances: Float64s
    train: Ints
    test: Ints


def split_products(space: Space, train: Ints, test: Ints) -> Split:
    """Give the products of a split; its training rows alone decide the scaling.

    Raises
    ------
    UsageError
        If one block of several is constant in the training rows.
    """
    blocks, m = space.blocks, len(train)
    sums = np.array([np.zeros(m) if b.sums is None else b.sums[train] for b in blocks])
    grams = tuple(_gram(block, train, test) for block in blocks)
    if space.scale == "standard":
        train, test = np.arange(m), np.arange(m, m + len(test))
    variances = np.ones(len(blocks))
    if len(blocks) > 1:
        variances = np.array([_variance(gram.values, train) for gram in grams])
    if len(constant := np.flatnonzero(variances <= 0)):
        raise UsageError(f"the features number {constant[0] + 1} are constant: leave them out")
    dims = tuple(block.vectors.shape[1] for block in blocks)
    return Split(grams, dims, sums, variances, train, test)


def _gram(block: Block, train: Ints, test: Ints) -> Gram:
    """Give the products of all rows, or make those of rows scaled by what training rows say."""
    if block.gram is not None:
        return block.gram
    return build_gram(SomeVectors(scaled(block, train), np.concatenate([train, test])))


def _variance(values: Float64s, train: Ints) -> float:
    """Give the variance of the training rows around their mean, summed over features."""
    among = np.zeros(len(values))
    among[train] = 1 / len(train)
    return float(np.diag(values)[train].mean() - among @ (values @ among))


def fuse(split: Split, weights: Sequence[float], *, narrow: bool = False) -> Products:
    """Add the products of all blocks, each divided by its variance; one block stays as it is.

    Parameters
    ----------
    narrow
        Whether the head takes those of training rows in float32, where they are known to no more.
    """
    factors = [1.0]
    if len(split.grams) > 1:
        factors = (np.asarray(weights) / split.variances).tolist()
    used = [(f, gram) for f, gram in zip(factors, split.grams, strict=True) if f > 0]
    exact = all(gram.exact for _, gram in used)
    train, test = split.train, split.test
    inner = np.empty((len(train), len(train)), np.float32 if narrow and not exact else np.float64)
    cross = np.empty((len(train), len(test)))
    for start in range(0, len(train), _ROWS):
        total = _total(used, train[start : start + _ROWS])
        inner[start : start + _ROWS] = total.take(train, axis=1)
        cross[start : start + _ROWS] = total.take(test, axis=1)
    diagonals = np.array([f * np.diag(gram.values)[test] for f, gram in used])
    return Products(
        inner=inner,
        cross=cross,
        square=diagonals.sum(axis=0),
        exact=exact,
        dim=sum(split.dims),
        sums=np.sqrt(factors) @ split.sums,
        factors=tuple(factors),
    )


def _total(used: Sequence[tuple[float, Gram]], rows: Ints) -> Float64s:
    """Give the added products of ``rows`` with all rows."""
    (first, gram), *others = used
    total: Float64s = gram.values.take(rows, axis=0)
    if first != 1.0:
        total *= first
    for factor, gram in others:
        total += factor * gram.values.take(rows, axis=0)
    return total
