"""Splits and scores of something that is trained elsewhere, as `featx.evaluate.evaluate` has them.

Whatever is trained gets the training rows of a split, less a validation part that chooses among
candidates (and among its epochs); the test rows are scored once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._types import Array, Float64s, Ints
from featx.errors import UsageError
from featx.evaluate.answer import Found, describe
from featx.evaluate.criterion import best
from featx.evaluate.setup import read_setup
from featx.evaluate.work import Answer, Stop
from featx.folds.advice import NO_VALIDATION
from featx.folds.draw import inner_splits
from featx.metrics import Outcome, ones

if TYPE_CHECKING:
    from featx.evaluate.result import Evaluation, Params, Spec
    from featx.evaluate.setup import Setup
    from featx.folds import Fold
    from featx.heads import Head


@dataclass(frozen=True)
class Attempt:
    """What one training of one candidate gave.

    Attributes
    ----------
    value
        Of the criterion on its validation rows, in the criterion's own sense; NaN without any.
    said
        What it says of the test rows: (t, k) probabilities, or (t,) numbers; None where there are
        none.
    model
        Whatever is to be kept of it.
    """

    value: float
    said: Array | None
    model: Any


Trainer = Callable[["Params", "Ints", "Ints", "Ints"], Attempt]
"""Takes a candidate and the rows that train, validate and are tested; the latter may be none."""


def read_trained(
    head: Head,
    y: Array,
    spec: Spec,
    validation: float,
    groups: Array | None,
    split: Array | None,
    group_name: str,
    split_name: str,
) -> Setup:
    """Read what is asked for, as `featx.evaluate.read_setup`; inner splits are one validation part.

    Parameters
    ----------
    validation
        The part of each training set; its val rows, where the split column has some; 0: none.

    Raises
    ------
    UsageError
        If there is something to choose and no validation part, or the criterion is none of featx's.
    """
    n_inner = _parts(validation)
    setup = read_setup(
        len(y), 1, y, spec, groups, split, group_name, split_name, head=head, search=n_inner > 0
    )
    if setup.searched and not n_inner:
        raise UsageError(
            f"{len(setup.params)} candidates and no validation rows to choose by: give --val 0.2, "
            "or one value of each"
        )
    if setup.solver.criterion.metric is None:
        known = ", ".join(metric.name for metric in setup.metrics)
        raise UsageError(f"scoring {setup.solver.criterion.name!r}: expected one of {known}")
    folds, plan = setup.plan.folds, setup.plan
    if not n_inner or (split is not None and len(folds[0].inner) == 1):
        return setup
    kept = tuple(replace(fold, inner=_part(setup, fold.train, n_inner)) for fold in folds)
    how = f"a validation part of 1 in {n_inner} of its rows"
    return replace(setup, plan=replace(plan, folds=kept, inner_how=how))


def _parts(validation: float) -> int:
    if not 0 <= validation <= 0.5:
        raise UsageError(f"val is {validation!r}; expected a part of the rows from 0 to 0.5")
    return round(1 / validation) if validation else 0


def _part(setup: Setup, train: Ints, n_inner: int) -> tuple[tuple[Ints, Ints], ...]:
    return inner_splits(setup.rows, train, n_inner, setup.spec.seed, NO_VALIDATION)[:1]


def judge_of(setup: Setup) -> Callable[[Array, Array], float]:
    """Give what says how good outputs are by the criterion; more is better.

    It takes targets (class numbers, or numbers) and what is said: probabilities or numbers.
    """
    criterion = setup.solver.criterion
    sign = 1.0 if criterion.greater_is_better else -1.0

    def judge(y: Array, said: Array) -> float:
        return sign * _value(setup, y, said)

    return judge


def _value(setup: Setup, y: Array, said: Array) -> float:
    metric = setup.solver.criterion.metric
    assert metric is not None  # noqa: S101  # read_trained saw to it
    outcome = outcome_of_said(y, said)
    return float(metric(outcome, ones(outcome))[0])


def outcome_of_said(y: Array, said: Array) -> Outcome:
    """Give the outcome of (t, k) probabilities of classes, or of (t,) numbers."""
    if said.ndim == 1:
        return Outcome(y, said, None)
    return Outcome(y, said.argmax(axis=1), said)


def evaluate_trained(
    setup: Setup, trainer: Trainer, estimator_of: Callable[[Any], Any]
) -> tuple[Evaluation, Any]:
    """Train every candidate on every split; give the evaluation, and the final model.

    Where there is one split, the final model is the one that was scored; of several, the chosen
    candidate is trained once more on all rows.

    Parameters
    ----------
    estimator_of
        Makes the estimator of the final model.
    """
    tries = [_tries(setup, trainer, fold) for fold in setup.plan.folds]
    values: Float64s = np.array([[one.value for one in row] for row in tries]).T
    criterion = setup.solver.criterion
    picks = [best(values[:, [i]], criterion) if setup.searched else 0 for i in range(len(tries))]
    chosen = best(values, criterion) if setup.searched else 0
    model = tries[0][picks[0]].model if setup.plan.single else _final(setup, trainer, chosen)
    if setup.plan.single:
        chosen = picks[0]
    outer = [
        _answer(setup, fold, row[pick])
        for fold, row, pick in zip(setup.plan.folds, tries, picks, strict=True)
    ]
    met = np.ones(values.shape, dtype=bool)
    shown = values if setup.searched else np.empty((0, 0))
    found = Found(outer, picks, chosen, shown, met, [[] for _ in outer], [])
    return describe(setup, found, estimator_of(model), Stop(converged=True)), model


def _tries(setup: Setup, trainer: Trainer, fold: Fold) -> list[Attempt]:
    """Train every candidate on one split; of the models only what may be needed is held."""
    own, held = fold.inner[0] if fold.inner else (fold.train, fold.train[:0])
    found: list[Attempt] = []
    for params in setup.params:
        found.append(trainer(params, own, held, fold.test))
        values = np.array([[one.value] for one in found])
        top = best(values, setup.solver.criterion) if len(found) > 1 else 0
        kept = top if setup.plan.single else -1
        found = [one if i == kept else replace(one, model=None) for i, one in enumerate(found)]
    return found


def _final(setup: Setup, trainer: Trainer, chosen: int) -> Any:
    rows, nothing = setup.plan.final, setup.plan.final[:0]
    inner: Sequence[tuple[Ints, Ints]] = ()
    if held := setup.plan.folds[0].inner:
        own, part = held[0]
        inner = _part(setup, rows, round((len(own) + len(part)) / len(part)))
    own, held_rows = inner[0] if inner else (rows, nothing)
    return trainer(setup.params[chosen], own, held_rows, nothing).model


def _answer(setup: Setup, fold: Fold, attempt: Attempt) -> Answer:
    assert attempt.said is not None  # noqa: S101  # a fold has test rows
    y = setup.target.values[fold.test]
    outcome = outcome_of_said(y, attempt.said)
    return Answer(outcome, _value(setup, y, attempt.said), Stop(converged=True))
