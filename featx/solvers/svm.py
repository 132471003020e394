"""Linear support vector machines, one class against the rest, as liblinear and LinearSVC pose them.

For each class, with ``y_i = 1`` on its rows and -1 on the others, the weights minimise

    P(w) = 1/2 |w|^2 + sum_i C_i loss(y_i (w x_i + w_0 s))
    loss(z) = max(0, 1 - z)^2  or  max(0, 1 - z)

where ``s`` is the intercept's scaling: ``w_0`` is penalised like every other weight, and the
intercept is ``w_0 s``. Written with ``b_i = alpha_i y_i`` its dual is that of `box` with ``p = y``
and ``K + s^2`` for ``K`` (Hsieh et al. 2008, *A dual coordinate descent method for large-scale
linear SVM*, equations 1 to 4; Fan et al. 2008, *LIBLINEAR*, appendix A).

``C_i`` is C times the weight of the class that a machine is for, on that class' rows, and C on all
others; of two classes there is one machine, and each has its weight. That is liblinear's reading.

A machine is done when no derivative into the box exceeds ``tol / 2``, from which liblinear's own
rule (largest less smallest projected gradient at most ``tol``) follows, and the duality gap is at
most ``tol``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx._types import Array, Float64s, Ints
from featx.solvers.box import Machines, solve_path
from featx.solvers.solution import Solution


def svm_path(
    K: Array,
    codes: Ints,
    n_classes: int,
    Cs: Sequence[float],
    *,
    loss: str = "squared_hinge",
    fit_intercept: bool = True,
    intercept_scaling: float = 1.0,
    class_weight: Float64s | None = None,
    tol: float = 1e-4,
    max_iter: int = 100_000,
    seed: int = 0,
    n_jobs: int = 1,
) -> list[Solution]:
    """Fit a machine for each class and each value of C.

    Parameters
    ----------
    K
        (m, m) inner products of the training rows, float32 or float64.
    codes
        (m,) class numbers 0..n_classes-1.
    loss
        ``squared_hinge`` or ``hinge``.
    class_weight
        (n_classes,) None: 1 for all.
    n_jobs
        Threads that share the classes.

    Returns
    -------
    solutions : list of Solution
        One for each of ``Cs``, in their order; a single row of ``beta``, for class 1, where there
        are two classes.
    """
    y = signs(codes, n_classes)
    machines = Machines(
        p=y,
        weight=row_weights(y, n_classes, class_weight),
        squared=loss == "squared_hinge",
        signed=True,
        eps=0.0,
        slack=lambda F: np.maximum(1 - y * F, 0.0),
        tol=np.full(len(y), tol / 2),
        s=intercept_scaling if fit_intercept else 0.0,
    )
    return solve_path(K, machines, Cs, tol, max_iter, seed, n_jobs)


def signs(codes: Ints, n_classes: int) -> Float64s:
    """Give (k, m) 1 on the rows of a class and -1 elsewhere; class 1 alone where there are two."""
    classes = np.array([1]) if n_classes == 2 else np.arange(n_classes)
    y: Float64s = np.where(codes == classes[:, None], 1.0, -1.0)
    return y


def row_weights(y: Float64s, n_classes: int, class_weight: Float64s | None) -> Float64s:
    """Give (k, m) ``C_i / C`` from weights of classes (n_classes,)."""
    if class_weight is None:
        return np.ones(y.shape)
    own, other = class_weight[:, None], 1.0
    if n_classes == 2:
        own, other = class_weight[1], class_weight[0]
    weight: Float64s = np.where(y > 0, own, other)
    return weight
