"""Ridge regression on inner products: all alphas from one decomposition.

Ridge weights minimise ``sum_i s_i^2 |y_i - w x_i - b|^2 + alpha |w|^2``, ``s_i^2`` the weight of a
row, ``b`` free. With ``w = beta X``, ``beta = s gamma`` and ``T = s Y`` the minimum is where

    A gamma + s b = T,    s' gamma = 0,    A = s K s + alpha I

(Saunders, Gammerman and Vovk 1998, *Ridge regression learning algorithm in dual variables*; with
the border, Suykens and Vandewalle 1999, *Least squares support vector machine classifiers*). Let
``q = s / |s|`` and ``P = I - q q'``. Then ``gamma = C T`` with

    C = A^-1 - A^-1 q q' A^-1 / (q' A^-1 q)
      = (M + alpha I)^-1 - q q' / (c + alpha),    M = P s K s P + c q q'

The second line says the same with no difference of large numbers: ``q`` is an eigenvector of ``M``,
given an eigenvalue ``c`` of the size of the largest. Without an intercept ``q`` is 0. One
eigendecomposition ``M = V diag(d) V'`` gives ``C`` for every alpha; `left_out` has what else it is
good for.

**What alpha can be resolved.** ``K`` is known to about ``eps(K) |K|_F``, eps that of its type
(measured: float32 products of 25,088 features err by a twentieth of that), and eigenvalues are
computed to ``m eps(float64) |K|_F``. Those below the sum of both, the noise floor, count as zero:
in such a direction ridge would take up a share of at most ``floor / (floor + alpha)`` of the
targets, and takes up none. Nor do they appear in ``beta``, where they would be divided by alpha and
add nothing to ``w``. So every alpha is resolved where the rest of the spectrum lies far above the
floor, and else those alphas that do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, cho_solve, eigh, lapack

from featx._types import Array, Float64s
from featx.errors import UsageError
from featx.solvers.solution import Solution

_MANY = 8
"""Alphas from which one eigendecomposition costs less than a Cholesky factor for each."""

CLEAR = 1e3
"""Alphas above this many noise floors need no eigenvalues: beside them, what counts as 0 is 0."""

_ROUNDED = 1e-5
"""Share of the targets to which their spread is added where residuals are judged: a spread that is
nearly nothing beside their mean is known to rounding alone."""

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Posed:
    """A ridge but for its alpha, in the letters of the module's docstring.

    Attributes
    ----------
    M
        (m, m) F-contiguous; its lower half is meant. Used up by `spectrum`.
    T
        (m, t) with ``q' T = 0``, so that ``C T = (M + alpha I)^-1 T``.
    q
        (m,) unit vector, or zeros.
    c
        ``|s K s|_F``.
    v
        Largest diagonal value of ``P s K s P``: what a row's variance can be.
    floor
        Eigenvalues of ``M`` below it count as zero.
    """

    M: Float64s
    T: Float64s
    q: Float64s
    c: float
    v: float
    floor: float


def ridge_path(
    K: Array,
    Y: Float64s,
    alphas: Sequence[float],
    *,
    weights: Float64s | None = None,
    fit_intercept: bool = True,
) -> list[Solution]:
    """Fit a ridge for each alpha.

    Parameters
    ----------
    K
        (m, m) inner products of the training rows, float32 or float64.
    Y
        (m, t) targets.
    alphas
        Above 0.
    weights
        (m,) weight of each row, at least 0; None: 1.

    Returns
    -------
    solutions : list of Solution
        One for each of ``alphas``, in their order; a row of ``beta`` for each target. ``reached``
        is ``|K r| / (|K|_F |r_0|)``, where ``K r = 0`` are the normal equations and ``r_0`` is
        ``r`` at ``w = 0``, with 1e-5 of ``Y`` added to its length; converged where it is below the
        root of eps of ``K``'s type.

    Raises
    ------
    UsageError
        If an alpha is not above 0.
    """
    w = np.ones(len(K)) if weights is None else np.asarray(weights, dtype=np.float64)
    s = np.sqrt(w)
    posed = pose(K, Y, alphas, s, fit_intercept)
    return [
        solution(K, Y, w, alpha, s[:, None] * gamma, fit_intercept)
        for alpha, gamma in zip(alphas, gammas(posed, alphas), strict=True)
    ]


def pose(K: Array, Y: Float64s, alphas: Sequence[float], s: Float64s, fit_intercept: bool) -> Posed:
    """Build ``M`` and ``T`` from ``K`` (m, m), ``Y`` (m, t) and roots of weights ``s`` (m,).

    Raises
    ------
    UsageError
        If an alpha is not above 0.
    """
    check_alphas(alphas)
    M = K.astype(np.float64)
    M *= s
    M *= s[:, None]
    c = float(np.linalg.norm(M))
    T = s[:, None] * Y
    q = s / np.linalg.norm(s) if fit_intercept else np.zeros(len(s))
    T -= np.outer(q, q @ T)
    r = M @ q
    half = r - (q @ r + c) / 2 * q
    M = blas.dsyr2(-1.0, q, half, a=M.T, lower=1, overwrite_a=1)
    v = float((np.diag(M) - c * q**2).max())
    floor = (float(np.finfo(K.dtype).eps) + len(K) * EPS) * c
    return Posed(M, T, q, c, v, floor)


def check_alphas(alphas: Sequence[float]) -> None:
    """Refuse an alpha that is not above 0.

    Raises
    ------
    UsageError
        If there is one.
    """
    for alpha in alphas:
        if not 0 < alpha < np.inf:
            raise UsageError(
                f"alpha is {alpha}, and ridge needs a finite one above 0; a small one such as 1e-4 "
                "all but takes the penalty away"
            )


def are_few(alphas: Sequence[float], least: float) -> bool:
    """Say whether a Cholesky factor for each alpha is cheaper, and good enough as all are large."""
    return len(alphas) < _MANY and min(alphas, default=0.0) > least


def spectrum(posed: Posed) -> tuple[Float64s, Float64s]:
    """Give ``d`` (m,), 0 below the floor, and ``V`` (m, m), which takes the memory of ``M``."""
    d, V = eigh(posed.M, lower=True, driver="evd", overwrite_a=True, check_finite=False)
    return np.where(d > posed.floor, d, 0.0), V


def shifted_factor(posed: Posed, alpha: float) -> Float64s:
    """Give the lower Cholesky factor of ``M + alpha I`` in new memory, F-contiguous."""
    A = posed.M.copy(order="F")
    A[np.diag_indices_from(A)] += alpha
    return cholesky(A)


def cholesky(A: Float64s) -> Float64s:
    """Give the lower Cholesky factor of ``A``, F-contiguous, in its memory; the upper half is junk.

    Raises
    ------
    LinAlgError
        If ``A`` is not positive definite.
    """
    L, failed = lapack.dpotrf(A, lower=1, clean=0, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(f"the minor of order {failed} is not positive definite")
    return np.asarray(L)


def gammas(posed: Posed, alphas: Sequence[float]) -> Iterator[Float64s]:
    """Give ``C T`` for each alpha, less what lies in directions that count as zero."""
    if are_few(alphas, CLEAR * posed.floor):
        for alpha in alphas:
            yield cho_solve((shifted_factor(posed, alpha), True), posed.T, check_finite=False)
        return
    d, V = spectrum(posed)
    yield from of_spectrum(d, V, posed, alphas)


def of_spectrum(
    d: Float64s, V: Float64s, posed: Posed, alphas: Sequence[float]
) -> Iterator[Float64s]:
    """Give ``C T`` for each alpha, less what lies in directions that count as zero."""
    VT = V.T @ posed.T
    VT[d == 0] = 0.0
    for alpha in alphas:
        yield V @ (VT / (d + alpha)[:, None])


def solution(
    K: Array, Y: Float64s, w: Float64s, alpha: float, beta: Float64s, fit_intercept: bool
) -> Solution:
    """Give the answer for ``beta``: its intercept makes ``w' r = 0``; measure what was reached."""
    mean = w / w.sum() if fit_intercept else np.zeros(len(w))
    F = K @ beta
    intercept = mean @ (Y - F)
    r = w[:, None] * (Y - F - intercept) - alpha * beta
    start = np.linalg.norm(w[:, None] * (Y - mean @ Y), axis=0)
    start += _ROUNDED * np.linalg.norm(w[:, None] * Y, axis=0)
    start *= float(np.linalg.norm(K))
    left = np.linalg.norm(K @ r, axis=0)
    reached = float((left / np.where(start > 0, start, 1.0)).max())
    met = reached <= np.sqrt(np.finfo(K.dtype).eps)
    return Solution(np.ascontiguousarray(beta.T), intercept, reached, "residual", 1, bool(met))
