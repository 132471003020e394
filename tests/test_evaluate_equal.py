"""What comes out is scikit-learn's own answer on the features: coefficients and every fold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from featx.evaluate import Spec, evaluate

SCALERS = {"none": (), "l2": (Normalizer(),), "standard": (StandardScaler(),)}
TIGHT = {"tol": 1e-8}
SVM = LinearSVC(dual=True, max_iter=100_000, tol=1e-8, random_state=0)


def features(kind: str, n: int = 60) -> np.ndarray:
    rng = np.random.default_rng(5)
    d = 25 if kind == "tall" else 150
    X = np.maximum(rng.normal(size=(n, d)) - 0.5, 0)
    X[:, :4] += np.arange(n)[:, None] % 3 == np.arange(4) % 3
    if kind == "constant columns":
        X[:, 10:60] = 3.0
    if kind == "duplicated rows":
        X[n // 2 :] = X[: n - n // 2]
    return X.astype(np.float16 if kind == "float16" else np.float32)


def labels(n: int = 60, imbalanced: bool = False) -> np.ndarray:
    codes = np.arange(n) % 3
    if imbalanced:
        codes = np.where(np.arange(n) < 8, 1 + np.arange(n) % 2, 0)
    return np.array(["ant", "bee", "cow"])[codes]


def amounts(X: np.ndarray) -> np.ndarray:
    return X[:, :5].astype(float).sum(axis=1) * 4 + np.sin(np.arange(len(X)))


def literal(estimator, X, y, scale="none"):
    """Fit scikit-learn on the features in float64."""
    return make_pipeline(*map(clone, SCALERS[scale]), clone(estimator)).fit(X.astype(float), y)


def check(found, estimator, X, y, scale="none", atol=1e-6):
    """Compare the final estimator, then each fold's answer, with the literal fit."""
    truth = literal(estimator, X, y, scale)
    final = found.estimator if scale == "none" else found.estimator[-1]
    assert type(final) is type(estimator)
    assert final.n_features_in_ == X.shape[1]
    size = np.abs(truth[-1].coef_).max()
    assert np.shape(final.coef_) == np.shape(truth[-1].coef_)
    assert np.allclose(final.coef_, truth[-1].coef_, atol=atol * size)
    assert np.allclose(final.intercept_, truth[-1].intercept_, atol=atol * 10)
    assert np.array_equal(found.estimator.predict(X.astype(np.float64)), truth.predict(X)) or (
        found.task == "regression"
    )
    for fold in found.folds:
        train = np.setdiff1d(np.arange(len(y)), fold.test)
        part = literal(estimator, X[train], y[train], scale)
        if fold.scores is None:
            assert np.allclose(
                fold.prediction, part.predict(X[fold.test].astype(float)), atol=atol * 100
            )
        else:
            said = getattr(part, "predict_proba", None) or part.decision_function
            assert np.allclose(fold.scores, said(X[fold.test].astype(float)), atol=atol * 100)
            assert np.array_equal(fold.prediction, part.predict(X[fold.test].astype(float)))


def fixed(head, params, **more):
    return Spec(head=head, search=False, fixed=params, **more)


KINDS = ["wide", "tall", "float16", "constant columns", "duplicated rows"]


@pytest.mark.parametrize("scale", SCALERS)
@pytest.mark.parametrize("kind", KINDS)
def test_svm(kind, scale):
    X, y = features(kind), labels()
    found = evaluate(X, y, fixed("svm", TIGHT, scale=scale), n_jobs=1)
    assert found.converged
    check(found, SVM, X, y, scale, atol=1e-5)


@pytest.mark.parametrize("C", [1e-6, 1e-3, 100.0])
def test_svm_at_tiny_and_large_c(C):
    X, y = features("wide"), labels()
    found = evaluate(X, y, fixed("svm", {"C": C, **TIGHT}), n_jobs=1)
    check(found, clone(SVM).set_params(C=C), X, y, atol=1e-4)


def test_svm_of_imbalanced_classes_with_weights():
    X, y = features("wide"), labels(imbalanced=True)
    spec = fixed("svm", TIGHT, class_weight="balanced", cv="4")
    check(evaluate(X, y, spec), clone(SVM).set_params(class_weight="balanced"), X, y, atol=1e-5)


@pytest.mark.parametrize("scale", SCALERS)
@pytest.mark.parametrize("kind", KINDS)
def test_ridge(kind, scale):
    X, y = features(kind), amounts(features(kind))
    found = evaluate(X, y, fixed("ridge", {"alpha": 0.1}, scale=scale, task="regression"))
    check(found, Ridge(alpha=0.1), X, y, scale)


@pytest.mark.parametrize("kind", ["wide", "tall"])
def test_ridge_classifier(kind):
    X, y = features(kind), labels()
    check(evaluate(X, y, fixed("ridge", {"alpha": 10})), RidgeClassifier(alpha=10), X, y)


@pytest.mark.parametrize("loss", ["epsilon_insensitive", "squared_epsilon_insensitive"])
@pytest.mark.parametrize("kind", ["wide", "tall"])
def test_svr(kind, loss):
    X, y = features(kind), amounts(features(kind))
    params = {"C": 0.05, "loss": loss, "tol": 1e-7}
    found = evaluate(X, y, fixed("svr", params))
    assert found.converged
    truth = LinearSVR(dual=True, max_iter=100_000, random_state=0, **params)
    check(found, truth, X, y, atol=1e-5)


@pytest.mark.parametrize("kind", ["wide", "tall"])
def test_logistic_regression(kind):
    X, y = features(kind), labels()
    found = evaluate(X, y, fixed("logreg", {"C": 0.1, "tol": 1e-8}))
    assert found.probabilities
    check(found, LogisticRegression(C=0.1, tol=1e-9, max_iter=10_000), X, y, atol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("scale", SCALERS)
@pytest.mark.parametrize("kind", ["wide", "tall"])
def test_nearest_neighbours(kind, scale, metric):
    X = features(kind)
    params = {"n_neighbors": 4, "weights": "distance", "metric": metric}
    options = params | {"algorithm": "brute"}
    cases = [
        (labels(), KNeighborsClassifier(**options)),
        (amounts(X), KNeighborsRegressor(**options)),
    ]
    for y, estimator in cases:
        found = evaluate(X, y, fixed("knn", params, scale=scale))
        for fold in found.folds:
            train = np.setdiff1d(np.arange(len(y)), fold.test)
            part = literal(estimator, X[train], y[train], scale)
            test = X[fold.test].astype(float)
            if fold.scores is None:
                assert np.allclose(fold.prediction, part.predict(test), atol=1e-5)
            else:
                assert np.allclose(fold.scores, part.predict_proba(test), atol=1e-5)
        new = X[:20] + np.roll(X[20:40], 3, axis=1)
        said = found.estimator.predict(new), literal(estimator, X, y, scale).predict(new)
        if found.task == "classification":
            assert np.array_equal(*said)
        else:
            assert np.allclose(*said, rtol=1e-5)


@pytest.mark.parametrize("scale", SCALERS)
@pytest.mark.parametrize("params", [{"C": 5.0}, {"kernel": "poly", "coef0": 1.0}, {"gamma": 1e-3}])
@pytest.mark.parametrize("kind", ["wide", "tall", "float16"])
def test_kernel_machines(kind, params, scale):
    X = features(kind)
    for y, estimator in [(labels(), SVC(**params)), (amounts(X), SVR(**params))]:
        found = evaluate(X, y, fixed("rbf", params, scale=scale))
        truth = literal(estimator, X, y, scale)
        new = (X[:20] + np.roll(X[20:40], 3, axis=1)).astype(np.float64)
        for fold in found.folds:
            part = literal(estimator, X[fold.train], y[fold.train], scale)
            test = X[fold.test].astype(float)
            if fold.scores is None:
                assert np.allclose(fold.prediction, part.predict(test), atol=1e-3)
            else:
                assert np.allclose(fold.scores, part.decision_function(test), atol=1e-3)
        said = found.estimator if scale == "none" else found.estimator[-1]
        assert type(said) is type(estimator)
        assert said.support_vectors_.shape[1] == X.shape[1]
        assert (
            np.allclose(found.estimator.predict(new), truth.predict(new), atol=1e-3)
            if (found.task == "regression")
            else np.array_equal(found.estimator.predict(new), truth.predict(new))
        )


@pytest.mark.parametrize("scale", SCALERS)
@pytest.mark.parametrize("kind", ["wide", "tall"])
def test_a_network_in_feature_space_says_what_it_said_in_few_coordinates(kind, scale):
    X, y = features(kind), labels()
    params = {"hidden_layer_sizes": 8, "max_iter": 3}
    spec = Spec(head="mlp", search=False, fixed=params, scale=scale, test_size=0.25)
    found = evaluate(X, y, spec)
    assert not found.converged
    assert "stopped before they converged" in found.notes[-1]
    (fold,) = found.folds
    assert np.allclose(found.estimator.predict_proba(X[fold.test]), fold.scores, atol=1e-4)
    regressed = evaluate(X, amounts(X), Spec(**{**vars(spec), "head": "mlp"}))
    (fold,) = regressed.folds
    assert np.allclose(regressed.estimator.predict(X[fold.test]), fold.prediction, atol=1e-3)


@pytest.mark.parametrize("scale", SCALERS)
def test_nested_search_is_grid_search_in_each_training_set(scale):
    X, y = features("wide"), labels()
    grid = [1e-4, 1e-2, 1.0]
    found = evaluate(X, y, Spec(grid={"C": grid}, fixed=TIGHT, cv="3", scale=scale))
    pipeline = make_pipeline(*SCALERS[scale], clone(SVM))
    inner = StratifiedKFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(pipeline, {"linearsvc__C": grid}, cv=inner)
    for fold in found.folds:
        train = np.setdiff1d(np.arange(len(y)), fold.test)
        search.fit(X[train].astype(float), y[train])
        assert fold.params["C"] == search.best_params_["linearsvc__C"]
        assert np.array_equal(fold.prediction, search.predict(X[fold.test].astype(float)))
    search.fit(X.astype(float), y)
    assert found.params["C"] == search.best_params_["linearsvc__C"]
    means = search.cv_results_["mean_test_score"]
    assert np.allclose([row.mean for row in found.candidates], means)
    assert np.allclose([row.std for row in found.candidates], search.cv_results_["std_test_score"])
