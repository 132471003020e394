"""Predict rows by the ridge trained without them: any training sets, from one decomposition.

The letters are those of `ridge`, all weights 1. Let the rows ``A`` be left out of training, ``B``
the others, and ``e`` what the ridge trained on ``B`` leaves of ``Y``. Give the rows ``A`` the
targets ``Y_A - e_A``, and that ridge fits all rows best, with ``gamma_A = 0``: so
``C_AA (Y_A - e_A) + C_AB Y_B = 0``, which is

    e_A = (C_AA)^-1 (C Y)_A

(An, Liu and Venkatesh 2007, *Fast cross-validation algorithms for least squares support vector
machine and kernel ridge regression*; a single row: Rasmussen and Williams 2006, *Gaussian
processes for machine learning*, equation 5.12). Written with the hat matrix, ``I - H = alpha C``,
the same is ``(I - H_AA)^-1 (Y - H Y)_A``, and ``I - H`` made as a difference cancels where alpha is
small. For nested cross-validation ``A`` is an outer fold with an inner one.

Where rows repeat, or features are few, ``C`` holds ``1 / alpha`` beside ``1 / v``, ``v`` a variance
that the training rows leave unexplained, and directions of eigenvalue 0 are mixed with others by a
share of ``eps c / d``, ``d`` the smallest eigenvalue that is not 0. Predictions then err by about
``(eps c / d) (v / alpha)`` of the targets. A larger alpha changes them by ``alpha / d``, which is
as much for ``r = sqrt(eps c v)``: an alpha below ``r`` counts as ``r`` there, and stays what it is
where no eigenvalue is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import blas, cho_solve, lapack

from featx._types import Array, Float64s, Ints
from featx.solvers.ridge import (
    CLEAR,
    EPS,
    Posed,
    are_few,
    cholesky,
    of_spectrum,
    pose,
    shifted_factor,
    solution,
    spectrum,
)
from featx.solvers.solution import Solution

_DISTINCT = 1e4
"""Alphas above this many ``r`` need no eigenvalues: a Cholesky factor errs by ``(r / alpha)^2``."""

_Block = Callable[[int], Float64s]
"""Number of a set of rows ``A`` to the lower half of ``C_AA``, F-contiguous, to be used up."""

_Inverse = tuple[Float64s, _Block, Float64s]
"""What is needed of ``C`` for one alpha: ``C Y`` (n, t), its blocks, and `gammas` of all rows."""


@dataclass(frozen=True)
class LeftOut:
    """What one alpha gives.

    Attributes
    ----------
    predictions
        For each set, (rows, t) predictions of its rows in their order.
    whole
        Gives the ridge trained on all rows, of which only the residual is still to be measured.
    """

    predictions: list[Float64s]
    whole: Callable[[], Solution]


def left_out(
    K: Array,
    Y: Float64s,
    alphas: Sequence[float],
    sets: Sequence[tuple[Ints, Ints]],
    *,
    fit_intercept: bool = True,
) -> list[LeftOut]:
    """Predict rows by the ridge trained without them, for each alpha and each training set.

    At most four (n, n) float64 arrays are held at once, ``K`` included.

    Parameters
    ----------
    K
        (n, n) inner products of all rows, float32 or float64.
    Y
        (n, t) targets of all rows.
    alphas
        Above 0.
    sets
        For each training set the rows that are left out of it, and those of them to predict.

    Returns
    -------
    found : list of LeftOut
        One for each of ``alphas``, in their order.

    Raises
    ------
    UsageError
        If an alpha is not above 0.
    """
    posed = pose(K, Y, alphas, np.ones(len(K)), fit_intercept)
    outs = [np.sort(out) for out, _ in sets]
    places = [np.searchsorted(out, ask) for out, (_, ask) in zip(outs, sets, strict=True)]
    answers = []
    w = np.ones(len(K))
    for alpha, (gamma, block, beta) in zip(alphas, _inverses(posed, alphas, outs), strict=True):
        residuals = [_residuals(gamma, block, outs, j) for j in range(len(sets))]
        asked = [Y[ask] - e[i] for (_, ask), e, i in zip(sets, residuals, places, strict=True)]
        answers.append(LeftOut(asked, partial(solution, K, Y, w, alpha, beta, fit_intercept)))
    return answers


def left_one_out(
    K: Array, Y: Float64s, alphas: Sequence[float], *, fit_intercept: bool = True
) -> list[Float64s]:
    """Predict each row by the ridge trained on all others, for each alpha.

    Parameters
    ----------
    K, Y, alphas
        Those of `left_out`.

    Returns
    -------
    predictions : list of (n, t) float64

    Raises
    ------
    UsageError
        If an alpha is not above 0.
    """
    posed = pose(K, Y, alphas, np.ones(len(K)), fit_intercept)
    d, V = spectrum(posed)
    VT = V.T @ posed.T
    alphas = _raise_alphas(alphas, posed, d)
    gammas = [V @ (VT / (d + alpha)[:, None]) for alpha in alphas]
    V *= V
    diagonals = [V @ (1 / (d + alpha)) - posed.q**2 / (posed.c + alpha) for alpha in alphas]
    return [Y - gamma / C[:, None] for gamma, C in zip(gammas, diagonals, strict=True)]


def _raise_alphas(alphas: Sequence[float], posed: Posed, d: Float64s) -> list[float]:
    """Give alphas, each at least what can be resolved beside the eigenvalues ``d``."""
    return [max(alpha, _blur(posed)) if np.any(d == 0) else alpha for alpha in alphas]


def _blur(posed: Posed) -> float:
    """Give ``r`` of the module's docstring."""
    return float(np.sqrt(EPS * posed.c * max(posed.v, 0.0)))


def _inverses(posed: Posed, alphas: Sequence[float], outs: Sequence[Ints]) -> Iterator[_Inverse]:
    """Give ``C Y`` (n, t) and blocks of ``C`` for each alpha, the cheapest way."""
    if are_few(alphas, max(CLEAR * posed.floor, _DISTINCT * _blur(posed))):
        for alpha in alphas:
            L = shifted_factor(posed, alpha)
            gamma = cho_solve((L, True), posed.T, check_finite=False)
            C = lapack.dpotri(L, lower=1, overwrite_c=1)[0]
            yield gamma, _of_whole(C, posed, alpha, outs), gamma
        return
    d, V = spectrum(posed)
    VT = V.T @ posed.T
    asked, alphas = alphas, _raise_alphas(alphas, posed, d)
    gammas = [V @ (VT / (d + alpha)[:, None]) for alpha in alphas]
    betas = gammas if (d > 0).all() else list(of_spectrum(d, V, posed, asked))
    if 2 * sum(len(out) ** 2 for out in outs) > len(d) ** 2:
        for alpha, gamma, beta in zip(alphas, gammas, betas, strict=True):
            C = blas.dsyrk(1.0, V / np.sqrt(d + alpha), lower=1)
            yield gamma, _of_whole(C, posed, alpha, outs), beta
        return
    rows = [V[out] for out in outs]
    del V
    for alpha, gamma, beta in zip(alphas, gammas, betas, strict=True):
        yield gamma, _of_rows(rows, 1 / np.sqrt(d + alpha), posed, alpha, outs), beta


def _of_whole(C: Float64s, posed: Posed, alpha: float, outs: Sequence[Ints]) -> _Block:
    """Take blocks out of ``C``, whose ``q`` is still to be taken off its lower half."""
    upper = blas.dsyr(-1 / (posed.c + alpha), posed.q, a=C, lower=1, overwrite_a=1).T
    return lambda j: upper[np.ix_(outs[j], outs[j])].T


def _of_rows(
    rows: Sequence[Float64s], root: Float64s, posed: Posed, alpha: float, outs: Sequence[Ints]
) -> _Block:
    """Make blocks out of the rows ``V_A``: for sets that overlap little, less work than ``C``."""

    def block(j: int) -> Float64s:
        C = blas.dsyrk(1.0, (rows[j] * root).T, trans=1, lower=1)
        q = posed.q[outs[j]]
        lower: Float64s = blas.dsyr(-1 / (posed.c + alpha), q, a=C, lower=1, overwrite_a=1)
        return lower

    return block


def _residuals(gamma: Float64s, block: _Block, outs: Sequence[Ints], j: int) -> Float64s:
    """Give ``e_A`` (rows, t) of the set of a number."""
    e: Float64s = cho_solve((cholesky(block(j)), True), gamma[outs[j]], check_finite=False)
    return e
