"""Fit the final head on its rows, as an ordinary estimator of raw features."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from featx._types import Array, Float64s, Ints
from featx.evaluate.axes import Centred, principal_axes
from featx.evaluate.dual import PATHS, finish, solve
from featx.evaluate.kernel import on_features
from featx.evaluate.result import Params
from featx.evaluate.solve import fit_kernel, fit_network, fit_quietly
from featx.evaluate.space import (
    Block,
    Space,
    lift_weights,
    scaled_features,
    split_features,
)
from featx.evaluate.split import fuse, split_products
from featx.evaluate.tall import fit_one
from featx.evaluate.work import Solver, Stop
from featx.gram import fit_scaler
from featx.heads import HEADS
from featx.solvers import Solution


def fit_final(
    space: Space,
    values: Array,
    classes: Array | None,
    rows: Ints,
    params: Params,
    solver: Solver,
    n_jobs: int = 1,
    known: Solution | None = None,
) -> tuple[Any, Stop]:
    """Fit on ``rows`` and give the estimator of raw features, and how the solver stopped.

    Parameters
    ----------
    values, classes
        (n,) class numbers or float64, and (k,) their labels, or None.
    known
        The answer on inner products, where the search has found it already.
    """
    y = values[rows] if classes is None else classes[values[rows]]
    if space.streamed:
        found = fit_one(space, values, rows, solver, params, n_jobs)
        estimator = finish(solver.make(params), found.coef, found, classes)
        stop = Stop(found.converged, found.reached, found.measure)
    elif not space.on_products:
        estimator, stop = _fit_features(space, y, rows, params, solver)
    elif solver.head in PATHS:
        factors: tuple[float, ...] = (1.0,)
        if known is None:
            known, factors = _solve(space, values, rows, params, solver, n_jobs)
        coef = lift_weights(space, rows, known.beta, factors)
        estimator = finish(solver.make(params), coef, known, classes)
        stop = Stop(known.converged, known.reached, known.measure)
    elif solver.head in ("knn", "rbf"):
        return _fit_kept(space, y, rows, params, solver)
    else:
        estimator, stop = _fit_network(space, y, rows, params, solver)
    estimator.n_features_in_ = space.dim
    return _with_scaler(estimator, space, rows), stop


def _fit_kept(
    space: Space, y: Array, rows: Ints, params: Params, solver: Solver
) -> tuple[Any, Stop]:
    """Fit a head that keeps training rows, on features multiplied as their products are."""
    at = fuse(split_products(space, rows, rows[:0]), solver.weights(params.get("mix")))
    X = scaled_features(space, rows, at.factors)
    if solver.head == "knn":
        estimator, stop = fit_quietly(solver.make(params), X, y, params)
    else:
        estimator, fitted, stop = fit_kernel(at, y, params, solver)
        estimator = on_features(estimator, fitted, X)
    if len(space.blocks) > 1:
        sizes = [block.vectors.shape[1] for block in space.blocks]
        with np.errstate(divide="ignore"):
            estimator = make_pipeline(
                _divider(np.repeat(1 / np.sqrt(at.factors), sizes)), estimator
            )
    return _with_scaler(estimator, space, rows), stop


def _divider(sizes: Float64s) -> StandardScaler:
    """Give what divides each feature by a number; by infinity what has no weight."""
    scaler = StandardScaler(with_mean=False)
    scaler.scale_, scaler.var_, scaler.mean_ = sizes, sizes**2, np.zeros(len(sizes))
    scaler.n_features_in_, scaler.n_samples_seen_ = len(sizes), 1
    return scaler


def _solve(
    space: Space, values: Array, rows: Ints, params: Params, solver: Solver, n_jobs: int
) -> tuple[Solution, tuple[float, ...]]:
    """Solve on inner products; give what those of each block were multiplied by, too."""
    split = split_products(space, rows, rows[:0])
    at = fuse(split, solver.weights(params.get("mix")), narrow=True)
    [solution] = solve(solver, at, values[rows], [params], n_jobs)
    return solution, at.factors


def _fit_features(
    space: Space, y: Array, rows: Ints, params: Params, solver: Solver
) -> tuple[Any, Stop]:
    Z, _ = split_features(space, rows, rows[:0])
    if not HEADS[solver.head].axes:
        return fit_quietly(solver.make(params), Z, y, params)
    centred = Centred.of(Z)
    estimator, stop = fit_network(
        solver.make(params), centred.apply(Z), y, params, **solver.among(rows)
    )
    return _folded(estimator, *centred.fold(estimator.coefs_[0])), stop


def _folded(network: Any, weights: Float64s, offset: Float64s) -> Any:
    """Give a network a first layer for raw features, and forget what only training needs."""
    network.coefs_[0] = weights
    network.intercepts_[0] = network.intercepts_[0] + offset
    for name in ("_optimizer", "_best_coefs", "_best_intercepts"):
        vars(network).pop(name, None)
    return network


def _fit_network(
    space: Space, y: Array, rows: Ints, params: Params, solver: Solver
) -> tuple[Any, Stop]:
    """Fit on principal axes."""
    at = fuse(split_products(space, rows, rows[:0]), solver.weights(params.get("mix")))
    axes = principal_axes(at.inner, at.cross, HEADS[solver.head].axes)
    estimator, stop = fit_network(solver.make(params), axes.Z, y, params, **solver.among(rows))
    beta, offset = axes.lift(np.asarray(estimator.coefs_[0], dtype=np.float64))
    return _folded(estimator, lift_weights(space, rows, beta, at.factors).T, offset), stop


def _with_scaler(estimator: Any, space: Space, rows: Ints) -> Any:
    """Put the scaler before the estimator; of several blocks each has its own."""
    if space.scale == "none":
        return estimator
    stops = np.cumsum([0, *(block.vectors.shape[1] for block in space.blocks)]).tolist()
    scalers = [_scaler(block, space.scale, rows) for block in space.blocks]
    steps = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    if len(scalers) == 1:
        return make_pipeline(scalers[0], *steps)
    spans = [slice(*ends) for ends in pairwise(stops)]
    names = [f"features{i + 1}" for i in range(len(scalers))]
    each = ColumnTransformer(list(zip(names, scalers, spans, strict=True)))
    each.fit(np.zeros((1, stops[-1])))
    for name, scaler in zip(names, scalers, strict=True):
        vars(each.named_transformers_[name]).update(vars(scaler))
    return make_pipeline(each, *steps)


def _scaler(block: Block, scale: str, rows: Ints) -> Any:
    if scale == "l2":
        return Normalizer().fit(np.zeros((1, block.vectors.shape[1])))
    return fit_scaler(block.vectors, rows)
