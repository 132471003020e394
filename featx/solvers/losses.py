"""Negative log-likelihoods of classes: their derivatives by the decision values of each row.

``F`` (k, m) are decision values, ``codes`` (m,) classes and ``u`` (m,) weights of rows. What comes
back is the gradient ``u (p - y)`` (k, m), and the Hessian as a function of (k, m), in the type that
it is given: ``u (p X - p (p' X))`` in each row (Bishop 2006, *Pattern recognition and machine
learning*, equations 4.91, 4.97, 4.109 and 4.110).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, softmax

from featx._types import Array, Float64s, Ints

Hessian = Callable[[Array], Array]


def two_classes(F: Float64s, codes: Ints, u: Float64s) -> tuple[Float64s, Hessian]:
    """Give the derivatives of the logistic loss; class 1 is the positive one, k is 1."""
    sign = np.where(codes == 1, 1.0, -1.0)
    wrong = expit(-sign * F)
    h = u * wrong * expit(sign * F)
    return -sign * u * wrong, lambda X: h.astype(X.dtype) * X


def many_classes(F: Float64s, codes: Ints, u: Float64s) -> tuple[Float64s, Hessian]:
    """Give the derivatives of the softmax loss.

    Where a class has nearly all of the probability, neither ``p - 1`` nor ``p X - p (p' X)`` is
    made as a difference: the one is the sum of the others, and ``X`` counts from its value there.
    """
    rows = np.arange(len(codes))
    p = softmax(F, axis=0)
    R = p.copy()
    R[codes, rows] = 0.0
    R[codes, rows] = -R.sum(axis=0)
    top = F.argmax(axis=0)

    def hessian(X: Array) -> Array:
        share = p.astype(X.dtype)
        from_top = X - X[top, rows]
        from_top -= np.einsum("cm,cm->m", share, from_top)
        from_top *= share
        from_top *= u.astype(X.dtype)
        return np.asarray(from_top)

    return R * u, hessian


def squared_hinge(F: Float64s, y: Float64s, u: Float64s) -> tuple[Float64s, Hessian]:
    """Give the derivatives of ``u max(0, 1 - y F)^2``, generalised where it has a kink.

    Here ``y`` (k, m) are signs, and ``u`` (k, m) weights of each machine's rows.
    """
    slack = np.maximum(1 - y * F, 0.0)
    h = np.where(slack > 0, 2 * u, 0.0)
    return -2 * u * y * slack, lambda X: h.astype(X.dtype) * X


def squared_tube(F: Float64s, y: Float64s, u: Float64s, eps: float) -> tuple[Float64s, Hessian]:
    """Give the derivatives of ``u max(0, |F - y| - eps)^2`` for targets ``y`` (k, m).

    With ``eps`` of 0 it is the squared error.
    """
    off = F - y
    over = np.maximum(np.abs(off) - eps, 0.0)
    h = np.where((over > 0) | (eps == 0), 2 * u, 0.0)
    return 2 * u * np.sign(off) * over, lambda X: h.astype(X.dtype) * X
