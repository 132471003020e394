"""A fitted head as a chain of simple steps, which any runtime of networks can compute.

A chain says the same as `featx.heads.output_scores` does of the estimator: decision values,
probabilities or predicted values. Heads that keep training rows (kernels, neighbours) have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from featx._types import Float64s
from featx.errors import UsageError
from featx.heads.neural import NeuralClassifier, NeuralRegressor

Meaning: TypeAlias = Literal["scores", "probabilities", "prediction"]
Activation: TypeAlias = Literal["logistic", "tanh", "relu", "gelu", "softmax", "shares"]
EXPORTABLE = (
    "svm, svr, ridge, logreg, mlp and nn, with or without --scale, and with --calibrate sigmoid or "
    "temperature"
)


@dataclass(frozen=True)
class Standardise:
    """``(x - mean) / scale`` for (m, d); both (d,)."""

    mean: Float64s
    scale: Float64s


@dataclass(frozen=True)
class UnitLength:
    """Divides each part of a row, given by its ends, by its length; one of zeros stays."""

    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Dense:
    """``x weights + offset`` for (m, d): (d, k) and (k,)."""

    weights: Float64s
    offset: Float64s


@dataclass(frozen=True)
class Activate:
    """A function of (m, k).

    ``softmax`` over classes; ``shares`` are logistic values divided by their sum; the others are
    taken of each value alone.
    """

    name: Activation


@dataclass(frozen=True)
class Both:
    """(m, 1) of the last of two classes to (m, 2): ``total - s`` and ``s``.

    Attributes
    ----------
    total
        1 for probabilities, 0 for decision values.
    """

    total: float


Step: TypeAlias = Standardise | UnitLength | Dense | Activate | Both


@dataclass(frozen=True)
class Chain:
    """What a head computes of (m, d) vectors.

    Attributes
    ----------
    meaning
        Of what comes out: (m, k) decision values or probabilities, or (m, 1) predicted values.
    """

    steps: tuple[Step, ...]
    meaning: Meaning


def chain_of(estimator: Any) -> Chain:
    """Give the chain of a fitted scikit-learn estimator.

    Raises
    ------
    UsageError
        If it is no chain of simple steps; names the heads that are.
    """
    return Chain(tuple(_steps(estimator)), _meaning(estimator))


def _meaning(estimator: Any) -> Meaning:
    if hasattr(estimator, "predict_proba"):
        return "probabilities"
    return "scores" if hasattr(estimator, "decision_function") else "prediction"


def _steps(estimator: Any) -> Iterable[Step]:
    # The very type: what a subclass computes is not known.
    steps = _STEPS.get(type(estimator))
    if steps is None:
        raise _refused(f"a {type(estimator).__name__}")
    return steps(estimator)


def _refused(what: str) -> UsageError:
    return UsageError(f"{what} cannot be written as a graph; heads that can: {EXPORTABLE}")


def _pipeline(estimator: Any) -> Iterator[Step]:
    for _, part in estimator.steps:
        yield from _steps(part)


def _frozen(estimator: Any) -> Iterable[Step]:
    return _steps(estimator.estimator)


def _standard(scaler: Any) -> Iterator[Step]:
    d = scaler.n_features_in_
    mean = scaler.mean_ if scaler.with_mean else np.zeros(d)
    scale = np.ones(d) if scaler.scale_ is None else scaler.scale_
    yield Standardise(_floats(mean), _floats(scale))


def _normalizer(scaler: Any) -> Iterator[Step]:
    if scaler.norm != "l2":
        raise _refused(f"a Normalizer of norm {scaler.norm}")
    yield UnitLength(((0, scaler.n_features_in_),))


def _columns(transformer: Any) -> Iterator[Step]:
    """Scalers of one type, each of its own consecutive columns, as several features have them."""
    parts = [(part, columns) for _, part, columns in transformer.transformers_]
    ends = [0]
    for _, columns in parts:
        if not isinstance(columns, slice) or (columns.start, columns.step) != (ends[-1], None):
            raise _refused("a ColumnTransformer of other columns than consecutive ones")
        ends.append(columns.stop)
    steps = [step for part, _ in parts for step in _steps(part)]
    if all(isinstance(step, UnitLength) for step in steps):
        yield UnitLength(tuple(pairwise(ends)))
        return
    both = [step for step in steps if isinstance(step, Standardise)]
    if len(both) < len(steps):
        raise _refused("a ColumnTransformer of several types of scalers")
    yield Standardise(
        np.concatenate([step.mean for step in both]), np.concatenate([step.scale for step in both])
    )


def _linear(estimator: Any) -> Dense:
    weights = np.atleast_2d(_floats(estimator.coef_)).T
    offset = np.broadcast_to(_floats(estimator.intercept_), weights.shape[1])
    return Dense(weights, np.array(offset))


def _regressor(estimator: Any) -> Iterator[Step]:
    yield _linear(estimator)


def _classifier(estimator: Any) -> Iterator[Step]:
    dense = _linear(estimator)
    yield dense
    if len(dense.offset) == 1:
        yield Both(0.0)


def _machine(estimator: Any) -> Iterable[Step]:
    if estimator.kernel != "linear":
        raise _refused(
            f"a {type(estimator).__name__} with the kernel {estimator.kernel}, which keeps its "
            "support vectors,"
        )
    if len(getattr(estimator, "classes_", ())) > 2:
        raise _refused("an SVC of more than two classes, which lets pairs of them vote,")
    return _classifier(estimator) if isinstance(estimator, SVC) else _regressor(estimator)


def _logistic(estimator: Any) -> Iterator[Step]:
    dense = _linear(estimator)
    yield dense
    if len(dense.offset) == 1:
        yield from (Activate("logistic"), Both(1.0))
    else:
        yield Activate("softmax")


def _network(estimator: Any) -> Iterator[Step]:
    last = estimator.n_layers_ - 2
    layers = zip(estimator.coefs_, estimator.intercepts_, strict=True)
    for number, (weights, offset) in enumerate(layers):
        yield Dense(_floats(weights), _floats(offset))
        name = estimator.out_activation_ if number == last else estimator.activation
        if name != "identity":
            yield Activate(name)
    if estimator.out_activation_ == "logistic":
        yield Both(1.0)


def _calibrated(estimator: Any) -> Iterator[Step]:
    if len(estimator.calibrated_classifiers_) > 1:
        raise _refused("a mean of several calibrated heads")
    [one] = estimator.calibrated_classifiers_
    if one.method not in _CALIBRATIONS or _meaning(one.estimator) != "scores":
        raise _refused(f"a {type(one.estimator).__name__} calibrated by {one.method}")
    yield from _CALIBRATIONS[one.method](list(_steps(one.estimator)), one.calibrators)


def _sigmoid(steps: Sequence[Step], calibrators: Sequence[Any]) -> Iterator[Step]:
    """Platt's ``1 / (1 + exp(a s + b))``; of several classes each divided by the sum of all."""
    two = isinstance(steps[-1], Both)
    yield from steps[:-1] if two else steps
    a, b = (_floats([getattr(one, name) for one in calibrators]) for name in ("a_", "b_"))
    yield Dense(np.diag(-a), -b)
    if two:
        yield from (Activate("logistic"), Both(1.0))
    else:
        yield Activate("shares")


def _temperature(steps: Sequence[Step], calibrators: Sequence[Any]) -> Iterator[Step]:
    yield from steps
    last = steps[-1]
    k = 2 if isinstance(last, Both) else len(_offset(last))
    yield Dense(np.eye(k) * float(calibrators[0].beta_), np.zeros(k))
    yield Activate("softmax")


def _offset(step: Step) -> Float64s:
    assert isinstance(step, Dense)  # noqa: S101  # decision values of several classes end so
    return step.offset


def _floats(values: Any) -> Float64s:
    return np.asarray(values, dtype=np.float64)


_CALIBRATIONS = {"sigmoid": _sigmoid, "temperature": _temperature}
_STEPS: dict[type, Callable[[Any], Iterable[Step]]] = {
    Pipeline: _pipeline,
    FrozenEstimator: _frozen,
    ColumnTransformer: _columns,
    StandardScaler: _standard,
    Normalizer: _normalizer,
    CalibratedClassifierCV: _calibrated,
    LinearSVC: _classifier,
    RidgeClassifier: _classifier,
    LogisticRegression: _logistic,
    LinearSVR: _regressor,
    Ridge: _regressor,
    SVC: _machine,
    SVR: _machine,
    MLPClassifier: _network,
    MLPRegressor: _network,
    NeuralClassifier: _network,
    NeuralRegressor: _network,
}
