"""Fit a head's candidates on one split, and the final head on all its rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import get_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError
from featx.evaluate.result import Params
from featx.evaluate.space import (
    Axes,
    Coordinates,
    Space,
    coordinates,
    fitted_scaler,
    lift_weights,
)
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
    """What every fit of a run has in common."""

    head: str
    task: str
    class_weight: str | None
    seed: int
    criterion: Criterion

    def make(self, params: Params) -> Any:
        """Give an unfitted estimator."""
        return HEADS[self.head].make(self.task, params, self.class_weight, self.seed)


@dataclass(frozen=True)
class Job:
    """One split with the candidates to fit on it."""

    train: Ints
    test: Ints
    params: Sequence[Params]


@dataclass(frozen=True)
class Answer:
    """How one candidate did on one split."""

    outcome: Outcome
    value: float
    converged: bool


def run_job(space: Space, values: Array, job: Job, solver: Solver) -> list[Answer]:
    """Fit every candidate on the training rows and apply it to the test rows.

    Parameters
    ----------
    values
        (n,) class numbers or float64.
    """
    head = HEADS[solver.head]
    at = coordinates(space, job.train, job.test, head.coordinates)
    answers, before = [], None
    for params in job.params:
        estimator = solver.make(params)
        if head.warm and before is not None:
            estimator.warm_start = True
            estimator.coef_, estimator.intercept_ = before.coef_, before.intercept_
        before, converged = fit_quietly(estimator, at.Z, values[job.train], params)
        answers.append(_answer(before, converged, at.T, values[job.test], solver.criterion))
    return answers


def _answer(estimator: Any, converged: bool, T: Float64s, y: Array, criterion: Criterion) -> Answer:
    scores, _ = output_scores(estimator, T)
    outcome = Outcome(y, estimator.predict(T), scores)
    return Answer(outcome, _value(criterion, estimator, T, outcome), converged)


def _value(criterion: Criterion, estimator: Any, T: Float64s, outcome: Outcome) -> float:
    if criterion.metric is not None:
        return float(criterion.metric(outcome, ones(outcome))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        try:
            return float(get_scorer(criterion.name)(estimator, T, outcome.y))
        except (ValueError, AttributeError) as error:
            raise UsageError(
                f"--scoring {criterion.name} does not work for {type(estimator).__name__} on this "
                f"target: {error}"
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
    space: Space, X: Array, y: Array, rows: Ints, params: Params, solver: Solver
) -> tuple[Any, bool]:
    """Fit on ``rows`` and give the estimator of raw features, and whether it converged.

    Parameters
    ----------
    X, y
        (n, d) raw features and (n,) labels or numbers of all rows.
    """
    head = HEADS[solver.head]
    if head.coordinates == "distance":
        return _fit_on_features(space, X, y, rows, params, solver)
    at = coordinates(space, rows, rows[:0], head.coordinates)
    estimator, converged = fit_quietly(solver.make(params), at.Z, y[rows], params)
    if at.axes is not None:
        _lift_network(estimator, space, X, rows, at, at.axes)
    else:
        _lift_linear(estimator, space, X, rows, at)
    estimator.n_features_in_ = X.shape[1]
    return _with_scaler(estimator, space, X, rows), converged


def _fit_on_features(
    space: Space, X: Array, y: Array, rows: Ints, params: Params, solver: Solver
) -> tuple[Any, bool]:
    """Fit a head that keeps its training rows: these are the (scaled) features."""
    scaled = X if len(rows) == len(X) else X[rows]
    pipeline = _with_scaler(None, space, X, rows)
    if pipeline is not None:
        scaled = pipeline.transform(scaled)
    estimator, converged = fit_quietly(solver.make(params), scaled, y[rows], params)
    return _with_scaler(estimator, space, X, rows), converged


def _with_scaler(estimator: Any, space: Space, X: Array, rows: Ints) -> Any:
    """Put the scaler before the estimator; the scaler alone where there is no estimator."""
    if space.scale == "none":
        return estimator
    if space.scale == "l2":
        scaler = Normalizer().fit(np.zeros((1, X.shape[1])))
    else:
        scaler = fitted_scaler(X, rows)
    return scaler if estimator is None else make_pipeline(scaler, estimator)


def _lift_linear(estimator: Any, space: Space, X: Array, rows: Ints, at: Coordinates) -> None:
    weights = np.atleast_2d(estimator.coef_)
    lifted = lift_weights(space, X, rows, at.factor, weights)
    estimator.coef_ = lifted.reshape(*np.shape(estimator.coef_)[:-1], X.shape[1])


def _lift_network(
    estimator: Any, space: Space, X: Array, rows: Ints, at: Coordinates, axes: Axes
) -> None:
    """Fold centring, axes and size into the first layer, and forget what only training needs."""
    first = axes.V @ np.asarray(estimator.coefs_[0], dtype=np.float64) / axes.size
    estimator.intercepts_[0] = estimator.intercepts_[0] - axes.mean @ first
    estimator.coefs_[0] = lift_weights(space, X, rows, at.factor, first.T).T
    for name in ("_optimizer", "_best_coefs", "_best_intercepts"):
        vars(estimator).pop(name, None)
