"""The coordinates in which a head is fitted, and the way back to features.

Where there are more features than rows, a head is fitted on the few coordinates of `featx.reduce`;
else on the features themselves. Scaling happens here: rows to unit length once for all, features
by what the training rows of each split say.

A network sees more than inner products: its steps depend on the axes. It gets the training rows
centred, turned to their principal axes and divided by one number, all of which are folded into its
first layer afterwards. So it is scikit-learn's network on those coordinates, not the one that
scikit-learn would train on the raw features, and what a test row has outside the span of the
training rows does not reach it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import Normalizer, StandardScaler

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError
from featx.evaluate.result import Scale
from featx.reduce import (
    Factor,
    column_blocks,
    column_scaler,
    combine,
    factor,
    gram,
    scaled_gram,
    unit_gram,
)


@dataclass(frozen=True)
class Space:
    """Rows as a head can be fitted on them.

    Attributes
    ----------
    scale
        What was done, or is to be done, to the features.
    X
        (n, d): float64 and done where ``G`` is None and ``scale`` is not ``standard``; else as
        they came, and None where ``G`` says it all.
    G
        (n, n) inner products of the scaled rows; None where they depend on the split or are not
        needed.
    reduced
        Whether heads are fitted on few coordinates.
    """

    scale: Scale
    X: Array | None
    G: Float64s | None
    reduced: bool


@dataclass(frozen=True)
class Axes:
    """``(Z - mean) V / size``: principal axes of training rows, one size for all."""

    mean: Float64s
    V: Float64s
    size: float

    def apply(self, Z: Float64s) -> Float64s:
        """Give the rows (m, r) on the axes (m, q)."""
        out: Float64s = (Z - self.mean) @ self.V / self.size
        return out


@dataclass(frozen=True)
class Coordinates:
    """Training rows ``Z`` (m, r), test rows ``T`` (t, r), and how ``Z`` was made."""

    Z: Float64s
    T: Float64s
    factor: Factor | None = None
    axes: Axes | None = None


def make_space(X: Array, scale: Scale) -> Space:
    """Prepare ``X`` (n, d) for any number of splits.

    Raises
    ------
    UsageError
        If ``scale`` is no way of scaling, or a value is not finite.
    """
    if scale not in ("none", "l2", "standard"):
        raise UsageError(f"scale is {scale!r}; expected none, l2 or standard")
    reduced = X.shape[1] > X.shape[0]
    if scale == "standard":
        return Space(scale, X, None, reduced)
    if reduced:
        G = gram(X)
        return Space(scale, None, unit_gram(G) if scale == "l2" else G, reduced)
    values = X.astype(np.float64)
    if not np.all(np.isfinite(values)):
        raise UsageError("the features hold values that are not finite; featx verify looks for why")
    return Space(
        scale, Normalizer(copy=False).transform(values) if scale == "l2" else values, None, reduced
    )


def coordinates(space: Space, train: Ints, test: Ints, kind: str) -> Coordinates:
    """Give the coordinates of a split for a head of this `featx.heads.Head.coordinates`.

    Nothing but the training rows shapes them; a test row is only expressed in them.
    """
    if not space.reduced:
        return _features(space, train, test, kind)
    inner, cross, square = _products(space, train, test)
    made = factor(inner)
    Z, T = made.Z, made.project(cross)
    if kind == "distance":
        outside = np.sqrt(np.maximum(square - (T**2).sum(axis=1), 0.0))
        Z, T = np.column_stack([Z, np.zeros(len(Z))]), np.column_stack([T, outside])
    if kind == "axes":
        axes = _principal_axes(Z)
        return Coordinates(axes.apply(Z), axes.apply(T), made, axes)
    return Coordinates(Z, T, made)


def _features(space: Space, train: Ints, test: Ints, kind: str) -> Coordinates:
    """Take the features themselves, scaled by the training rows where that is asked for."""
    X = np.asarray(space.X)
    Z, T = X[train].astype(np.float64), X[test].astype(np.float64)
    if space.scale == "standard":
        scaler = column_scaler(Z)
        Z, T = scaler.transform(Z), scaler.transform(T) if len(T) else T
    if kind == "axes":
        axes = _own_axes(Z)
        return Coordinates(axes.apply(Z), axes.apply(T), None, axes)
    return Coordinates(Z, T)


def _products(space: Space, train: Ints, test: Ints) -> tuple[Float64s, Float64s, Float64s]:
    """Give inner products: train (m, m), train with test (m, t), test with themselves (t,)."""
    if space.G is not None:
        G = space.G
        return G[np.ix_(train, train)], G[np.ix_(train, test)], G[test, test]
    G = scaled_gram(np.asarray(space.X), np.concatenate([train, test]), train)
    m = len(train)
    return G[:m, :m], G[:m, m:], np.diag(G)[m:]


def _principal_axes(Z: Float64s) -> Axes:
    """Centre, turn to the principal axes, and divide by one number: mean square 1 a coordinate."""
    mean = Z.mean(axis=0)
    centred = Z - mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    V = vectors[:, kept][:, ::-1]
    return Axes(mean, V, _size(values[kept].sum() / (len(Z) * max(int(kept.sum()), 1))))


def _own_axes(Z: Float64s) -> Axes:
    """Centre and divide by one number, on the axes that are there."""
    mean = Z.mean(axis=0)
    return Axes(mean, np.eye(Z.shape[1]), _size(((Z - mean) ** 2).mean()))


def _size(mean_square: float) -> float:
    return float(np.sqrt(mean_square)) if mean_square > 0 else 1.0


def lift_weights(
    space: Space, X: Array, rows: Ints, made: Factor | None, weights: Float64s
) -> Float64s:
    """Give ``weights`` (k, r) of coordinates fitted on ``X[rows]`` as weights (k, d) of features.

    The features are scaled ones where ``space.scale`` is not ``none``.
    """
    if made is None:
        return weights
    c, pivots = made.lift(weights), rows[made.pivots]
    if space.scale == "l2":
        return combine(c / _lengths(X, pivots), X, pivots)
    if space.scale == "none":
        return combine(c, X, pivots)
    scaler = fitted_scaler(X, rows)
    out: Float64s = combine(c, X, pivots) - np.outer(c.sum(axis=1), scaler.mean_)
    out /= scaler.scale_
    return out


def _lengths(X: Array, rows: Ints) -> Float64s:
    """Give the length of each row, 1 for a row of zeros."""
    square = np.zeros(len(rows))
    for columns in column_blocks(len(rows), X.shape[1]):
        square += (X[rows, columns].astype(np.float64) ** 2).sum(axis=1)
    return np.where(square == 0, 1.0, np.sqrt(square))


def fitted_scaler(X: Array, rows: Ints) -> StandardScaler:
    """Give the StandardScaler of ``X[rows]``, fitted one block of columns at a time."""
    blocks = column_blocks(len(rows), X.shape[1])
    parts = [column_scaler(X[rows, columns]) for columns in blocks]
    whole = parts[0]
    for name in ("mean_", "scale_", "var_"):
        setattr(whole, name, np.concatenate([getattr(part, name) for part in parts]))
    whole.n_features_in_ = X.shape[1]
    return whole
