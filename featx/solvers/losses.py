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
