"""Turn decision values into probabilities, by what came out for rows that took no part in a fit.

The decision values of a training set's own rows are of no use for that: a head is surer of rows
that it was fitted on. The inner splits of a training set, on which its parameters are chosen, give
decision values of every training row from a head that has not seen it. scikit-learn's calibrators
are fitted to those (its `CalibratedClassifierCV` with ``ensemble=False``), at no further fit of a
head; the test rows take no part:

- ``sigmoid``: ``1 / (1 + exp(A s + B))`` for each class against the rest, divided by their sum
  (Platt 1999); may change which class is highest where there are more than two;
- ``isotonic``: a rising step function in its place; wants a thousand rows or more;
- ``temperature``: ``softmax(s / T)``, one number; never changes which class is highest (Guo et al.
  2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from featx._types import Array, Float64s
from featx.errors import UsageError, unknown_name
from featx.metrics import Outcome

METHODS = ("sigmoid", "isotonic", "temperature")
_TEMPERATURE_SINCE = (1, 8)


def check_calibration(method: str | None, head: str, task: str, *, probabilities: bool) -> None:
    """Check that the decision values of a head can be turned into probabilities.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    UsageError
        If the task has no classes, the head gives probabilities of its own, or the scikit-learn
        that is installed does not have the method.
    """
    if method is None:
        return
    if method not in METHODS:
        raise unknown_name("way to calibrate", method, METHODS)
    if task != "classification" or probabilities:
        why = "gives probabilities of its own" if probabilities else "predicts numbers here"
        raise UsageError(f"head {head!r} {why}: leave out --calibrate")
    if method == "temperature" and _version() < _TEMPERATURE_SINCE:
        raise UsageError(
            f"temperature scaling is in scikit-learn from 1.8 on, and {sklearn.__version__} is "
            "installed: update it, or use --calibrate sigmoid"
        )


def _version() -> tuple[int, ...]:
    return tuple(int(part) for part in sklearn.__version__.split(".")[:2])


class _Passing(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose decision values are what it is given."""

    def fit(self, X: Array, y: Array) -> _Passing:  # noqa: ARG002
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X: Array) -> Array:
        return X

    def predict(self, X: Array) -> Array:
        """Say the class with the highest value; scikit-learn wants a classifier to have this."""
        at = X.argmax(axis=1) if X.ndim == 2 else (X > 0).astype(np.int64)
        return np.asarray(self.classes_[at])


def fit_calibrator(outcomes: Sequence[Outcome], method: str, classes: Array) -> Any:
    """Fit a `CalibratedClassifierCV` that takes decision values in place of features.

    Parameters
    ----------
    outcomes
        Of rows that took no part in the fit that scored them; ``y`` numbers the classes.
    classes
        (k,) labels.
    """
    values = _decisions(np.concatenate([np.asarray(o.scores) for o in outcomes]))
    y = np.concatenate([o.y for o in outcomes])
    rows = np.arange(len(y))
    calibrator = CalibratedClassifierCV(
        _Passing(), method=method, ensemble=False, cv=[(rows, rows)]
    )
    return calibrator.fit(values, classes[y])


def _decisions(scores: Float64s) -> Float64s:
    """Give decision values as scikit-learn does: (m,) of the last class of two."""
    return scores[:, 1] if scores.shape[1] == 2 else scores


def calibrated(outcome: Outcome, calibrator: Any) -> Outcome:
    """Give the probabilities of an outcome, and the classes where they are highest."""
    P = np.asarray(calibrator.predict_proba(_decisions(np.asarray(outcome.scores))))
    return Outcome(outcome.y, P.argmax(axis=1), P.astype(np.float64))


def with_calibrator(estimator: Any, calibrator: Any) -> Any:
    """Give the calibrator for features: of the decision values of a fitted estimator."""
    whole = deepcopy(calibrator).set_params(estimator=FrozenEstimator(estimator), cv=None)
    [inside] = whole.calibrated_classifiers_
    inside.estimator = estimator
    whole.n_features_in_ = estimator.n_features_in_
    return whole
