"""Put what the fits gave into an `Evaluation`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor

from featx._types import Array, Float64s, Ints
from featx._words import count
from featx.evaluate.calibrate import calibrated, fit_calibrator, with_calibrator
from featx.evaluate.criterion import edges, summarize
from featx.evaluate.groups import group_splits, mixed_groups
from featx.evaluate.result import Candidate, Evaluation, FoldResult
from featx.metrics import Outcome, ones, recalls
from featx.scores import Score, score_splits

if TYPE_CHECKING:
    from featx.evaluate.setup import Setup
    from featx.evaluate.work import Answer, Stop
    from featx.solvers import Solution


@dataclass(frozen=True)
class Found:
    """What the search gave.

    Attributes
    ----------
    outer
        One a fold: the answer that counts, of the candidate in ``picks``.
    chosen
        Candidate of the final model.
    values, converged
        (candidates, splits) of the search for it; empty where nothing was searched and there is
        a single split.
    inside
        For each fold, the answers of its candidate on its inner splits.
    search
        Answers of the chosen candidate on the splits that chose it.
    whole
        The chosen candidate trained on all rows, where that is at hand.
    """

    outer: list[Answer]
    picks: list[int]
    chosen: int
    values: Float64s
    converged: Array
    inside: list[list[Answer]]
    search: list[Answer]
    whole: Solution | None = None


def describe(setup: Setup, found: Found, estimator: Any, stop: Stop) -> Evaluation:
    """Score the outcomes of every split, and say how it was done. Seconds are left empty."""
    outcomes = _outcomes(setup, found)
    params = setup.params[found.chosen]
    prediction, scores, fold = _out_of_fold(setup, outcomes)
    baseline = _baseline(setup)
    criterion = setup.solver.criterion
    stops = [stop, *(answer.stop for answer in found.outer)]
    every = [stop.converged for stop in stops]
    reached = [stop.reached for stop in stops if stop.measure]
    return Evaluation(
        head=setup.head.name,
        task=setup.target.task,
        scale=setup.spec.scale,
        classes=setup.target.classes,
        estimator=_with_probabilities(setup, found, estimator),
        params=params,
        candidates=_candidates(setup, found),
        prediction=prediction,
        scores=scores,
        probabilities=setup.probabilities,
        fold=fold,
        folds=_folds(setup, found, outcomes),
        metrics=_score(setup, outcomes),
        baseline=_score(setup, baseline),
        group_metrics=_score_groups(setup, outcomes),
        group_baseline=_score_groups(setup, baseline),
        class_recall=_recall(outcomes),
        criterion=criterion.name,
        greater_is_better=criterion.greater_is_better,
        nested=setup.searched and not setup.plan.single,
        converged=all(every),
        reached=max(reached, default=None),
        measure=max(stop.measure for stop in stops),
        final=setup.plan.final,
        how=_how(setup),
        notes=_notes(setup, found, every),
        warnings=(*setup.plan.warnings, *_about_rare_classes(setup)),
        seconds={},
    )


def fold_results(setup: Setup, found: Found) -> tuple[FoldResult, ...]:
    """Give what came out for each fold."""
    return _folds(setup, found, _outcomes(setup, found))


def _outcomes(setup: Setup, found: Found) -> list[Outcome]:
    """Give what came out for each fold's test rows, calibrated inside where that is asked for."""
    outcomes, method = [answer.outcome for answer in found.outer], setup.spec.calibrate
    if method is None:
        return outcomes
    numbers = np.arange(outcomes[0].k)
    return [
        calibrated(outcome, fit_calibrator([a.outcome for a in inside], method, numbers))
        for outcome, inside in zip(outcomes, found.inside, strict=True)
    ]


def _with_probabilities(setup: Setup, found: Found, estimator: Any) -> Any:
    """Give the final estimator with the probabilities asked for."""
    method, classes = setup.spec.calibrate, setup.target.classes
    if method is None or classes is None or estimator is None:
        return estimator
    outcomes = [answer.outcome for answer in found.search]
    return with_calibrator(estimator, fit_calibrator(outcomes, method, classes))


def _score(setup: Setup, outcomes: list[Outcome]) -> dict[str, Score]:
    return score_splits(
        outcomes,
        [fold.test for fold in setup.plan.folds],
        setup.metrics,
        n_train=[len(fold.train) for fold in setup.plan.folds],
        groups=setup.rows.groups,
        group_name=setup.rows.group_name,
        seed=setup.spec.seed,
    )


def _score_groups(setup: Setup, outcomes: list[Outcome]) -> dict[str, Score]:
    """Score each group's mean, if that is asked for."""
    if setup.spec.aggregate is None:
        return {}
    folds = setup.plan.folds
    tests, trains = [fold.test for fold in folds], [fold.train for fold in folds]
    means = group_splits(outcomes, tests, trains, setup.rows)
    return score_splits(
        means.outcomes,
        means.groups,
        setup.metrics,
        n_train=means.n_train,
        groups=np.arange(setup.rows.units.max() + 1),
        group_name=setup.rows.group_name,
        seed=setup.spec.seed,
    )


def _baseline(setup: Setup) -> list[Outcome]:
    """Predict the most frequent class (with the classes' shares as probabilities), or the mean."""
    values, outcomes = setup.target.values, []
    for fold in setup.plan.folds:
        kind = DummyRegressor() if setup.target.classes is None else DummyClassifier()
        kind.fit(np.zeros((len(fold.train), 1)), values[fold.train])
        rows = np.zeros((len(fold.test), 1))
        scores = None if setup.target.classes is None else kind.predict_proba(rows)
        outcomes.append(Outcome(values[fold.test], kind.predict(rows), scores))
    return outcomes


def _candidates(setup: Setup, found: Found) -> tuple[Candidate, ...]:
    """Give the search for the final parameters; NaN where nothing had to be searched."""
    if not found.values.size:
        return tuple(Candidate(p, np.nan, np.nan, True) for p in setup.params)
    mean, std = summarize(found.values)
    met = [bool(np.all(row)) for row in found.converged]
    rows = zip(setup.params, mean.tolist(), std.tolist(), met, strict=True)
    return tuple(Candidate(*row) for row in rows)


def _folds(setup: Setup, found: Found, outcomes: list[Outcome]) -> tuple[FoldResult, ...]:
    results = []
    parts = zip(setup.plan.folds, found.outer, found.picks, outcomes, strict=True)
    for fold, answer, pick, o in parts:
        classes = setup.target.classes
        results.append(
            FoldResult(
                train=fold.train,
                test=fold.test,
                params=setup.params[pick],
                prediction=o.prediction if classes is None else classes[o.prediction],
                scores=o.scores,
                metrics={m.name: float(m(o, ones(o))[0]) for m in setup.metrics},
                converged=answer.stop.converged,
            )
        )
    return tuple(results)


def _out_of_fold(setup: Setup, outcomes: list[Outcome]) -> tuple[Array, Float64s | None, Ints]:
    """Average what several splits say of a row; give (n,) predictions, (n, k) scores, first fold.

    A row tested once keeps its split's own prediction; one tested several times gets the class
    with the highest mean score.
    """
    n, classes = setup.rows.n, setup.target.classes
    tests = [fold.test for fold in setup.plan.folds]
    count, fold = np.zeros(n), np.full(n, -1)
    for number in reversed(range(len(tests))):
        count[tests[number]] += 1
        fold[tests[number]] = number
    times = np.where(count == 0, np.nan, count)
    if classes is None:
        total = np.zeros(n)
        for rows, outcome in zip(tests, outcomes, strict=True):
            total[rows] += outcome.prediction
        return total / times, None, fold
    sums = np.zeros((n, len(classes)))
    codes = np.zeros(n, dtype=np.int64)
    for rows, outcome in zip(tests, outcomes, strict=True):
        sums[rows] += _scores(outcome)
        codes[rows] = outcome.prediction
    codes[count > 1] = sums[count > 1].argmax(axis=1)
    prediction = classes[codes].astype(object)
    prediction[count == 0] = None
    return prediction, sums / times[:, None], fold


def _recall(outcomes: list[Outcome]) -> tuple[float, ...]:
    """Recall of each class over all tested rows; empty for regression."""
    if outcomes[0].scores is None:
        return ()
    every = Outcome(
        np.concatenate([o.y for o in outcomes]),
        np.concatenate([o.prediction for o in outcomes]),
        np.concatenate([_scores(o) for o in outcomes]),
    )
    return tuple(recalls(every, ones(every))[0].tolist())


def _scores(outcome: Outcome) -> Float64s:
    return np.zeros((len(outcome.y), 0)) if outcome.scores is None else outcome.scores


def _how(setup: Setup) -> str:
    """Say how the scores were estimated, in a sentence."""
    plan, grid = setup.plan, setup.grid
    method = setup.spec.calibrate
    added = f"; probabilities by {method} calibration inside each training set" if method else ""
    if setup.views is not None:
        added += "; each image scored by the mean over its views"
    if not setup.searched:
        words = ", ".join(f"{k}={_word(v)}" for k, v in setup.params[0].items())
        return f"{plan.how}; nothing searched{f', {words}' if words else ''}{added}"
    spelled = "; ".join(f"{k} in {', '.join(map(_word, v))}" for k, v in grid.items())
    by = f"chosen by {setup.solver.criterion.name} in {plan.inner_how}"
    nested = "" if plan.single else "nested "
    return f"{nested}{plan.how}; {spelled}: {by} inside each training set{added}"


def _notes(setup: Setup, found: Found, converged: list[bool]) -> tuple[str, ...]:
    notes = list(setup.plan.notes)
    if setup.target.why:
        notes.append(f"taken as {setup.target.task}: {setup.target.why} (--task decides)")
    if setup.target.classes is not None and len(setup.target.classes) == 2:
        positive = str(setup.target.classes[1])
        notes.append(f"sensitivity and average precision are of {positive!r}, the last class")
    notes += _about_groups(setup) + _about_small_folds(setup) + _about_own_validation(setup)
    if setup.spec.lower_is_better:
        notes.append(
            "low values of the target are the good ones: it is they that are predicted, so "
            "correlations above 0 are right, and are those of scores that run the other way"
        )
    if found.values.size:
        notes += edges(setup.grid, setup.params, found.chosen, found.values, setup.solver.criterion)
    if not all(converged):
        notes.append(
            f"{converged.count(False)} of {len(converged)} fits stopped before they converged: "
            "raise --set max_iter, or leave out the largest values of the grid"
        )
    return tuple(notes)


def _about_groups(setup: Setup) -> list[str]:
    if setup.spec.aggregate is None or not (mixed := mixed_groups(setup.rows)).any():
        return []
    note = (
        f"{mixed.sum()} of {len(mixed)} groups ({setup.rows.group_name}) "
        f"{'has' if mixed.sum() == 1 else 'have'} rows of different "
        "labels: they are left out where the means of groups are scored"
    )
    return [note]


def _about_own_validation(setup: Setup) -> list[str]:
    """Say where scikit-learn's network sets rows aside without regard to what belongs together."""
    if setup.head.name != "mlp" or (setup.rows.groups is None and setup.views is None):
        return []
    every = [{**setup.head.fixed, **params} for params in setup.params]
    if not any(p.get("early_stopping") and p["solver"] != "lbfgs" for p in every):
        return []  # only the stochastic solvers stop early
    name = "image" if setup.rows.groups is None else setup.rows.group_name
    note = (
        f"early_stopping of mlp: its validation rows may share groups ({name}) with its training "
        "rows; use --head nn, which keeps them apart"
    )
    return [note]


_FEW_OF_A_CLASS = 5
"""Tested rows of a class below which more than 1 of 150 resamples draw none of it."""
_FEW_ROWS = 20
"""Test rows of a fold below which RMSE, R2 and correlations of it mean little."""


def _about_small_folds(setup: Setup) -> list[str]:
    """Say that scores of a few rows are not those of all rows."""
    least = min(len(fold.test) for fold in setup.plan.folds)
    if setup.target.classes is not None or least >= _FEW_ROWS:
        return []
    rows = count(least, "test row")
    note = (
        f"the smallest fold has {rows}: scores are means over folds, and RMSE, R2 and correlations "
        "of so few rows are not those of all rows: take fewer folds"
    )
    return [note]


def _about_rare_classes(setup: Setup) -> list[str]:
    """Say that resamples may miss a class: of n rows, with a probability of some exp(-n)."""
    if setup.target.classes is None:
        return []
    tested = setup.rows.take(np.unique(np.concatenate([fold.test for fold in setup.plan.folds])))
    n = tested.units_per_class()
    few = np.flatnonzero((n > 0) & (n < _FEW_OF_A_CLASS))
    if not len(few):
        return []
    named = ", ".join(f"{tested.names[i]!r} ({tested.said(int(n[i]))})" for i in few[:3])
    more = f" and {len(few) - 3:,} more classes" if len(few) > 3 else ""
    note = (
        f"few are tested of {named}{more}: scores that are means over classes rest on each class "
        "alike, and their intervals for new images leave a class out where none of it is drawn"
    )
    return [note]


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
