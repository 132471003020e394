"""Linear support vector regression as liblinear and LinearSVR pose it.

The weights minimise, with ``s`` the intercept's scaling as in `svm`,

    P(w) = 1/2 |w|^2 + C sum_i loss(|w x_i + w_0 s - y_i|)
    loss(z) = max(0, z - eps)  or its square

whose dual is that of `box` with ``p = y`` and ``K + s^2`` for ``K`` (Ho and Lin 2012, *Large-scale
linear support vector regression*, equations 4 to 6).

It is done when no derivative into the box exceeds ``tol`` times the mean of the derivatives at
``b = 0``, which are ``max(0, |y_i| - eps)``, so that liblinear's rule (their sum at most ``tol``
times what it was at the start) follows, and the duality gap is at most ``tol``: liblinear's rule
alone is met in one sweep at large C, with a gap of some percent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx._types import Array, Float64s
from featx.solvers.box import Machines, solve_path
from featx.solvers.solution import Solution


def svr_path(
    K: Array,
    y: Float64s,
    Cs: Sequence[float],
    *,
    epsilon: float = 0.0,
    loss: str = "epsilon_insensitive",
    fit_intercept: bool = True,
    intercept_scaling: float = 1.0,
    tol: float = 1e-4,
    max_iter: int = 100_000,
    seed: int = 0,
) -> list[Solution]:
    """Fit a regression for each value of C.

    Parameters
    ----------
    K
        (m, m) inner products of the training rows, float32 or float64.
    y
        (m,) targets.
    loss
        ``epsilon_insensitive`` or ``squared_epsilon_insensitive``.

    Returns
    -------
    solutions : list of Solution
        One for each of ``Cs``, in their order, with one row of ``beta``.
    """
    p = y.astype(np.float64)[None]
    start = np.maximum(np.abs(p) - epsilon, 0.0).mean(axis=1)
    machines = Machines(
        p=p,
        weight=np.ones(p.shape),
        squared=loss == "squared_epsilon_insensitive",
        signed=False,
        eps=epsilon,
        slack=lambda F: np.maximum(np.abs(F - p) - epsilon, 0.0),
        tol=tol * start,
        s=intercept_scaling if fit_intercept else 0.0,
    )
    return solve_path(K, machines, Cs, tol, max_iter, seed)
