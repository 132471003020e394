"""A head as a chain of steps says what scikit-learn says, and what is no chain is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers_fit import DIM, blobs
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from featx.errors import UsageError
from featx.forward.headgraph import HeadGraph
from featx.heads import output_scores
from featx.heads.chain import chain_of
from featx.heads.neural import NeuralClassifier, NeuralRegressor

SVM = LinearSVC(C=0.01)
NET: dict[str, Any] = {"solver": "lbfgs", "max_iter": 60, "tol": 1e-1, "alpha": 1.0}


def two_parts(scaler: Callable[[], Any]) -> Any:
    return ColumnTransformer([("a", scaler(), slice(0, 5)), ("b", scaler(), slice(5, DIM))])


def calibrated(method: str) -> Any:
    """As `featx.fit` leaves it: one frozen head, one calibrator."""
    return lambda X, y: CalibratedClassifierCV(
        FrozenEstimator(LinearSVC(C=0.01).fit(X, y)), method=method
    ).fit(X, y)


CLASSIFIERS: dict[str, Any] = {
    "svm": SVM,
    "ridge": RidgeClassifier(),
    "logreg": LogisticRegression(),
    **{
        f"mlp {name}": MLPClassifier(hidden_layer_sizes=(7, 5), activation=name, **NET)
        for name in ("relu", "tanh", "logistic", "identity")
    },
    "nn": NeuralClassifier((7, 5), "gelu", epochs=5, random_state=0),
    "nn linear": NeuralClassifier(None, epochs=5, random_state=0),
    "standardised": make_pipeline(StandardScaler(), SVM),
    "only centred": make_pipeline(StandardScaler(with_std=False), SVM),
    "only divided": make_pipeline(StandardScaler(with_mean=False), SVM),
    "unit length": make_pipeline(Normalizer(), SVM),
    "two standardised": make_pipeline(two_parts(StandardScaler), SVM),
    "two of unit length": make_pipeline(two_parts(Normalizer), SVM),
    "sigmoid": calibrated("sigmoid"),
    "temperature": calibrated("temperature"),
}
REGRESSORS: dict[str, Any] = {
    "svr": LinearSVR(C=0.01),
    "ridge": Ridge(),
    "mlp": MLPRegressor(hidden_layer_sizes=(7,), **NET),
    "nn": NeuralRegressor(7, "gelu", epochs=5, random_state=0),
    "kernel machine, linear": SVR(kernel="linear"),
    "standardised": make_pipeline(StandardScaler(), Ridge()),
}


def fitted(kind: Any, X: np.ndarray, y: np.ndarray) -> Any:
    return kind.fit(X, y) if hasattr(kind, "fit") else kind(X, y)


def said(head: Any, X: np.ndarray) -> tuple[np.ndarray, str]:
    chain = chain_of(head)
    graph = HeadGraph([], [], chain)
    x = torch.from_numpy(X)
    for step in graph.steps:
        x = step(x)
    return x.numpy(), chain.meaning


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classes(name: str, k: int) -> None:
    X, y = blobs(60, k)
    X[7] = 0
    head = fitted(CLASSIFIERS[name], X, np.array(["ant", "bee", "cow"])[y])
    values, meaning = said(head, X)
    expected, probabilities = output_scores(head, X)
    assert expected is not None
    assert meaning == ("probabilities" if probabilities else "scores")
    assert values.shape == (60, k)
    np.testing.assert_allclose(values, expected, rtol=2e-5, atol=2e-6)
    assert (head.classes_[values.argmax(axis=1)] == head.predict(X)).all()


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("name", REGRESSORS)
def test_numbers(name: str) -> None:
    X, y = blobs(60)
    head = fitted(REGRESSORS[name], X, X[:, 0] * 3 + y)
    values, meaning = said(head, X)
    assert (meaning, values.shape) == ("prediction", (60, 1))
    np.testing.assert_allclose(values[:, 0], head.predict(X), rtol=2e-5, atol=2e-5)


def test_a_linear_machine_of_two_classes() -> None:
    X, y = blobs(60, 2)
    head = SVC(kernel="linear", C=0.01).fit(X, y)
    np.testing.assert_allclose(said(head, X)[0], output_scores(head, X)[0], rtol=2e-5, atol=2e-6)


def test_probabilities_too_small_for_float32_keep_their_shares() -> None:
    X, y = blobs(60)
    head = calibrated("sigmoid")(X, y)
    for one in head.calibrated_classifiers_[0].calibrators:
        one.b_ += 200.0
    values, _ = said(head, X)
    np.testing.assert_allclose(values, head.predict_proba(X), rtol=1e-4, atol=1e-6)


def test_a_large_mean_costs_no_digits() -> None:
    X, y = blobs(60)
    X += 4096
    head = make_pipeline(StandardScaler(), SVM).fit(X, y)
    np.testing.assert_allclose(said(head, X)[0], output_scores(head, X)[0], rtol=1e-3, atol=1e-4)


REFUSED: dict[str, Any] = {
    "kernel rbf": SVC(),
    "more than two classes": SVC(kernel="linear"),
    "KNeighborsClassifier": KNeighborsClassifier(),
    "RandomForestClassifier": RandomForestClassifier(5),
    "MinMaxScaler": make_pipeline(MinMaxScaler(), SVM),
    "norm l1": make_pipeline(Normalizer("l1"), SVM),
    "calibrated by isotonic": calibrated("isotonic"),
    "mean of several": CalibratedClassifierCV(SVM, cv=3),
    "consecutive": make_pipeline(ColumnTransformer([("a", StandardScaler(), slice(1, DIM))]), SVM),
    "several types": make_pipeline(
        ColumnTransformer(
            [("a", StandardScaler(), slice(0, 4)), ("b", Normalizer(), slice(4, DIM))]
        ),
        SVM,
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_other_heads_are_refused(why: str) -> None:
    X, y = blobs(60)
    head = fitted(REFUSED[why], X, y)
    with pytest.raises(
        UsageError, match=f"{why}.*heads that can: svm, svr, ridge, logreg, mlp and nn"
    ):
        chain_of(head)
