"""Calibrated probabilities against scikit-learn's CalibratedClassifierCV on the same folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featx.artifact import TRUSTED
from featx.errors import UnknownNameError, UsageError
from featx.evaluate import Spec, evaluate
from featx.evaluate.calibrate import (
    METHODS,
    calibrated,
    check_calibration,
    fit_calibrator,
    with_calibrator,
)
from featx.heads import output_scores
from featx.metrics import Outcome

N = 120
NEW = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 8)
INSTALLED = METHODS if NEW else METHODS[:2]


def problem(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    codes = np.arange(N) % k
    X = np.random.default_rng(k).normal(size=(N, 8)) + 0.8 * np.eye(k, 8)[codes]
    return X, codes, np.array(["ant", "bee", "cow"])[:k]


def left_out(X: np.ndarray, codes: np.ndarray) -> list[Outcome]:
    outcomes = []
    for train, test in StratifiedKFold(4).split(X, codes):
        head = RidgeClassifier().fit(X[train], codes[train])
        scores, _ = output_scores(head, X[test])
        outcomes.append(Outcome(codes[test], head.predict(X[test]), scores))
    return outcomes


@pytest.mark.parametrize("method", INSTALLED)
@pytest.mark.parametrize("k", [2, 3])
def test_probabilities_are_scikit_learns(k, method, tmp_path: Path):
    X, codes, classes = problem(k)
    calibrator = fit_calibrator(left_out(X, codes), method, classes)
    head = RidgeClassifier().fit(X, classes[codes])
    scores, _ = output_scores(head, X)
    outcome = calibrated(Outcome(codes, codes, scores), calibrator)
    found = with_calibrator(head, calibrator)
    truth = CalibratedClassifierCV(
        RidgeClassifier(), method=method, ensemble=False, cv=StratifiedKFold(4)
    ).fit(X, classes[codes])
    # The order of the rows differs, and with it the last digits of what the calibrators minimise.
    np.testing.assert_allclose(found.predict_proba(X), truth.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(outcome.scores, found.predict_proba(X), atol=1e-12)
    assert classes[outcome.prediction].tolist() == found.predict(X).tolist()
    assert (found.n_features_in_, found.classes_.tolist()) == (8, classes.tolist())
    skops.io.dump(found, tmp_path / "head.skops")
    strange = skops.io.get_untrusted_types(file=tmp_path / "head.skops")
    assert set(strange) <= TRUSTED
    again = skops.io.load(tmp_path / "head.skops", trusted=strange)
    np.testing.assert_array_equal(again.predict_proba(X), found.predict_proba(X))


def test_a_scaler_stays_in_front():
    X, codes, classes = problem(3)
    head = make_pipeline(StandardScaler(), RidgeClassifier()).fit(X, classes[codes])
    calibrator = fit_calibrator(left_out(X, codes), "sigmoid", classes)
    found = with_calibrator(head, calibrator)
    scores, _ = output_scores(head, X)
    expected = calibrated(Outcome(codes, codes, scores), calibrator)
    np.testing.assert_allclose(found.predict_proba(X), expected.scores, atol=1e-12)


@pytest.mark.skipif(not NEW, reason="temperature scaling is in scikit-learn from 1.8 on")
def test_temperature_keeps_the_highest_class():
    X, codes, classes = problem(3)
    outcomes = left_out(X, codes)
    calibrator = fit_calibrator(outcomes, "temperature", classes)
    for outcome in outcomes:
        assert calibrated(outcome, calibrator).prediction.tolist() == outcome.prediction.tolist()


def test_probabilities_are_honest_on_new_rows():
    """The bins of what was said to be likely hold as many of the class as was said."""
    rng = np.random.default_rng(0)
    codes = np.arange(4000) % 2
    X = rng.normal(size=(4000, 5)) + codes[:, None] * [1.0, 0, 0, 0, 0]
    fitted, new = slice(0, 2000), slice(2000, 4000)
    calibrator = fit_calibrator(left_out(X[fitted], codes[fitted]), "sigmoid", np.arange(2))
    head = with_calibrator(RidgeClassifier().fit(X[fitted], codes[fitted]), calibrator)
    said = head.predict_proba(X[new])[:, 1]
    bins = np.minimum((said * 5).astype(int), 4)
    for b in range(5):
        inside = bins == b
        # 300 rows or so a bin: a standard error of 0.03, and three of them.
        assert said[inside].mean() == pytest.approx(codes[new][inside].mean(), abs=0.09)


def test_what_cannot_be_calibrated_is_refused(monkeypatch):
    check_calibration(None, "logreg", "classification", probabilities=True)
    check_calibration("sigmoid", "svm", "classification", probabilities=False)
    with pytest.raises(UnknownNameError, match="sigmoid"):
        check_calibration("sigmod", "svm", "classification", probabilities=False)
    with pytest.raises(UsageError, match="'logreg' gives probabilities of its own"):
        check_calibration("sigmoid", "logreg", "classification", probabilities=True)
    with pytest.raises(UsageError, match="'ridge' predicts numbers here"):
        check_calibration("sigmoid", "ridge", "regression", probabilities=False)
    monkeypatch.setattr(sklearn, "__version__", "1.7.2")
    with pytest.raises(UsageError, match=r"from 1\.8 on, and 1\.7\.2 is installed"):
        check_calibration("temperature", "svm", "classification", probabilities=False)
    monkeypatch.setattr(sklearn, "__version__", "1.9.dev0")
    check_calibration("temperature", "svm", "classification", probabilities=False)


@pytest.mark.parametrize("options", [{}, {"search": False}, {"test_size": 0.3}])
def test_a_fit_calibrates_inside_its_training_rows(options):
    X, codes, classes = problem(3)
    spec = Spec(head="ridge", calibrate="sigmoid", cv="3", **options)
    found = evaluate(X.astype(np.float32), classes[codes], spec)
    assert found.probabilities
    assert "probabilities by sigmoid calibration inside each training set" in found.how
    assert 0 < found.metrics["log_loss"].mean < found.baseline["log_loss"].mean
    for fold in found.folds:
        np.testing.assert_allclose(np.asarray(fold.scores).sum(axis=1), 1)
        assert fold.prediction.tolist() == classes[fold.scores.argmax(axis=1)].tolist()
    np.testing.assert_allclose(found.estimator.predict_proba(X).sum(axis=1), 1)
    assert isinstance(found.estimator, CalibratedClassifierCV)


def test_a_nested_fold_is_scikit_learns_calibration_of_its_training_rows():
    X, codes, _ = problem(2)
    spec = Spec(head="ridge", calibrate="sigmoid", search=False, fixed={"alpha": 2.0}, cv="3")
    found = evaluate(X.astype(np.float32), codes, spec)
    for fold in found.folds:
        inner = StratifiedKFold(3, shuffle=True, random_state=0)
        truth = CalibratedClassifierCV(
            RidgeClassifier(alpha=2.0), method="sigmoid", ensemble=False, cv=inner
        ).fit(X[fold.train], codes[fold.train])
        # Rows in another order, features in float32: the calibrator's own minimum moves by that.
        np.testing.assert_allclose(fold.scores, truth.predict_proba(X[fold.test]), atol=1e-4)


def test_candidates_are_not_chosen_by_probabilities_that_come_later():
    X, codes, _ = problem(3)
    with pytest.raises(UsageError, match="log_loss"):
        evaluate(X, codes, Spec(head="ridge", calibrate="sigmoid", scoring="log_loss"))
