"""Logistic regression on inner products, as scikit-learn's LogisticRegression poses it.

With a row ``w`` of weights for each class, or one for two classes, and a free intercept ``b``,

    P(w, b) = sum_i u_i loss_i(w x_i + b) + |w|^2 / (2 C),    u_i the weight of a row

``loss_i`` the negative logarithm of the probability given to the class of row i: the softmax of all
decision values, or for two classes the logistic function of the one (Bishop 2006, *Pattern
recognition and machine learning*, equations 4.90 and 4.108). With ``w = B X``, the gradient by
``w`` is ``R X`` and the Hessian takes ``D X`` to ``T(D) X``, where

    F = B K + b,    R = u (p - y) + B / C,    T(D) = H(D K) + D / C

and ``H(X) = u (p X - p (p' X))`` is the second derivative of the loss in each row. So Newton's
method with conjugate gradients (Lin, Weng and Keerthi 2008, *Trust region Newton method for
large-scale logistic regression*, has it in ``w``) works on coefficients of rows, with scalar
products in the metric ``K``: one product with it a round, for all classes together.

**The intercept.** Adding a vector to all rows changes ``b`` and nothing else, so ``K`` is centred,
``B 1 = 0``, and ``sigma 1 1' / m`` is put in the empty place: a constant part of ``D`` is then a
change of ``b``. That is also what makes it fast: features that are not negative have one eigenvalue
far above all others, their mean's, and conjugate gradients pay for the ratio. Beyond that no
preconditioner paid. Measured on 1,500 rows of VGG16 features, 7 classes, C = 1e-4, 1e-3 ... 1: 90
to 175 products for each C; the inverse of ``h K + I / C`` spares none at the larger C, and costs as
much as 60; scaling by the diagonal of the Hessian needs more.

**What is measured.** Steps are sought in float32 (`metric` says when); all that they are judged by
is computed in float64. ``P`` less ``|w|^2 / (2 C)`` is convex, so the relative error of ``w`` is at
most

    C |R X| / |w|,    |R X|^2 = tr(R K R'),    |w|^2 = tr(B K B')

where the intercept is the best for ``w``. ``reached`` is the larger of that and the mean of ``R``,
the intercept's gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from featx._types import Array, Float64s, Ints
from featx.solvers.losses import Hessian, many_classes, two_classes
from featx.solvers.metric import Metric, centred, make_metric
from featx.solvers.solution import Solution

_FORCING = 0.1
"""Share of the gradient that a step's linear equations may leave: quick, and still superlinear."""

_ENOUGH = 0.3
"""Or the share of the tolerance that it may leave, for the last step."""

_RISING = 0.1
"""Share of its first slope with which ``P`` may rise at the end of a step."""

_SHORTEST = 1e-6
"""Share of a step below which it is not shortened further."""

_MAX_PRODUCTS = 1000
"""Products with ``K`` in a step."""

_PATIENCE = 10
"""Steps that may pass without coming nearer."""

_Loss = Callable[[Float64s, Ints, Float64s], tuple[Float64s, Hessian]]


@dataclass(frozen=True)
class _Posed:
    """What all values of C have in common: ``K``, (m,) codes and weights of rows, and the loss."""

    metric: Metric
    codes: Ints
    u: Float64s
    loss: _Loss

    def derivatives(self, F: Float64s, B: Float64s, C: float) -> tuple[Float64s, Hessian]:
        """Give ``R`` (k, m) and ``H``."""
        R, hessian = self.loss(F, self.codes, self.u)
        return R + B / C, hessian

    def centre(self, B: Array) -> Array:
        """Take the mean off each row of ``B`` (k, m), where there is an intercept."""
        return centred(B, self.metric.sigma)


def logistic_path(
    K: Array,
    codes: Ints,
    n_classes: int,
    Cs: Sequence[float],
    *,
    weights: Float64s | None = None,
    fit_intercept: bool = True,
    tol: float = 1e-6,
    max_iter: int = 100,
) -> list[Solution]:
    """Fit a logistic regression for each value of C, in rising order, each from the one before.

    Parameters
    ----------
    K
        (m, m) inner products of the training rows, float32 or float64.
    codes
        (m,) class numbers 0..n_classes-1.
    Cs
        Above 0.
    weights
        (m,) weight of each row, at least 0; None: 1.
    tol
        Largest relative error of the weights, as the module's docstring measures it.
    max_iter
        Steps of Newton's method for each C.

    Returns
    -------
    solutions : list of Solution
        One for each of ``Cs``, in their order; a single row of ``beta``, for class 1, where there
        are two classes.
    """
    u = np.ones(len(K)) if weights is None else np.asarray(weights, dtype=np.float64)
    loss = two_classes if n_classes == 2 else many_classes
    posed = _Posed(make_metric(K, fit_intercept), codes, u, loss)
    rows = 1 if n_classes == 2 else n_classes
    B, b = np.zeros((rows, len(codes))), np.zeros(rows)
    found: dict[float, Solution] = {}
    for C in sorted(set(Cs)):
        B, b, reached, n_iter = _newton(posed, C, B, b, tol, max_iter)
        beta = posed.metric.beta(B)
        intercept = b - beta @ K.mean(axis=0, dtype=np.float64) if fit_intercept else b
        found[C] = Solution(beta, intercept, reached, "gradient norm", n_iter, reached <= tol)
    return [found[C] for C in Cs]


def _newton(
    posed: _Posed, C: float, B: Float64s, b: Float64s, tol: float, max_iter: int
) -> tuple[Float64s, Float64s, float, int]:
    """Minimise for one C from coefficients ``B`` and intercepts ``b`` of centred rows."""
    least, least_at = np.inf, 0
    for n_iter in range(max_iter + 1):
        F = posed.metric.times(B) + b[:, None]
        R, hessian = posed.derivatives(F, B, C)
        reached = _reached(posed, C, B, F, R)
        if reached < least:
            least, least_at = reached, n_iter
        if reached <= tol or n_iter == max_iter or n_iter - least_at == _PATIENCE:
            break
        D, Q = _direction(posed, C, R, hessian, max(_FORCING, _ENOUGH * tol / reached))
        if len(D) > 1:
            D -= D.mean(
                axis=0
            )  # classes together: the loss does not see it, the penalty has it at 0
        t = _length(posed, C, B, F, D, Q)
        B = B + t * posed.centre(D)
        b = b + t * posed.metric.sigma * D.mean(axis=1)
    return B, b, reached, n_iter


def _reached(posed: _Posed, C: float, B: Float64s, F: Float64s, R: Float64s) -> float:
    """Give what the module's docstring calls ``reached``."""
    mean = np.abs(R.sum(axis=1)).max() / posed.u.sum() if posed.metric.sigma else 0.0
    gradient = np.sqrt(max(posed.metric.square(R), 0.0))
    length = np.sqrt(max(float(np.vdot(B, F)), 0.0))
    if length == 0:
        return float(mean) if gradient == 0 else np.inf
    return float(max(mean, C * gradient / length))


def _direction(
    posed: _Posed, C: float, R: Float64s, hessian: Hessian, share: float
) -> tuple[Float64s, Float64s]:
    """Solve ``T(D) = -R`` until ``share`` of it is left; give ``D`` (k, m) and ``Q = D N``.

    Conjugate gradients in the metric ``N``: what is left is ``r``, the direction is ``p``, and of
    both their products with ``N`` are kept, so that each round makes one.
    """
    r = posed.metric.start(-R)
    kind = r.dtype.type
    D, Q = np.zeros_like(r), np.zeros_like(r)
    rN = posed.metric.search(r)
    p, pN = r.copy(), rN.copy()
    size = float(np.vdot(r, rN))
    end = share**2 * size
    for _ in range(_MAX_PRODUCTS):
        if size <= end:
            break
        T = hessian(pN) + posed.centre(p) / kind(C)
        curvature = float(np.vdot(pN, T))
        if curvature <= 0:
            break
        step = kind(size / curvature)
        D += step * p
        Q += step * pN
        r -= step * T
        rN = posed.metric.search(r)
        before, size = size, float(np.vdot(r, rN))
        turn = kind(size / before)
        p = r + turn * p
        pN = rN + turn * pN
    return D.astype(np.float64, copy=False), Q.astype(np.float64, copy=False)


def _length(posed: _Posed, C: float, B: Float64s, F: Float64s, D: Float64s, Q: Float64s) -> float:
    """Give how much of the step ``D`` to take: all of it, unless ``P`` then rises again.

    ``P`` is convex, and where its slope along the step is still negative it has only fallen. The
    slope is compared, since differences of ``P`` itself drown in rounding near the minimum.
    """

    def slope(t: float) -> float:
        R, _ = posed.derivatives(F + t * Q, B + t * posed.centre(D), C)
        return float(np.vdot(R, Q))

    t, first = 1.0, -slope(0.0)
    while (now := slope(t)) > _RISING * first and t > _SHORTEST:
        t *= max(first / (first + now), 0.1)
    return t
