"""Fit a head's candidates on one split."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError
from featx.evaluate.axes import Centred, principal_axes
from featx.evaluate.dual import PATHS, checked, solve
from featx.evaluate.kernel import test_kernel, train_kernel, with_gamma
from featx.evaluate.result import Params
from featx.evaluate.scoring import answer, apply
from featx.evaluate.space import Space, split_features
from featx.evaluate.split import Products, fuse, split_products
from featx.evaluate.work import Answer, Job, Solver, Stop
from featx.heads import HEADS


def run_job(space: Space, values: Array, job: Job, solver: Solver, n_jobs: int = 1) -> list[Answer]:
    """Fit every candidate on the training rows and apply it to the test rows.

    Parameters
    ----------
    values
        (n,) class numbers or float64.
    n_jobs
        Threads that may share it.
    """
    if not space.on_products:
        Z, T = split_features(space, job.train, job.test)
        if HEADS[solver.head].axes:
            centred = Centred.of(Z)
            Z, T = centred.apply(Z), centred.apply(T)
        return _fit_all(Z, T, values, job, solver)
    split = split_products(space, job.train, job.test)
    found: dict[int, Answer] = {}
    for mix, members in _by_mix(job.params).items():
        at = fuse(split, solver.weights(mix), narrow=solver.head in PATHS)
        part = replace(job, params=[job.params[i] for i in members])
        found |= dict(zip(members, _on_products(at, values, part, solver, n_jobs), strict=True))
    return [found[i] for i in range(len(job.params))]


def _by_mix(candidates: Sequence[Params]) -> dict[str | None, list[int]]:
    """Group the numbers of candidates by how they weight the blocks."""
    groups: dict[str | None, list[int]] = {}
    for i, params in enumerate(candidates):
        groups.setdefault(params.get("mix"), []).append(i)
    return groups


def _on_products(
    at: Products, values: Array, job: Job, solver: Solver, n_jobs: int
) -> list[Answer]:
    if solver.head == "knn":
        return _neighbours(at.inner, at.cross, at.square, values, job, solver)
    if solver.head == "rbf":
        return _kernel_machines(at, values, job, solver)
    if solver.head not in PATHS:
        axes = principal_axes(at.inner, at.cross, HEADS[solver.head].axes)
        return _fit_all(axes.Z, axes.T, values, job, solver)
    y = values[job.test]
    return [
        answer(solver, s.decide(at.cross), y, Stop(s.converged, s.reached, s.measure))
        for s in solve(solver, at, values[job.train], job.params, n_jobs)
    ]


def _fit_all(Z: Float64s, T: Float64s, values: Array, job: Job, solver: Solver) -> list[Answer]:
    """Fit scikit-learn's estimators on coordinates or features."""
    head = HEADS[solver.head]
    answers, before = [], None
    for params in job.params:
        estimator = solver.make(params)
        if head.warm and before is not None:
            estimator.warm_start = True
            estimator.coef_, estimator.intercept_ = before.coef_, before.intercept_
        fit = fit_network if head.axes else fit_quietly
        before, stop = fit(estimator, Z, values[job.train], params, **solver.among(job.train))
        answers.append(apply(before, stop, T, values[job.test], solver))
    return answers


def _kernel_machines(at: Products, values: Array, job: Job, solver: Solver) -> list[Answer]:
    """Fit support vector machines on kernels of inner products."""
    answers = []
    for params in job.params:
        estimator, fitted, stop = fit_kernel(at, values[job.train], params, solver)
        T = test_kernel(estimator, at)
        answers.append(apply(fitted, stop, T, values[job.test], solver))
    return answers


def fit_kernel(at: Products, y: Array, params: Params, solver: Solver) -> tuple[Any, Any, Stop]:
    """Give the estimator with its gamma, the one fitted on a kernel, and how it stopped."""
    estimator = with_gamma(checked(solver, params), at)
    machine = clone(estimator).set_params(kernel="precomputed")
    return estimator, *fit_quietly(machine, train_kernel(estimator, at), y, params)


def _neighbours(
    inner: Float64s, cross: Float64s, square: Float64s, values: Array, job: Job, solver: Solver
) -> list[Answer]:
    """Fit nearest neighbours on distances that inner products give."""
    own = np.diag(inner)
    answers = []
    for params in job.params:
        estimator = solver.make(params)
        among = _distances(inner, own, own, estimator.metric)
        apart = _distances(cross, own, square, estimator.metric).T
        np.fill_diagonal(among, 0.0)
        estimator.set_params(metric="precomputed")
        fitted, stop = fit_quietly(estimator, among, values[job.train], params)
        answers.append(apply(fitted, stop, apart, values[job.test], solver))
    return answers


def _distances(products: Float64s, a: Float64s, b: Float64s, metric: str) -> Float64s:
    """Give (m, t) distances from products and from the squares of the rows of both sides."""
    if metric == "cosine":
        lengths = np.sqrt(np.outer(np.where(a > 0, a, 1.0), np.where(b > 0, b, 1.0)))
        cosine: Float64s = np.clip(1.0 - products / lengths, 0.0, 2.0)
        return cosine
    euclidean: Float64s = np.sqrt(np.maximum(a[:, None] + b - 2 * products, 0.0))
    return euclidean


def fit_network(
    estimator: Any, Z: Float64s, y: Array, params: Params, **more: Ints
) -> tuple[Any, Stop]:
    """Fit as `fit_quietly`; numbers in their standard deviation, which the last layer undoes.

    A tolerance and a weight decay mean the same then for ages in years and scores from 0 to 1.
    """
    if hasattr(estimator, "predict_proba"):
        return fit_quietly(estimator, Z, y, params, **more)
    mean, size = float(y.mean()), float(y.std()) or 1.0
    fitted, stop = fit_quietly(estimator, Z, (y - mean) / size, params, **more)
    fitted.coefs_[-1] = fitted.coefs_[-1] * size
    fitted.intercepts_[-1] = fitted.intercepts_[-1] * size + mean
    return fitted, stop


def fit_quietly(
    estimator: Any, Z: Float64s, y: Array, params: Params, **more: Ints
) -> tuple[Any, Stop]:
    """Fit, and say whether the solver met its tolerance instead of warning that it did not.

    Raises
    ------
    UsageError
        If scikit-learn does not take the parameters.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ConvergenceWarning)
        warnings.simplefilter("always", LinAlgWarning)
        try:
            estimator.fit(Z, y, **more)
        except ValueError as error:
            words = ", ".join(f"{k}={v}" for k, v in params.items())
            name = type(estimator).__name__
            raise UsageError(f"{name} with {words or 'defaults'}: {error}") from error
    limit = getattr(estimator, "max_iter", None)
    used = getattr(estimator, "n_iter_", None)
    if limit is None or limit < 0 or used is None:  # libsvm's -1 is no limit
        return estimator, Stop(not caught)
    met = int(np.max(used)) < limit
    return estimator, Stop(met and not caught)
