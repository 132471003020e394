"""Fit a head's candidates on one split, and the final head on all its rows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import get_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError
from featx.evaluate.axes import Centred, principal_axes
from featx.evaluate.dual import PATHS, finish, say, solve
from featx.evaluate.result import Params
from featx.evaluate.space import (
    Block,
    Products,
    Space,
    fuse,
    lift_weights,
    scaled_features,
    split_features,
    split_products,
)
from featx.gram import fit_scaler
from featx.heads import HEADS, output_scores
from featx.metrics import Metric, Outcome, ones


@dataclass(frozen=True)
class Criterion:
    """What chooses among candidates: a metric of ours, or else scikit-learn's scorer ``name``."""

    name: str
    metric: Metric | None
    greater_is_better: bool


@dataclass(frozen=True)
class Solver:
    """What every fit of a run has in common.

    Attributes
    ----------
    n_classes
        0 for a regression.
    mixes
        Name to the weights of the blocks of features; a candidate's ``mix`` is such a name, and
        with a single one no candidate has any.
    """

    head: str
    task: str
    class_weight: str | None
    seed: int
    criterion: Criterion
    n_classes: int
    mixes: Mapping[str, tuple[float, ...]]

    def make(self, params: Params) -> Any:
        """Give an unfitted estimator."""
        own = {name: value for name, value in params.items() if name != "mix"}
        return HEADS[self.head].make(self.task, own, self.class_weight, self.seed)

    def weights(self, mix: str | None) -> tuple[float, ...]:
        """Give the weights of the blocks."""
        return next(iter(self.mixes.values())) if mix is None else self.mixes[mix]


@dataclass(frozen=True)
class Job:
    """One split with the candidates to fit on it."""

    train: Ints
    test: Ints
    params: Sequence[Params]


@dataclass(frozen=True)
class Answer:
    """How one candidate did on one split.

    Attributes
    ----------
    reached
        `Solution.reached` of a head that is solved on inner products; NaN of the others.
    """

    outcome: Outcome
    value: float
    converged: bool
    reached: float = float("nan")


def run_job(space: Space, values: Array, job: Job, solver: Solver) -> list[Answer]:
    """Fit every candidate on the training rows and apply it to the test rows.

    Parameters
    ----------
    values
        (n,) class numbers or float64.
    """
    if not space.on_products:
        Z, T = split_features(space, job.train, job.test)
        if solver.head == "mlp":
            centred = Centred.of(Z)
            Z, T = centred.apply(Z), centred.apply(T)
        return _fit_all(Z, T, values, job, solver)
    blocks = split_products(space, job.train, job.test)
    found: dict[int, Answer] = {}
    for mix, members in _by_mix(job.params).items():
        at = fuse(blocks, solver.weights(mix))
        part = replace(job, params=[job.params[i] for i in members])
        found |= dict(zip(members, _on_products(at, values, part, solver), strict=True))
    return [found[i] for i in range(len(job.params))]


def _by_mix(candidates: Sequence[Params]) -> dict[str | None, list[int]]:
    """Group the numbers of candidates by how they weight the blocks."""
    groups: dict[str | None, list[int]] = {}
    for i, params in enumerate(candidates):
        groups.setdefault(params.get("mix"), []).append(i)
    return groups


def _on_products(at: Products, values: Array, job: Job, solver: Solver) -> list[Answer]:
    if solver.head == "knn":
        return _neighbours(at.inner, at.cross, at.square, values, job, solver)
    if solver.head not in PATHS:
        axes = principal_axes(at.inner, at.cross)
        return _fit_all(axes.Z, axes.T, values, job, solver)
    y = values[job.test]
    return [
        answer(solver, s.decide(at.cross), y, converged=s.converged, reached=s.reached)
        for s in solve(solver, at, values[job.train], job.params)
    ]


def answer(
    solver: Solver, decision: Float64s, y: Array, *, converged: bool, reached: float
) -> Answer:
    """Score decision values (t, k) of test rows."""
    said = say(solver.head, decision, solver.n_classes)
    outcome = Outcome(y, said.prediction, said.scores)
    kind = _SaidProbable if solver.head == "logreg" else _Said
    value = _value(solver, kind(outcome, solver.n_classes), decision, outcome)
    return Answer(outcome, value, converged, reached)


class _Said(BaseEstimator):  # type: ignore[misc]
    """An outcome in the shape of a fitted estimator, for scikit-learn's scorers."""

    def __init__(self, outcome: Outcome, n_classes: int) -> None:
        self.outcome, self.n_classes = outcome, n_classes
        self.classes_ = np.arange(n_classes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier" if self.n_classes else "regressor"
        return tags

    def predict(self, X: Array) -> Array:  # noqa: ARG002
        return self.outcome.prediction

    def decision_function(self, X: Array) -> Array:  # noqa: ARG002
        scores = np.asarray(self.outcome.scores)
        return scores[:, 1] if self.n_classes == 2 else scores


class _SaidProbable(_Said):
    """The same with probabilities."""

    def predict_proba(self, X: Array) -> Array:  # noqa: ARG002
        return np.asarray(self.outcome.scores)


def _fit_all(Z: Float64s, T: Float64s, values: Array, job: Job, solver: Solver) -> list[Answer]:
    """Fit scikit-learn's estimators on coordinates or features."""
    head = HEADS[solver.head]
    answers, before = [], None
    for params in job.params:
        estimator = solver.make(params)
        if head.warm and before is not None:
            estimator.warm_start = True
            estimator.coef_, estimator.intercept_ = before.coef_, before.intercept_
        before, converged = fit_quietly(estimator, Z, values[job.train], params)
        answers.append(_apply(before, converged, T, values[job.test], solver))
    return answers


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
        fitted, converged = fit_quietly(estimator, among, values[job.train], params)
        answers.append(_apply(fitted, converged, apart, values[job.test], solver))
    return answers


def _distances(products: Float64s, a: Float64s, b: Float64s, metric: str) -> Float64s:
    """Give (m, t) distances from products and from the squares of the rows of both sides."""
    if metric == "cosine":
        lengths = np.sqrt(np.outer(np.where(a > 0, a, 1.0), np.where(b > 0, b, 1.0)))
        cosine: Float64s = np.clip(1.0 - products / lengths, 0.0, 2.0)
        return cosine
    euclidean: Float64s = np.sqrt(np.maximum(a[:, None] + b - 2 * products, 0.0))
    return euclidean


def _apply(estimator: Any, converged: bool, T: Float64s, y: Array, solver: Solver) -> Answer:
    scores, _ = output_scores(estimator, T)
    outcome = Outcome(y, estimator.predict(T), scores)
    return Answer(outcome, _value(solver, estimator, T, outcome), converged)


def _value(solver: Solver, estimator: Any, T: Float64s, outcome: Outcome) -> float:
    criterion = solver.criterion
    if criterion.metric is not None:
        return float(criterion.metric(outcome, ones(outcome))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        try:
            return float(get_scorer(criterion.name)(estimator, T, outcome.y))
        except (ValueError, AttributeError) as error:
            name = type(solver.make({})).__name__
            why = str(error).replace(type(estimator).__name__, name)
            raise UsageError(
                f"--scoring {criterion.name} does not work for {name} on this target: {why}"
            ) from error


def fit_quietly(estimator: Any, Z: Float64s, y: Array, params: Params) -> tuple[Any, bool]:
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
            estimator.fit(Z, y)
        except ValueError as error:
            words = ", ".join(f"{k}={v}" for k, v in params.items())
            name = type(estimator).__name__
            raise UsageError(f"{name} with {words or 'defaults'}: {error}") from error
    limit = getattr(estimator, "max_iter", None)
    used = getattr(estimator, "n_iter_", None)
    met = limit is None or used is None or int(np.max(used)) < limit
    return estimator, met and not caught


def fit_final(
    space: Space, values: Array, classes: Array | None, rows: Ints, params: Params, solver: Solver
) -> tuple[Any, bool]:
    """Fit on ``rows`` and give the estimator of raw features, and whether it converged.

    Parameters
    ----------
    values, classes
        (n,) class numbers or float64, and (k,) their labels, or None.
    """
    y = values[rows] if classes is None else classes[values[rows]]
    if not space.on_products:
        estimator, converged = _fit_features(space, y, rows, params, solver)
    elif solver.head in PATHS:
        estimator, converged = _fit_path(space, values, classes, rows, params, solver)
    elif solver.head == "knn":
        X = scaled_features(space, rows)
        estimator, converged = fit_quietly(solver.make(params), X, y, params)
    else:
        estimator, converged = _fit_network(space, y, rows, params, solver)
    estimator.n_features_in_ = space.dim
    return _with_scaler(estimator, space, rows), converged


def _fit_path(
    space: Space, values: Array, classes: Array | None, rows: Ints, params: Params, solver: Solver
) -> tuple[Any, bool]:
    at = fuse(split_products(space, rows, rows[:0]), solver.weights(params.get("mix")))
    [solution] = solve(solver, at, values[rows], [params])
    coef = lift_weights(space, rows, solution.beta, at.factors)
    return finish(solver.make(params), coef, solution, classes), solution.converged


def _fit_features(
    space: Space, y: Array, rows: Ints, params: Params, solver: Solver
) -> tuple[Any, bool]:
    Z, _ = split_features(space, rows, rows[:0])
    if solver.head != "mlp":
        return fit_quietly(solver.make(params), Z, y, params)
    centred = Centred.of(Z)
    estimator, converged = fit_quietly(solver.make(params), centred.apply(Z), y, params)
    return _folded(estimator, *centred.fold(estimator.coefs_[0])), converged


def _folded(network: Any, weights: Float64s, offset: Float64s) -> Any:
    """Give a network a first layer for raw features, and forget what only training needs."""
    network.coefs_[0] = weights
    network.intercepts_[0] = network.intercepts_[0] + offset
    for name in ("_optimizer", "_best_coefs", "_best_intercepts"):
        vars(network).pop(name, None)
    return network


def _fit_network(
    space: Space, y: Array, rows: Ints, params: Params, solver: Solver
) -> tuple[Any, bool]:
    """Fit on principal axes."""
    at = fuse(split_products(space, rows, rows[:0]), solver.weights(params.get("mix")))
    axes = principal_axes(at.inner, at.cross)
    estimator, converged = fit_quietly(solver.make(params), axes.Z, y, params)
    beta, offset = axes.lift(np.asarray(estimator.coefs_[0], dtype=np.float64))
    return _folded(estimator, lift_weights(space, rows, beta, at.factors).T, offset), converged


def _with_scaler(estimator: Any, space: Space, rows: Ints) -> Any:
    """Put the scaler before the estimator; of several blocks each has its own."""
    if space.scale == "none":
        return estimator
    stops = np.cumsum([0, *(block.vectors.shape[1] for block in space.blocks)]).tolist()
    scalers = [_scaler(block, space.scale, rows) for block in space.blocks]
    if len(scalers) == 1:
        return make_pipeline(scalers[0], estimator)
    spans = [slice(*ends) for ends in pairwise(stops)]
    names = [f"features{i + 1}" for i in range(len(scalers))]
    each = ColumnTransformer(list(zip(names, scalers, spans, strict=True)))
    each.fit(np.zeros((1, stops[-1])))
    for name, scaler in zip(names, scalers, strict=True):
        vars(each.named_transformers_[name]).update(vars(scaler))
    return make_pipeline(each, estimator)


def _scaler(block: Block, scale: str, rows: Ints) -> Any:
    if scale == "l2":
        return Normalizer().fit(np.zeros((1, block.vectors.shape[1])))
    return fit_scaler(block.vectors, rows)
