"""The evaluation as a whole: nothing leaks, every row is accounted for, and it says what it did."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.svm import LinearSVC

from featx.errors import HeadTaskError, TargetError, UnknownNameError, UsageError
from featx.evaluate import Spec, evaluate
from featx.evaluate.criterion import edges
from featx.evaluate.run import _shares
from featx.evaluate.work import Criterion
from featx.heads import HEADS

N, D = 72, 200


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
    X[:, :3] += 2.5 * (np.arange(N)[:, None] % 3 == np.arange(3))
    return X


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return np.array(["ant", "bee", "cow"])[np.arange(N) % 3]


@pytest.fixture(scope="module")
def amounts(X: np.ndarray) -> np.ndarray:
    return X[:, 0].astype(float) * 3 + np.random.default_rng(1).normal(size=N)


def test_every_head_tells_a_whole_story(X, y, amounts):
    for head in HEADS.values():
        for task in head.tasks:
            target = y if task == "classification" else amounts
            few = {"mlp": {"max_iter": 20}, "nn": {"hidden": None, "lr": 1e-2, "epochs": 40}}
            params = few.get(head.name, {})
            found = evaluate(X, target, Spec(head=head.name, cv="3", fixed=params))
            assert (found.head, found.task, found.n_train) == (head.name, task, N)
            assert found.nested == bool(head.grid)
            assert set(found.metrics) == set(found.baseline)
            name = "roc_auc" if task == "classification" else "krocc"
            assert found.metrics[name].mean > (0.6 if name == "roc_auc" else 0.1)
            assert found.metrics[name].low < found.metrics[name].mean
            assert ("log_loss" in found.metrics) == found.probabilities
            assert found.prediction.shape == found.fold.shape == (N,)
            assert set(found.seconds) == {"products", "search", "final", "score"}
            assert found.estimator.predict(X).shape == (N,)
            json.dumps(found.to_json(), allow_nan=False)


def test_without_search_scores_are_those_of_cross_val_score(X, y):
    found = evaluate(X, y, Spec(search=False, fixed={"C": 0.01, "tol": 1e-6}, seed=4))
    folds = StratifiedKFold(5, shuffle=True, random_state=4)
    svm = LinearSVC(C=0.01, tol=1e-6, dual=True, max_iter=100_000)
    truth = cross_val_score(svm, X.astype(float), y, cv=folds)
    assert [fold.metrics["accuracy"] for fold in found.folds] == pytest.approx(truth.tolist())
    assert found.metrics["accuracy"].mean == pytest.approx(truth.mean())
    assert found.metrics["accuracy"].std == pytest.approx(truth.std(ddof=1))
    assert not found.nested
    assert found.how == "5-fold cross-validation, stratified; nothing searched, C=0.01, tol=1e-06"


def test_noise_is_scored_as_noise_however_large_the_grid():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(80, 300)).astype(np.float32)
    y = np.arange(80) % 2
    found = evaluate(X, y, Spec(cv="4", repeats=3))
    assert 0.3 < found.metrics["accuracy"].mean < 0.65
    assert found.metrics["accuracy"].splits == 12


@pytest.mark.parametrize("scale", ["none", "l2", "standard"])
@pytest.mark.parametrize("head", ["svm", "mlp", "knn"])
def test_test_rows_shape_nothing(X, y, head, scale):
    split = np.where(np.arange(N) < 50, "train", "test")
    params = {"max_iter": 15} if head == "mlp" else {}
    spec = Spec(head=head, scale=scale, fixed=params)
    found = evaluate(X, y, spec, split=split)
    changed = X.copy()
    changed[60:] = 1e3 * changed[60:] ** 2
    other = evaluate(changed, y, spec, split=split)
    assert found.params == other.params
    same = [i for i, row in enumerate(found.folds[0].test) if row < 60]
    assert np.allclose(found.folds[0].scores[same], other.folds[0].scores[same], atol=1e-6)
    assert np.allclose(found.estimator.predict(X) == other.estimator.predict(X), 1)


def test_a_split_column_scores_its_test_rows_once(X, y):
    split = np.array((["train"] * 4 + ["val"] + ["test"]) * 12)
    found = evaluate(X, y, Spec(grid={"C": [1e-3, 1e-2]}), split=split, split_name="part")
    assert len(found.folds) == 1
    assert found.n_train == len(found.folds[0].train) == 60
    assert np.array_equal(found.fold >= 0, split == "test")
    assert [p is None for p in found.prediction] == (split != "test").tolist()
    assert np.isnan(found.scores[split != "test"]).all()
    assert not found.nested
    assert found.how == (
        "a single split by column 'part': 12 test rows; C in 0.001, 0.01: chosen by accuracy in "
        "its 12 val rows inside each training set"
    )
    assert found.prediction[split == "test"].tolist() == (
        found.estimator.predict(X[split == "test"]).tolist()
    )


def test_a_hold_out_of_one_candidate_searches_nothing(X, y):
    found = evaluate(X, y, Spec(test_size=0.25, search=False))
    (row,) = found.candidates
    assert np.isnan(row.mean)
    assert np.isnan(found.metrics["accuracy"].std)
    assert found.to_json()["candidates"][0]["mean"] is None


def test_repeats_average_the_scores_of_a_row(X, y, amounts):
    found = evaluate(X, y, Spec(repeats=2, search=False))
    assert len(found.folds) == 10
    assert found.fold.max() == 4
    row = 7
    said = [fold.scores[fold.test == row][0] for fold in found.folds if row in fold.test]
    assert len(said) == 2
    assert np.allclose(found.scores[row], np.mean(said, axis=0))
    assert found.prediction[row] == found.classes[found.scores[row].argmax()]
    regressed = evaluate(X, amounts, Spec(head="ridge", cv="random:2:0.3", search=False))
    tested = np.unique(np.concatenate([fold.test for fold in regressed.folds]))
    assert np.array_equal(np.flatnonzero(np.isfinite(regressed.prediction)), tested)
    assert regressed.scores is None
    assert regressed.class_recall == ()


def test_groups_stay_together_and_are_resampled(X, y):
    groups = np.arange(N) // 6
    found = evaluate(X, y, Spec(search=False), groups=groups, group_name="person")
    for fold in found.folds:
        others = np.setdiff1d(np.arange(N), fold.test)
        assert not set(groups[fold.test]) & set(groups[others])
    assert "grouped by person" in found.how
    assert "12 units (person)" in found.metrics["accuracy"].how
    alone = evaluate(X, y, Spec(search=False), groups=np.arange(N))
    assert "grouped" not in alone.how


def test_a_class_that_resamples_may_miss_is_told(X, y):
    rare = np.where(np.arange(N) < 2, "rare", y)
    found = evaluate(X, rare, Spec(search=False, cv="2"))
    assert any(note.startswith("few are tested of 'rare' (2 rows): ") for note in found.warnings)
    assert evaluate(X, y, Spec(search=False)).warnings == ()


def test_recall_and_scores_are_over_all_tested_rows(X, y):
    found = evaluate(X, y, Spec(search=False))
    said = found.prediction.astype(str)
    assert np.mean(found.class_recall) == pytest.approx(balanced_accuracy_score(y, said))
    each = [
        roc_auc_score(y[f.test] == label, f.scores[:, i])
        for f in found.folds
        for i, label in enumerate(found.classes)
    ]
    assert found.metrics["roc_auc"].mean == pytest.approx(np.mean(each))


def test_the_edge_of_the_grid_is_said_where_it_is_better(X, y, amounts):
    found = evaluate(X, amounts, Spec(head="ridge", grid={"alpha": [100.0, 1e4, 1e6]}))
    assert any(
        "the best alpha, 100, lies at the edge of its grid (100 to 1e+06)" in note
        for note in found.notes
    )
    flat = evaluate(X, y, Spec(grid={"C": [1e-9, 1e-8, 1e-7]}))
    assert flat.params == {"C": 1e-9}
    assert len({candidate.mean for candidate in flat.candidates}) == 1
    assert not any("edge" in note for note in flat.notes)


GRID = {"C": [1, 10, 100], "kernel": ["linear", "rbf"]}
PARAMS = [{"C": c, "kernel": k} for c in GRID["C"] for k in GRID["kernel"]]


@pytest.mark.parametrize(
    ("between", "said"),
    [
        ([0.80, 0.81, 0.79], True),
        ([0.90, 0.91, 0.89], False),  # as good
        ([0.90, 0.91, 0.89 - 1e-12], False),
        ([0.95, 0.89, 0.85], False),  # less in the mean, within a standard error
        ([np.nan, np.nan, np.nan], True),
    ],
)
@pytest.mark.parametrize("greater", [True, False])
def test_an_edge_of_a_plateau_is_no_edge(between: list[float], said: bool, greater: bool) -> None:
    values = np.full((6, 3), 0.5)
    values[0] = [0.90, 0.91, 0.89]
    values[3] = between
    criterion = Criterion("any", None, greater)
    notes = edges(GRID, PARAMS, 0, values if greater else -values, criterion)
    assert [note.split(",")[0] for note in notes] == ["the best C"] * said
    assert edges(GRID, PARAMS, 2, values, criterion) == []


def test_a_guessed_task_is_said(X):
    y = np.arange(N) % 3
    found = evaluate(X, y, Spec(grid={"C": [1e-9, 1e-8, 1e-7]}))
    assert any("taken as classification: the target has only 3" in note for note in found.notes)
    assert "quadratic_kappa" in found.metrics
    assert evaluate(X, y, Spec(search=False, task="classification")).notes == ()


def test_the_positive_class_is_named(X):
    y = np.array(["abnormal", "normal"])[np.arange(N) % 2]
    (note,) = evaluate(X, y, Spec(search=False, task="classification")).notes
    assert note == "sensitivity and average precision are of 'normal', the last class"


def test_a_solver_that_stops_early_is_said_and_does_not_warn(X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(X, y, Spec(search=False, fixed={"max_iter": 1, "tol": 1e-9}))
    assert not found.converged
    assert not any(fold.converged for fold in found.folds)
    assert "6 of 6 fits stopped before they converged" in found.notes[-1]
    assert not found.candidates[0].converged


@pytest.mark.parametrize("scoring", ["balanced_accuracy", "f1_weighted", "roc_auc"])
def test_the_criterion_may_be_ours_or_scikit_learns(X, y, scoring):
    found = evaluate(X, y, Spec(scoring=scoring, grid={"C": [1e-5, 1e-2]}, cv="3"))
    assert found.criterion == scoring
    assert f"chosen by {scoring}" in found.how
    assert found.candidates[0].mean <= 1


def test_correlations_and_losses_choose_in_their_own_direction(X, y, amounts):
    for scoring in ("srocc", "plcc", "mae", "neg_mean_squared_error"):
        found = evaluate(X, amounts, Spec(head="ridge", scoring=scoring, cv="3"))
        means = [row.mean for row in found.candidates]
        pick = max(means) if found.greater_is_better else min(means)
        chosen = next(row for row in found.candidates if row.params == found.params)
        assert chosen.mean == pick
    assert evaluate(X, y, Spec(head="knn", scoring="log_loss")).greater_is_better is False


def test_a_start_from_the_candidate_before_changes_no_answer(X, y):
    grid = [1e-3, 1e-1, 1.0]
    found = evaluate(X, y, Spec(head="logreg", grid={"C": grid}, cv="3", scoring="log_loss"))
    for C, row in zip(grid, found.candidates, strict=True):
        alone = evaluate(X, y, Spec(head="logreg", search=False, fixed={"C": C}, cv="3"))
        assert alone.metrics["log_loss"].mean == pytest.approx(row.mean, rel=1e-5)


def test_more_processes_and_the_same_seed_give_the_same_answer(X, y):
    spec = Spec(grid={"C": [1e-3, 1e-1]}, cv="3", seed=5)
    one, two = (evaluate(X, y, spec, n_jobs=n) for n in (1, 2))
    assert np.array_equal(one.scores, two.scores)
    assert np.array_equal(one.estimator.coef_, two.estimator.coef_)
    assert one.metrics == two.metrics


def test_default_neighbours_that_do_not_fit_are_left_out(X, y):
    found = evaluate(X[:15], y[:15], Spec(head="knn", cv="3"))
    assert [row.params["n_neighbors"] for row in found.candidates] == [1, 3, 5]
    with pytest.raises(UsageError, match="n_neighbors=40"):
        evaluate(X[:15], y[:15], Spec(head="knn", grid={"n_neighbors": [1, 40]}))


def test_neighbours_that_nobody_named_have_to_be_there(X, y):
    with pytest.raises(UsageError, match="n_neighbors=5: expected a whole number, at most the 4"):
        evaluate(X[:6], np.arange(6) % 2, Spec(head="knn", search=False, cv="3"))


def test_scores_of_a_few_rows_a_fold_are_told(X):
    amount = X[:, 0] + np.arange(len(X))
    few = evaluate(X, amount, Spec(head="ridge", search=False, cv=str(len(X) // 3)))
    assert any("the smallest fold has 3 test rows" in note for note in few.notes)
    enough = evaluate(X, amount, Spec(head="ridge", search=False, cv="2"))
    assert not any("smallest fold" in note for note in enough.notes)


def test_progress_counts_every_training_set(X, y):
    class Count:
        def __init__(self):
            self.total, self.done = {}, {}

        def start(self, task, total):
            self.task = task
            self.total[task], self.done[task] = total, 0

        def advance(self, done=1):
            self.done[self.task] += done

        def say(self, message):
            pass

        def finish(self):
            self.task = None

    count = Count()
    evaluate(X, y, Spec(cv="3", grid={"C": [0.1, 1]}), progress=count)
    assert count.total == count.done == {"inner products": N, "fitting": 12}
    assert count.task is None


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ({"head": "svr"}, HeadTaskError, "svm, ridge"),
        ({"head": "tree"}, UnknownNameError, "known"),
        ({"fixed": {"gamma": 1}}, UnknownNameError, "known: C, fit_intercept"),
        ({"grid": {"alpha": [1]}}, UnknownNameError, "parameter of 'svm'"),
        ({"grid": {"C": [1]}, "search": False}, UsageError, "leave out one"),
        ({"grid": {"C": [1]}, "fixed": {"C": 1}}, UsageError, "both set and searched"),
        ({"fixed": {"C": -1}}, UsageError, "LinearSVC with C=-1"),
        ({"scoring": "acuracy"}, UnknownNameError, "'accuracy'"),
        ({"scoring": "log_loss"}, UsageError, "those that do: accuracy"),
        ({"scoring": "plcc"}, UsageError, "does not fit"),
        ({"scoring": "r2"}, UsageError, "does not fit"),
        ({"head": "knn", "fixed": {"n_neighbors": None}}, UsageError, "n_neighbors=None"),
        ({"scoring": "neg_log_loss"}, UsageError, "does not work for LinearSVC"),
        ({"scale": "minmax"}, UsageError, "none, l2 or standard"),
        ({"class_weight": "balanced", "head": "knn"}, UsageError, "no class weights"),
        ({"cv": "30"}, TargetError, "--cv 24"),
    ],
)
def test_what_cannot_be_done_is_said(X, y, spec, error, words):
    with pytest.raises(error, match=words):
        evaluate(X, y, Spec(**spec))


def test_arrays_that_do_not_go_together(X, y):
    with pytest.raises(TargetError, match="71 values of the target for 72 rows"):
        evaluate(X, y[:-1])
    with pytest.raises(TargetError, match="values of the groups"):
        evaluate(X, y, groups=np.arange(3))
    with pytest.raises(UsageError, match="expected \\(rows, features\\)"):
        evaluate(X[:, :0], y)
    bad = X.copy()
    bad[3, 3] = np.nan
    for features in (bad, bad[:, :20]):
        with pytest.raises(UsageError, match="not finite"):
            evaluate(features, y)


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_wide_features_of_many_rows_take_seconds(n_jobs):
    rng = np.random.default_rng(0)
    X = np.maximum(rng.normal(size=(400, 5000)) - 1, 0).astype(np.float32)
    found = evaluate(X, np.arange(400) % 4, Spec(cv="3"), n_jobs=n_jobs)
    assert found.converged
    assert sum(found.seconds.values()) < 60


def test_what_the_solver_got_down_to_is_reported(X, y, amounts):
    for head, target, measure in [
        ("svm", y, "duality gap"),
        ("svr", amounts, "duality gap"),
        ("ridge", amounts, "residual"),
        ("logreg", y, "gradient norm"),
    ]:
        found = evaluate(X, target, Spec(head=head, search=False))
        assert found.measure == measure
        assert 0 <= found.reached < 1e-3
        assert found.to_json()["solver"] == {"measure": measure, "reached": found.reached}
    assert evaluate(X, y, Spec(head="knn", search=False)).to_json()["solver"] is None


def test_a_solver_without_a_limit_of_steps_has_converged(X, y):
    assert evaluate(X, y, Spec(head="rbf", cv="2", fixed={"C": 1.0})).converged
    assert not evaluate(X, y, Spec(head="rbf", cv="2", fixed={"C": 1.0, "max_iter": 2})).converged


@pytest.mark.parametrize(
    ("jobs", "threads", "shares"),
    [(5, 2, [1, 1, 1, 1, 2]), (6, 4, [1, 1, 1, 1, 2, 2]), (4, 2, [1] * 4), (3, 16, [5] * 3)],
)
def test_a_last_round_that_is_not_full_shares_the_threads(jobs, threads, shares) -> None:
    assert _shares(jobs, threads) == shares
