"""Support vector machines with a kernel, on kernels of inner products.

scikit-learn's SVC and SVR take a precomputed kernel. ``|x - z|^2 = x x - 2 x z + z z``, so that
every kernel of theirs comes from inner products. ``gamma="scale"`` is one over the number of
features times the variance of all values of the training rows, in feature space: their mean needs
the sum of each row besides.

What comes out is the estimator that scikit-learn's own ``fit`` on the features would give: it keeps
its support vectors, each as long as a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from featx._types import Array, Float64s

if TYPE_CHECKING:
    from featx.evaluate.split import Products


def with_gamma(estimator: Any, at: Products) -> Any:
    """Give the estimator with a number for its ``gamma``, by the training rows of ``at``."""
    m, gamma = len(at.inner), estimator.gamma
    if gamma == "auto":
        gamma = 1.0 / at.dim
    elif gamma == "scale":
        mean = at.sums.sum() / (m * at.dim)
        variance = np.trace(at.inner) / (m * at.dim) - mean**2
        gamma = 1.0 / (at.dim * variance) if variance > 0 else 1.0
    return clone(estimator).set_params(gamma=float(gamma))


def kernel(estimator: Any, products: Float64s, a: Float64s, b: Float64s) -> Float64s:
    """Give the kernel (m, t) of rows whose squares are ``a`` (m,) and ``b`` (t,)."""
    kind, gamma = estimator.kernel, estimator.gamma
    out: Float64s
    if kind == "rbf":
        out = np.exp(-gamma * np.maximum(a[:, None] + b - 2 * products, 0.0))
    elif kind == "poly":
        out = (gamma * products + estimator.coef0) ** estimator.degree
    elif kind == "sigmoid":
        out = np.tanh(gamma * products + estimator.coef0)
    else:
        out = products
    return out


def train_kernel(estimator: Any, at: Products) -> Float64s:
    """Give the kernel (m, m) of the training rows."""
    own = np.diag(at.inner)
    return kernel(estimator, at.inner, own, own)


def test_kernel(estimator: Any, at: Products) -> Float64s:
    """Give the kernel (t, m) of test rows with training rows."""
    return kernel(estimator, at.cross, np.diag(at.inner), at.square).T


def on_features(estimator: Any, fitted: Any, X: Array) -> Any:
    """Give ``estimator``, whose ``gamma`` is a number, as if fitted on the features ``X`` (m, d).

    Parameters
    ----------
    fitted
        The same with ``kernel="precomputed"``, fitted on their kernel.
    """
    made = clone(estimator)
    own = made.get_params()
    state = {name: value for name, value in vars(fitted).items() if name not in own}
    vars(made).update(state)
    made.support_vectors_ = np.ascontiguousarray(X[fitted.support_], dtype=np.float64)
    made._gamma = made.gamma
    made.shape_fit_ = X.shape
    made.n_features_in_ = X.shape[1]
    return made
