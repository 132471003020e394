"""Read and check what a fit is asked for, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx._types import Array
from featx.errors import TargetError, UsageError
from featx.evaluate.calibrate import check_calibration
from featx.evaluate.criterion import read_criterion
from featx.evaluate.groups import check_aggregate
from featx.evaluate.mixes import read_mixes
from featx.evaluate.result import Params, Spec
from featx.evaluate.work import Solver
from featx.folds import Plan, Rows, make_plan
from featx.folds.advice import NO_SEARCH, NO_VALIDATION
from featx.heads import HEADS, Head, Target, candidates, check_params, head_for, read_target
from featx.metrics import Metric, metrics_for
from featx.views import Views


@dataclass(frozen=True)
class Setup:
    """A fit, ready to be computed.

    Attributes
    ----------
    grid
        What is searched; empty where nothing is.
    params
        Every candidate.
    probabilities
        Whether the head gives them, of its own or calibrated.
    views
        Where the rows of features are views of images; all else here is numbered by images then.
    """

    spec: Spec
    head: Head
    target: Target
    rows: Rows
    plan: Plan
    grid: dict[str, Sequence[Any]]
    params: tuple[Params, ...]
    metrics: tuple[Metric, ...]
    solver: Solver
    probabilities: bool
    views: Views | None = None

    @property
    def searched(self) -> bool:
        """Whether there is a choice to make."""
        return len(self.params) > 1


def read_setup(
    n: int,
    n_blocks: int,
    y: Array,
    spec: Spec,
    groups: Array | None,
    split: Array | None,
    group_name: str,
    split_name: str,
    *,
    head: Head | None = None,
    search: bool = False,
) -> Setup:
    """Read the target, the parameters and the splits of `featx.evaluate.evaluate`.

    Parameters
    ----------
    head
        In place of the one that ``spec`` names.
    search
        Whether there are inner splits though nothing is searched.
    """
    target = read_target(y, spec.task)
    _check_lengths(n, target.values, groups, split)
    trained, head = head is not None, head or head_for(spec.head, target.task)
    rows = _rows(target, groups, group_name)
    check_aggregate(spec.aggregate, rows)
    _check_numbers(spec, target)
    grid, mixes = _grid(head, spec), read_mixes(spec.mix, n_blocks)
    plan = make_plan(
        rows,
        cv=spec.cv,
        repeats=spec.repeats,
        test_size=spec.test_size,
        split=split,
        split_name=split_name,
        train_per_class=spec.train_per_class,
        search=search or len(candidates(grid)) * len(mixes) > 1 or spec.calibrate is not None,
        seed=spec.seed,
        without=_without(spec, trained=trained),
    )
    grid = _fitting_neighbours(grid, spec, plan)
    one = {**spec.fixed, **candidates(grid)[0]}
    own = hasattr(head.make(target.task, one, spec.class_weight), "predict_proba")
    check_calibration(spec.calibrate, head.name, target.task, probabilities=own)
    if len(mixes) > 1:
        grid = {"mix": tuple(mixes), **grid}
    params = tuple({**spec.fixed, **candidate} for candidate in candidates(grid))
    criterion = read_criterion(spec.scoring, target.task, _metrics(spec, target, own))
    probabilities = own or spec.calibrate is not None
    metrics = _metrics(spec, target, probabilities)
    n_classes = 0 if target.classes is None else len(target.classes)
    solver = Solver(
        head.name,
        target.task,
        spec.class_weight,
        spec.seed,
        criterion,
        n_classes,
        mixes,
        rows.groups,
    )
    return Setup(spec, head, target, rows, plan, grid, params, metrics, solver, probabilities)


def _without(spec: Spec, trained: bool) -> str:
    """Say how to do without inner splits."""
    if trained:
        return NO_VALIDATION
    return NO_SEARCH if spec.calibrate is None else f"{NO_SEARCH} without --calibrate"


def with_plan(setup: Setup, plan: Plan) -> Setup:
    """Give the same fit on other splits of the same rows.

    Raises
    ------
    UsageError
        If a count of neighbours that was asked for is larger than a training set.
    """
    grid = _fitting_neighbours(setup.grid, setup.spec, plan)
    params = tuple({**setup.spec.fixed, **candidate} for candidate in candidates(grid))
    return replace(setup, plan=plan, grid=grid, params=params)


def _check_lengths(n: int, y: Array, groups: Array | None, split: Array | None) -> None:
    for name, values in {"target": y, "groups": groups, "split": split}.items():
        if values is not None and len(values) != n:
            raise TargetError(f"{len(values)} values of the {name} for {n} rows of features")


def _check_numbers(spec: Spec, target: Target) -> None:
    """Refuse what is meant for numbers where the target is classes."""
    asked = {"quality": spec.quality, "lower_is_better": spec.lower_is_better}
    for name in (name for name, value in asked.items() if value and target.classes is not None):
        raise UsageError(
            f"{name} is for a target of numbers, and this one is taken as classes: leave it out, "
            "or say --task regression"
        )


def _metrics(spec: Spec, target: Target, probabilities: bool) -> tuple[Metric, ...]:
    ordered = target.classes is not None and target.classes.dtype.kind in "iu"
    return metrics_for(
        target.task, ordered=ordered, probabilities=probabilities, quality=spec.quality
    )


def _rows(target: Target, groups: Array | None, group_name: str) -> Rows:
    """Describe the rows to the splits; groups of one row each are no groups."""
    numbers = None
    if groups is not None:
        distinct, codes = np.unique(np.asarray(groups), return_inverse=True)
        numbers = None if len(distinct) == len(codes) else codes.astype(np.int64)
    if target.classes is None:
        return Rows(len(target.values), None, (), numbers, group_name)
    names = tuple(str(label) for label in target.classes.tolist())
    return Rows(len(target.values), target.values, names, numbers, group_name)


def _grid(head: Head, spec: Spec) -> dict[str, Sequence[Any]]:
    """Give what is searched: what was asked for, else the head's own, without what is fixed."""
    check_params(head, spec.fixed)
    if spec.grid is not None:
        if not spec.search:
            raise UsageError("a grid and no search were asked for: leave out one of the two")
        check_params(head, spec.grid)
        if twice := sorted(set(spec.grid) & set(spec.fixed)):
            raise UsageError(f"{twice[0]!r} is both set and searched: leave out one of the two")
        return dict(spec.grid)
    if not spec.search:
        return {}
    return {name: values for name, values in head.grid.items() if name not in spec.fixed}


def _fitting_neighbours(
    grid: dict[str, Sequence[Any]], spec: Spec, plan: Plan
) -> dict[str, Sequence[Any]]:
    """Leave out default counts of neighbours that the smallest training set does not have.

    Raises
    ------
    UsageError
        If a count that was asked for is none, or too large.
    """
    trains = [len(train) for fold in plan.folds for train, _ in (*fold.inner, (fold.train, None))]
    asked = [*(spec.grid or {}).get("n_neighbors", ()), spec.fixed.get("n_neighbors", 1)]
    if spec.head == "knn" and "n_neighbors" not in {**grid, **spec.fixed}:
        asked.append(HEADS[spec.head].make("regression", {}, None).n_neighbors)
    if bad := [k for k in asked if not isinstance(k, int | np.integer) or k > min(trains)]:
        raise UsageError(
            f"n_neighbors={bad[0]}: expected a whole number, at most the {min(trains)} rows of the "
            "smallest training set"
        )
    if spec.grid is not None or "n_neighbors" not in grid:
        return grid
    return {**grid, "n_neighbors": [k for k in grid["n_neighbors"] if k <= min(trains)]}
