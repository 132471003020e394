"""Scores: the spread over splits, and the bootstrap against literal resampling."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

import featx.scores
from featx.errors import TargetError
from featx.metrics import CLASSIFICATION, REGRESSION, Outcome, metrics_for
from featx.scores import Score, corrected_t, outcome_of, score_once, score_splits


def binary(rng, m):
    y = rng.integers(2, size=m)
    s = y + rng.normal(0, 1.2, m)
    return Outcome(y, (s > 0.5).astype(int), np.stack([-s, s], axis=1))


def test_mean_and_std_are_over_splits():
    rng = np.random.default_rng(0)
    outcomes = [binary(rng, 40) for _ in range(3)]
    rows = [np.arange(40 * i, 40 * (i + 1)) for i in range(3)]
    score = score_splits(outcomes, rows, CLASSIFICATION[:1])["accuracy"]
    each = [accuracy_score(o.y, o.prediction) for o in outcomes]
    assert score.mean == pytest.approx(np.mean(each))
    assert score.std == pytest.approx(np.std(each, ddof=1))
    assert (score.n, score.splits) == (120, 3)
    assert score.low < score.mean < score.high
    assert "120 units (row)" in score.how


@pytest.mark.parametrize("grouped", [False, True])
def test_the_interval_is_that_of_a_literal_group_bootstrap(grouped):
    rng = np.random.default_rng(1)
    outcomes = [binary(rng, 60) for _ in range(2)]
    rows = [np.arange(0, 120, 2), np.arange(1, 120, 2)]
    group_of = np.repeat(np.arange(30), 4) if grouped else np.arange(120)
    groups = group_of if grouped else None
    score = score_splits(outcomes, rows, CLASSIFICATION[:1], groups=groups)["accuracy"]
    values, units = [], np.unique(group_of)
    for _ in range(1000):
        drawn = rng.choice(units, len(units))
        each = []
        for o, r in zip(outcomes, rows, strict=True):
            at = np.concatenate([np.flatnonzero(group_of[r] == g) for g in drawn])
            each.append((o.y[at] == o.prediction[at]).mean())
        values.append(np.mean(each))
    low, high = np.percentile(values, [2.5, 97.5])
    assert score.low == pytest.approx(low, abs=0.015)
    assert score.high == pytest.approx(high, abs=0.015)


def test_groups_widen_the_interval_of_rows_that_agree():
    rng = np.random.default_rng(2)
    right = np.repeat(rng.random(20) < 0.7, 10).astype(int)
    outcome = Outcome(np.ones(200, int), right, np.stack([-right, right], axis=1) * 1.0)
    rows, groups = [np.arange(200)], np.repeat(np.arange(20), 10)
    alone = score_splits([outcome], rows, CLASSIFICATION[:1])["accuracy"]
    together = score_splits([outcome], rows, CLASSIFICATION[:1], groups=groups)["accuracy"]
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert np.isnan(alone.std)


def test_the_same_seed_gives_the_same_interval():
    outcome, rows = binary(np.random.default_rng(0), 50), [np.arange(50)]
    first, second, other = (
        score_splits([outcome], rows, CLASSIFICATION, seed=seed) for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other


def test_undefined_says_why_and_is_null():
    outcome = Outcome(np.arange(4.0), np.ones(4))
    score = score_splits([outcome], [np.arange(4)], REGRESSION)["plcc"]
    assert score.how.startswith("undefined: the prediction or the target is constant")
    values = json.loads(json.dumps(score.to_json(), allow_nan=False))
    assert values["mean"] is None
    assert values["splits"] == 0


def test_large_sets_are_resampled_less_and_krocc_not_at_all():
    rng = np.random.default_rng(0)
    y = rng.normal(size=6000)
    outcome = Outcome(y, y + rng.normal(size=6000))
    scores = score_splits([outcome], [np.arange(6000)], REGRESSION[-3:])
    assert "833 resamples" in scores["plcc"].how
    assert scores["krocc"].how == "no interval: a split has more than 5000 rows"
    assert np.isnan(scores["krocc"].low)
    assert 0.4 < scores["krocc"].mean < 0.6


@pytest.mark.slow
def test_all_metrics_of_2500_rows_take_seconds():
    rng = np.random.default_rng(0)
    y = rng.integers(7, size=500)
    outcome = Outcome(y, y, rng.random((500, 7)) / 7)
    rows = [np.arange(500 * i, 500 * (i + 1)) for i in range(5)]
    metrics = metrics_for("classification", ordered=True, probabilities=True)
    start = time.process_time()
    score_splits([outcome] * 5, rows, metrics)
    assert time.process_time() - start < 10


def test_score_once_takes_labels_in_the_order_of_the_classes():
    y = np.array(["10", "2", "10", "2"])
    scores = np.array([[0.2, 0.8], [0.9, 0.1], [0.3, 0.7], [0.4, 0.6]])
    prediction = np.array(["10", "2", "10", "10"])
    found = score_once(y, prediction, scores, np.array(["2", "10"]), probabilities=True)
    assert found["accuracy"].mean == 0.75
    assert found["roc_auc"].mean == 1.0
    assert "log_loss" in found
    assert "quadratic_kappa" not in found


def test_score_once_of_numbers():
    y = np.arange(10.0)
    found = score_once(y, y * 1.1 + 1, groups=np.arange(10) // 2, group_name="person")
    assert found["mae"].mean == pytest.approx(1.45)
    assert found["srocc"].mean == pytest.approx(1)
    assert "5 units (person)" in found["mae"].how


def test_labels_that_the_head_does_not_know_are_named():
    with pytest.raises(TargetError, match="yak"):
        outcome_of(np.array(["cat", "yak"]), np.array(["cat", "dog"]), None, ["cat", "dog"])


def test_a_score_is_plain_json():
    values = Score(0.5, float("nan"), 0.4, float("inf"), 10, 1, "x", 0.5, 0.5, 0.5).to_json()
    assert values == {
        "mean": 0.5, "std": None, "low": 0.4, "high": None, "n": 10, "splits": 1, "how": "x",
        "median": 0.5, "quarter": 0.5, "three_quarters": 0.5,
        "corrected_low": None, "corrected_high": None, "corrected_how": "",
    }  # fmt: skip


def test_the_corrected_interval_is_the_formulas():
    values = np.array([0.80, 0.84, 0.78, 0.90, 0.83])
    # s^2 = 0.0021, (1/5 + 1/4) s^2 = 0.000945, t(4) = 2.776445 (tables): 0.83 -+ 0.08535
    assert corrected_t(values, 0.25) == pytest.approx((0.74465, 0.91535), abs=1e-5)


def test_the_corrected_interval_covers_the_truth_and_the_plain_one_does_not():
    """Predict by the mean of 40 of 50 standard normal values: the expected error is 1 + 1/40."""
    rng, truth = np.random.default_rng(0), 1 + 1 / 40
    covered = np.zeros(2)
    for _ in range(400):
        y = rng.normal(size=50)
        each = []
        for _ in range(15):
            order = rng.permutation(50)
            each.append(((y[order[:10]] - y[order[10:]].mean()) ** 2).mean())
        for i, share in enumerate((0.25, 0.0)):
            low, high = corrected_t(np.array(each), share)
            covered[i] += low <= truth <= high
    # 400 trials of a share near 0.95 have a standard error of 0.011.
    assert covered[0] / 400 > 0.9
    assert covered[1] / 400 < 0.75


def test_corrected_intervals_end_where_the_metric_does():
    outcomes = [Outcome(np.arange(6) % 2, p, np.eye(2)[p]) for p in np.eye(6, dtype=int)[:2]]
    outcomes.append(Outcome(np.arange(6) % 2, np.arange(6) % 2, np.eye(2)[np.arange(6) % 2]))
    rows = [np.arange(6 * i, 6 * i + 6) for i in range(3)]
    score = score_splits(outcomes, rows, CLASSIFICATION[:1], n_train=[12, 12, 12])["accuracy"]
    assert (score.corrected_low, score.corrected_high) == (0, 1)
    assert "3 splits with 0.5 test rows to a training row" in score.corrected_how
    alone = score_splits(outcomes, rows, CLASSIFICATION[:1])["accuracy"]
    assert np.isnan(alone.corrected_low)


def test_large_sets_are_drawn_in_parts_that_fit(monkeypatch):
    outcome, rows = binary(np.random.default_rng(0), 50), [np.arange(50)]
    whole = score_splits([outcome], rows, CLASSIFICATION[:1])
    monkeypatch.setattr(featx.scores, "_COUNTS", 150)
    parts = score_splits([outcome], rows, CLASSIFICATION[:1])
    assert parts == whole
    monkeypatch.setattr(featx.scores, "_COUNTS", 1)
    assert score_splits([outcome], rows, CLASSIFICATION[:1]) == whole


def test_predictions_that_run_against_the_target_are_turned_around():
    rng = np.random.default_rng(0)
    quality = rng.normal(size=60)
    said = 50 - 10 * quality + rng.normal(size=60)
    found = score_once(quality, said, quality=True, turned=True)
    straight = score_once(quality, said, quality=True)
    assert found["srocc"].mean == -straight["srocc"].mean > 0.9
    assert found["plcc"].mean == pytest.approx(-straight["plcc"].mean)
    assert found["plcc_logistic5"].mean == pytest.approx(straight["plcc_logistic5"].mean, abs=1e-6)
    assert set(straight) - set(found) == {"mae", "rmse", "r2"}


def all_right(groups=None):
    y = np.arange(40) % 2
    outcomes = [Outcome(y[:20], y[:20], np.eye(2)[y[:20]])] * 2
    rows = [np.arange(20), np.arange(20, 40)]
    return score_splits(outcomes, rows, CLASSIFICATION[:6], groups=groups, group_name="person")


def test_of_rows_that_are_all_right_the_interval_is_exact():
    found = all_right()
    # Clopper and Pearson, all of n right: the lower end L has L^n = 0.025
    assert found["accuracy"].low == pytest.approx(0.025 ** (1 / 40))
    assert found["accuracy"].high == 1
    assert found["accuracy"].how.startswith("95 % exact interval (Clopper and Pearson) of 40 units")
    grouped = all_right(np.arange(40) // 4)["accuracy"]
    assert grouped.low == pytest.approx(0.025 ** (1 / 10))
    assert "10 units (person)" in grouped.how
    y = np.zeros(30, int)
    wrong = score_splits([Outcome(y, y + 1, np.eye(2)[y + 1])], [np.arange(30)], CLASSIFICATION)
    assert wrong["accuracy"].low == 0
    assert wrong["accuracy"].high == pytest.approx(1 - 0.025 ** (1 / 30))


@pytest.mark.parametrize("name", ["balanced_accuracy", "f1_macro", "sensitivity", "roc_auc"])
def test_what_is_no_share_has_no_interval_without_width(name):
    score = all_right()[name]
    assert score.mean == 1
    assert np.isnan([score.low, score.high]).all()
    assert score.how.startswith("no interval: all resamples score the same")


def test_one_unit_says_nothing_of_others():
    y = np.array([0, 1, 0, 1])
    outcome = Outcome(y, np.zeros(4, int), np.eye(2)[np.zeros(4, int)])
    groups = np.zeros(4, int)
    score = score_splits([outcome], [np.arange(4)], CLASSIFICATION[:1], groups=groups)["accuracy"]
    assert score.mean == 0.5
    assert np.isnan(score.low)


def test_splits_that_score_alike_give_no_corrected_interval():
    outcomes = [Outcome(np.arange(6) % 2, np.zeros(6, int), np.eye(2)[np.zeros(6, int)])] * 3
    rows = [np.arange(6 * i, 6 * i + 6) for i in range(3)]
    score = score_splits(outcomes, rows, CLASSIFICATION[:1], n_train=[12, 12, 12])["accuracy"]
    assert score.mean == 0.5
    assert np.isnan(score.corrected_low)
    assert "all 3 splits scored the same" in score.corrected_how
