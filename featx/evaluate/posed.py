"""What a head minimises on streamed rows, for many training sets, as `featx.solvers.tall` asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._types import Array, Float64s
from featx.evaluate.dual import class_weights, targets

if TYPE_CHECKING:
    from featx.solvers.tall import Loss


@dataclass(frozen=True)
class Sets:
    """Training sets of the same rows.

    Attributes
    ----------
    values
        (n,) class numbers or float64 of all rows.
    used
        (sets, n) bool.
    made
        scikit-learn's estimator, for its parameters.
    """

    values: Array
    used: Array
    made: Any
    n_classes: int

    def by_class(self) -> Float64s | None:
        """Give (sets, classes) weights of classes as each training set says, or None."""
        each = [class_weights(self.made, self.values[own], self.n_classes) for own in self.used]
        return None if each[0] is None else np.stack([w for w in each if w is not None])

    def row_weights(self) -> list[Array]:
        """Give (n,) weights of rows for each set: bool, or those of their classes."""
        by_class = self.by_class()
        if by_class is None:
            return list(self.used)
        return [w[self.values] * own for w, own in zip(by_class, self.used, strict=True)]

    def weights(self, at: Array, rows: slice, kind: Any, by_class: Float64s | None) -> Array:
        """Give (p, 1, b) weights of some rows in the sets ``at``."""
        out: Array = self.used[:, rows][at].astype(kind)
        if by_class is not None:
            out *= by_class[at][:, self.values[rows]]
        return out[:, None]


@dataclass(frozen=True)
class Posed:
    """Problems of every training set, one set after the other.

    Attributes
    ----------
    k
        Rows of weights in a problem.
    each
        Problems of a set.
    s
        The intercept's scaling.
    """

    loss: Loss
    k: int
    each: int
    s: float
    penalised: bool = False


def _svm(sets: Sets) -> Posed:
    from featx.solvers.losses import squared_hinge
    from featx.solvers.svm import row_weights, signs

    by_class, n_classes = sets.by_class(), sets.n_classes
    each = 1 if n_classes == 2 else n_classes

    def loss(F: Array, at: Array, rows: slice) -> Any:
        y, own, machine = signs(sets.values[rows], n_classes), at // each, at % each
        u = sets.weights(own, rows, F.dtype, None)
        if by_class is not None:
            of = {i: row_weights(y, n_classes, by_class[i]) for i in set(own.tolist())}
            u *= np.stack([of[i][c] for i, c in zip(own, machine, strict=True)])[:, None]
        return squared_hinge(F, y[machine].astype(F.dtype)[:, None], u)

    return Posed(loss, 1, each, sets.made.intercept_scaling, penalised=True)


def _svr(sets: Sets) -> Posed:
    from featx.solvers.losses import squared_tube

    def loss(F: Array, at: Array, rows: slice) -> Any:
        u = sets.weights(at, rows, F.dtype, None)
        return squared_tube(F, sets.values[rows].astype(F.dtype), u, sets.made.epsilon)

    return Posed(loss, 1, 1, sets.made.intercept_scaling, penalised=True)


def _ridge(sets: Sets) -> Posed:
    from featx.solvers.losses import squared_tube

    Y, by_class = targets(sets.values, sets.n_classes).T, sets.by_class()
    each = len(Y)

    def loss(F: Array, at: Array, rows: slice) -> Any:
        u = sets.weights(at // each, rows, F.dtype, by_class)
        return squared_tube(F, Y[:, rows][at % each][:, None].astype(F.dtype), u, 0.0)

    return Posed(loss, 1, each, 1.0)


def _logreg(sets: Sets) -> Posed:
    from featx.solvers.losses import many_classes, two_classes

    of_rows, by_class = two_classes if sets.n_classes == 2 else many_classes, sets.by_class()

    def loss(F: Array, at: Array, rows: slice) -> Any:
        return of_rows(F, sets.values[rows], sets.weights(at, rows, F.dtype, by_class))

    return Posed(loss, 1 if sets.n_classes == 2 else sets.n_classes, 1, 1.0)


POSED: Mapping[str, Callable[[Sets], Posed]] = {
    "svm": _svm,
    "svr": _svr,
    "ridge": _ridge,
    "logreg": _logreg,
}
"""Heads by name."""
