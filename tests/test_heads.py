"""The table of heads, targets, and how parameters are written."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC

from featx.errors import HeadTaskError, TargetError, UnknownNameError, UsageError
from featx.heads import (
    HEADS,
    candidates,
    check_head,
    check_params,
    head_for,
    output_scores,
    parse_grid,
    parse_params,
    read_target,
    task_of,
)


@pytest.mark.parametrize("head", HEADS.values(), ids=lambda h: h.name)
def test_every_head_makes_scikit_learns_own_estimator(head):
    for task in head.tasks:
        for params in candidates(head.grid):
            made = head.make(task, params, seed=3)
            own = "featx.heads.neural" if head.name == "nn" else "sklearn."
            assert type(made).__module__.startswith(own)
            assert isinstance(made, BaseEstimator)
            assert (is_classifier if task == "classification" else is_regressor)(made)
            assert set(params) <= set(made.get_params())
            assert made.get_params().get("random_state", None) == (3 if head.seeded else None)
    names = set(head.params)
    assert set(head.grid) <= names
    known = [set(head.make(task, {}).get_params()) for task in head.tasks]
    assert names <= set.union(*known)
    assert set(head.grid) <= set.intersection(*known)


def test_a_head_that_does_not_fit_names_those_that_do():
    with pytest.raises(HeadTaskError, match=r"'svm' does class.*svr, ridge, rbf, mlp, nn, knn"):
        head_for("svm", "regression")
    with pytest.raises(HeadTaskError, match=r"svm, ridge, logreg, rbf, mlp, nn, knn .*--task reg"):
        head_for("svr", "classification")
    assert head_for("ridge", "regression").make("regression", {}).__class__ is Ridge


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="'svm'"):
        check_head("swm")
    with pytest.raises(UnknownNameError, match="task"):
        head_for("svm", "classify")
    with pytest.raises(UnknownNameError, match="known: alpha, fit_intercept"):
        check_params(HEADS["ridge"], {"C": 1})
    with pytest.raises(UsageError, match="euclidean or cosine"):
        check_params(HEADS["knn"], {"metric": ["cosine", "manhattan"]})
    check_params(HEADS["knn"], {"metric": "cosine", "n_neighbors": 3})


def test_class_weights_go_to_heads_that_take_them():
    assert HEADS["svm"].make("classification", {"C": 2}, "balanced").class_weight == "balanced"
    for name, task in (("knn", "classification"), ("ridge", "regression")):
        with pytest.raises(UsageError, match="svm, ridge, logreg"):
            HEADS[name].make(task, {}, "balanced")


@pytest.mark.parametrize(
    ("y", "task", "why"),
    [
        (["cat", "dog"], "classification", "text"),
        ([True, False], "classification", "true or false"),
        ([1, 2, 3] * 9, "classification", "3 distinct"),
        ([0.0, 1.0, 0.0], "classification", "2 distinct"),
        (["1", "2", "1"], "classification", "2 distinct"),
        ([0.0, 0.33, 1.0], "regression", "fractions"),
        (["0.5", "1"], "regression", "fractions"),
        (list(range(21)), "regression", "21 distinct"),
        (list(range(20)), "classification", "20 distinct"),
        (np.array(["a", 3], dtype=object), "classification", "text"),
        (["1_0", "2"], "classification", "text"),
        ([1.0, np.nan], "regression", "fractions"),
    ],
)
def test_the_task_is_told_by_the_target(y, task, why):
    found, reason = task_of(np.array(y) if isinstance(y, list) else y)
    assert found == task
    assert why in reason


def test_a_target_is_read():
    target = read_target(np.array(["b", "a", "b"], dtype=object))
    assert target.classes.tolist() == ["a", "b"]
    assert target.values.tolist() == [1, 0, 1]
    assert read_target(np.array([2.0, 1.0])).classes.dtype == np.int64
    assert read_target(np.array(["10", "2"])).classes.tolist() == [2, 10]
    assert read_target(np.array(["01", "2"])).classes.tolist() == ["01", "2"]
    assert read_target(np.array([True, False])).classes.tolist() == [False, True]
    amounts = read_target(np.array(["1.5", "2"]), "regression")
    assert amounts.values.tolist() == [1.5, 2.0]
    assert (amounts.classes, amounts.why) == (None, "")
    assert read_target(np.arange(50.0), "classification").classes.dtype == np.int64
    assert read_target(np.array([0.5, 1.5]), "classification").classes.tolist() == [0.5, 1.5]


@pytest.mark.parametrize("y", [["1", "x"], [1.0, np.nan], [1.0, np.inf]])
def test_what_is_no_number_cannot_be_regressed_on(y):
    with pytest.raises(TargetError, match="--missing"):
        read_target(np.array(y), "regression")


def test_a_target_is_one_value_a_row():
    for y in (np.zeros((3, 2)), np.zeros(0)):
        with pytest.raises(TargetError, match="one value a row"):
            read_target(y)


def test_grids_are_read():
    assert parse_grid(None) is parse_grid("") is None
    assert parse_grid("C=1e-6:1:7") == {"C": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)}
    assert parse_grid("C=0.01, 0.1,1") == {"C": (0.01, 0.1, 1)}
    assert parse_grid(["n_neighbors=1:16:5", "weights=uniform,distance"]) == {
        "n_neighbors": (1, 2, 4, 8, 16),
        "weights": ("uniform", "distance"),
    }
    assert parse_grid({"C": [1, 1.5], "h": [[3, 4]], "s": "1,2", "a": np.array([0.5])}) == {
        "C": (1, 1.5), "h": ((3, 4),), "s": (1, 2), "a": (0.5,),
    }  # fmt: skip
    assert parse_grid("h=100x50,20,none,true") == {"h": ((100, 50), 20, None, True)}
    assert parse_grid("C=1:2:3") == {"C": (1.0, 1.41421356237, 2.0)}


def test_settings_are_read():
    assert parse_params(["C=1", "loss=hinge"]) == {"C": 1, "loss": "hinge"}
    assert parse_params({"C": 2}) == {"C": 2}
    assert parse_params(()) == {}
    assert parse_params("tol=1e-3") == {"tol": 1e-3}


@pytest.mark.parametrize(
    "text", ["C", "=1", "C=", "C=1:2", "C=0:1:3", "C=1:x:3", "C=1:2:0", "C=,", "C=-1:1:3"]
)
def test_grids_that_cannot_be_read(text):
    with pytest.raises(UsageError, match=r"expected|needs"):
        parse_grid(text)


def test_a_name_is_given_once_and_candidates_are_lists():
    with pytest.raises(UsageError, match="twice"):
        parse_grid(["C=1", "C=2"])
    with pytest.raises(UsageError, match="list of candidates"):
        parse_grid({"C": 3})
    with pytest.raises(UsageError, match="empty"):
        parse_grid({"C": []})


def test_candidates_are_all_combinations():
    assert candidates({"a": (1, 2), "b": "xy"}) == [
        {"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"},
    ]  # fmt: skip
    assert candidates({}) == [{}]


def test_scores_have_a_column_a_class():
    X, y = np.array([[0.0], [1.0], [2.0]]), np.array([0, 1, 1])
    two, probabilities = output_scores(LinearSVC(dual=True).fit(X, y), X)
    assert two.shape == (3, 2)
    assert not probabilities
    assert np.array_equal(two[:, 0], -two[:, 1])
    assert output_scores(Ridge().fit(X, y), X) == (None, False)
    knn = HEADS["knn"].make("classification", {"n_neighbors": 1}).fit(X, y)
    assert output_scores(knn, X)[1]
