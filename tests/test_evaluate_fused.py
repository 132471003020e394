"""Features of several kinds: the head on all of them side by side, each of variance 1."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC

from featx.errors import UsageError
from featx.evaluate import Source, Spec, evaluate
from featx.evaluate.mixes import read_mixes
from featx.gram import ArrayVectors, build_gram

N = 60
RNG = np.random.default_rng(1)
A = np.maximum(RNG.normal(size=(N, 150)), 0).astype(np.float32) * 30
B = RNG.normal(size=(N, 8)).astype(np.float32)
Y = np.array(["ant", "bee", "cow"])[np.arange(N) % 3]
B[:, :3] += 2 * (np.arange(N)[:, None] % 3 == np.arange(3))
T = A[:, :4].sum(axis=1) / 10 + B[:, 0]
SVM = LinearSVC(dual=True, tol=1e-9, max_iter=100_000, random_state=0, C=0.3)


def source(X):
    vectors = ArrayVectors(X)
    return Source(vectors, lambda: build_gram(vectors))


def side_by_side(rows, weights, scale="none"):
    """Write out what fusing means, from the rows that train."""
    parts = []
    for X, weight in zip((A, B), weights, strict=True):
        X = X.astype(float)
        if scale == "l2":
            X = X / np.linalg.norm(X, axis=1, keepdims=True)
        if scale == "standard":
            X = (X - X[rows].mean(axis=0)) / X[rows].std(axis=0)
        variance = X[rows].var(axis=0).sum()
        parts.append(X * np.sqrt(weight / variance))
    return np.hstack(parts)


@pytest.mark.parametrize("scale", ["none", "l2", "standard"])
@pytest.mark.parametrize("mix", ["equal", "1:0.2", "0:1"])
def test_a_fused_svm_is_linear_svc_on_weighted_features(mix, scale):
    params = {"C": 0.3, "tol": 1e-9}
    spec = Spec(search=False, fixed=params, mix=(mix,), scale=scale)
    found = evaluate([source(A), source(B)], Y, spec)
    weights = (1, 1) if mix == "equal" else tuple(map(float, mix.split(":")))
    for fold in found.folds:
        X = side_by_side(fold.train, weights, scale)
        truth = clone(SVM).fit(X[fold.train], Y[fold.train])
        assert np.allclose(fold.scores, truth.decision_function(X[fold.test]), atol=1e-6)
    X = side_by_side(np.arange(N), weights, scale)
    truth = clone(SVM).fit(X, Y)
    raw = np.hstack([A, B])
    assert found.estimator.n_features_in_ == 158
    said = found.estimator.decision_function(raw)
    assert np.allclose(said, truth.decision_function(X), atol=1e-5)


@pytest.mark.parametrize(
    ("head", "truth"), [("ridge", Ridge(alpha=0.5)), ("logreg", LogisticRegression(C=2, tol=1e-9))]
)
def test_other_heads_fuse_too(head, truth):
    y = T if head == "ridge" else Y
    params = {"alpha": 0.5} if head == "ridge" else {"C": 2, "tol": 1e-9}
    found = evaluate([source(A), source(B)], y, Spec(head=head, search=False, fixed=params))
    X = side_by_side(np.arange(N), (1, 1))
    truth.fit(X, y)
    said = found.estimator.predict(np.hstack([A, B]))
    expected = truth.predict(X)
    assert np.array_equal(said, expected) if head == "logreg" else np.allclose(said, expected)


def test_a_network_is_fitted_on_fused_features():
    spec = Spec(head="mlp", search=False, fixed={"max_iter": 20}, test_size=0.25)
    found = evaluate([source(A), source(B)], Y, spec)
    [fold] = found.folds
    said = found.estimator.predict_proba(np.hstack([A, B])[fold.test])
    assert np.allclose(said, fold.scores, atol=1e-4)


def test_weights_are_chosen_inside_the_training_rows():
    rng = np.random.default_rng(31)
    noise = rng.normal(size=(N, 300)).astype(np.float32)
    spec = Spec(grid={"C": [0.01, 0.3]}, mix=("0:1:1", "1:0:0"), cv="3")
    found = evaluate([source(B), source(noise), source(noise[:, :9])], Y, spec)
    assert found.params["mix"] == "1:0:0"
    assert len(found.candidates) == 4
    assert {fold.params["mix"] for fold in found.folds} == {"1:0:0"}
    assert "mix in 0:1:1, 1:0:0" in found.how
    assert found.nested
    assert np.all(found.estimator.coef_[:, 8:] == 0)
    assert np.any(found.estimator.coef_[:, :8] != 0)


def test_a_search_tries_all_each_alone_and_all_but_one():
    assert list(read_mixes(["search"], 2)) == ["equal", "only 1", "only 2"]
    found = read_mixes(["search", "1:2:3"], 3)
    assert found["only 2"] == (0, 1, 0)
    assert found["without 2"] == (1, 0, 1)
    assert list(found)[-1] == "1:2:3"
    assert len(found) == 8


@pytest.mark.parametrize("mix", ["2:x", "1", "1:-1", "0:0", "nan:1", "all"])
def test_weights_that_are_none_are_refused(mix):
    with pytest.raises(UsageError, match="2 numbers of 0 or more such as 1:1"):
        evaluate([source(A), source(B)], Y, Spec(mix=(mix,)))


@pytest.mark.parametrize("scale", ["none", "l2", "standard"])
@pytest.mark.parametrize(
    ("head", "truth"), [("rbf", SVC(C=3)), ("knn", KNeighborsClassifier(4, weights="distance"))]
)
def test_heads_that_keep_rows_keep_the_weighted_features(head, truth, scale):
    params = {"C": 3} if head == "rbf" else {"n_neighbors": 4, "weights": "distance"}
    spec = Spec(head=head, search=False, fixed=params, mix=("1:0.4",), scale=scale)
    found = evaluate([source(A), source(B)], Y, spec)
    X = side_by_side(np.arange(N), (1, 0.4), scale)
    truth.fit(X, Y)
    raw = np.hstack([A, B])
    new = raw[:20] + 0.3 * np.roll(raw[20:40], 3, axis=1)
    assert found.estimator.predict(raw).tolist() == truth.predict(X).tolist()
    for fold in found.folds:
        X = side_by_side(fold.train, (1, 0.4), scale)
        part = clone(truth).fit(X[fold.train], Y[fold.train])
        assert fold.prediction.tolist() == part.predict(X[fold.test]).tolist()
    assert len(found.estimator.predict(new)) == 20


def test_what_fusing_does_not_do_is_said():
    with pytest.raises(UsageError, match="one kind"):
        evaluate(A, Y, Spec(mix=("1:1",)))
    with pytest.raises(UsageError, match="number 2 are constant"):
        evaluate([source(A), source(np.ones((N, 5), np.float32))], Y, Spec())
