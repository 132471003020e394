"""Score what a candidate says of test rows, with a metric of ours or a scorer of scikit-learn's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer

from featx._types import Array, Float64s
from featx.errors import UsageError
from featx.evaluate.dual import say
from featx.evaluate.work import Answer, Solver, Stop
from featx.heads import output_scores
from featx.metrics import Outcome, ones


def answer(solver: Solver, decision: Float64s, y: Array, stop: Stop) -> Answer:
    """Score decision values (t, k) of test rows."""
    said = say(solver.head, decision, solver.n_classes)
    outcome = Outcome(y, said.prediction, said.scores)
    kind = _SaidProbable if solver.head == "logreg" else _Said
    value = _value(solver, kind(outcome, solver.n_classes), decision, outcome)
    return Answer(outcome, value, stop)


def rescored(solver: Solver, outcome: Outcome, stop: Stop) -> Answer:
    """Score an outcome by itself, for example one averaged over views."""
    probable = hasattr(solver.make({}), "predict_proba")
    kind = _SaidProbable if probable else _Said
    said = kind(outcome, solver.n_classes)
    return Answer(outcome, _value(solver, said, outcome.y[:, None], outcome), stop)


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


def apply(estimator: Any, stop: Stop, T: Float64s, y: Array, solver: Solver) -> Answer:
    """Score a fitted estimator on test rows ``T``, features or whatever else it was fitted on."""
    scores, _ = output_scores(estimator, T)
    outcome = Outcome(y, estimator.predict(T), scores)
    return Answer(outcome, _value(solver, estimator, T, outcome), stop)


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
