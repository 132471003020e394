"""Losses of rows: their derivatives by the decision values.

``F`` (..., k, m) are decision values, k of each row, ``codes`` (m,) classes and ``u`` weights of
rows, of a shape that fits. What comes back is the gradient, and the Hessian as a function of
(..., k, m), in the type that it is given. Of negative log-likelihoods of classes these are
``u (p - y)`` and ``u (p X - p (p' X))`` in each row (Bishop 2006, *Pattern recognition and machine
learning*, equations 4.91, 4.97, 4.109 and 4.110).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, softmax

from featx._types import Array, Ints

Hessian = Callable[[Array], Array]


def two_classes(F: Array, codes: Ints, u: Array) -> tuple[Array, Hessian]:
    """Give the derivatives of the logistic loss; class 1 is the positive one, k is 1."""
    sign = np.where(codes == 1, 1.0, -1.0).astype(F.dtype)
    wrong = expit(-sign * F)
    h = u * wrong * expit(sign * F)
    return -sign * u * wrong, lambda X: h.astype(X.dtype) * X


def many_classes(F: Array, codes: Ints, u: Array) -> tuple[Array, Hessian]:
    """Give the derivatives of the softmax loss.

    Where a class has nearly all of the probability, neither ``p - 1`` nor ``p X - p (p' X)`` is
    made as a difference: the one is the sum of the others, and ``X`` counts from its value there.
    """
    p = softmax(F, axis=-2)
    R, own = p.copy(), np.broadcast_to(codes, (*F.shape[:-2], 1, len(codes)))
    np.put_along_axis(R, own, 0.0, axis=-2)
    np.put_along_axis(R, own, -R.sum(axis=-2, keepdims=True), axis=-2)
    top = F.argmax(axis=-2, keepdims=True)

    def hessian(X: Array) -> Array:
        share = p.astype(X.dtype)
        from_top = X - np.take_along_axis(X, top, axis=-2)
        from_top -= np.einsum("...cm,...cm->...m", share, from_top)[..., None, :]
        from_top *= share
        from_top *= u.astype(X.dtype)
        return np.asarray(from_top)

    return R * u, hessian


def squared_hinge(F: Array, y: Array, u: Array) -> tuple[Array, Hessian]:
    """Give the derivatives of ``u max(0, 1 - y F)^2`` for signs ``y``, generalised at its kink."""
    slack = np.maximum(1 - y * F, 0.0)
    h = np.where(slack > 0, 2 * u, 0.0)
    return -2 * u * y * slack, lambda X: h.astype(X.dtype) * X


def squared_tube(F: Array, y: Array, u: Array, eps: float) -> tuple[Array, Hessian]:
    """Give the derivatives of ``u max(0, |F - y| - eps)^2``: with ``eps`` of 0, squared errors."""
    off = F - y
    over = np.maximum(np.abs(off) - eps, 0.0)
    h = np.where((over > 0) | (eps == 0), 2 * u, 0.0)
    return 2 * u * np.sign(off) * over, lambda X: h.astype(X.dtype) * X
