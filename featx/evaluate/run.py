"""Cross-validate a head: arrays in, scores out.

The unit of work is one training set: its rows are expressed in few coordinates once, and every
candidate is fitted there. The candidates of the outer training sets are scored on the outer test
rows, which chooses the final parameters; those of the inner training sets choose, for each outer
one, whose answer on its test rows counts (nested cross-validation, Varma and Simon 2006).

Work runs in processes: liblinear draws from one random generator a process, so that with threads
the answer would depend on their timing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from threadpoolctl import threadpool_limits

from featx._types import Array, Float64s, Progress, Silent
from featx.evaluate.answer import Found, describe
from featx.evaluate.criterion import best
from featx.evaluate.result import Evaluation, Spec
from featx.evaluate.setup import Setup, read_setup
from featx.evaluate.solve import Answer, Job, fit_final, run_job
from featx.evaluate.space import Space, make_space

_SMALL_WORK = 2e7
"""Values read (rows x coordinates x fits) below which more processes or threads do not pay."""


def evaluate(
    X: Array,
    y: Array,
    spec: Spec | None = None,
    *,
    groups: Array | None = None,
    split: Array | None = None,
    group_name: str = "group",
    split_name: str = "split",
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Estimate a head on features, and fit it.

    Parameters
    ----------
    X
        (n, d) float32 features.
    y
        (n,) labels or numbers.
    spec
        What is asked for; None: a linear SVM with defaults.
    groups
        (n,) rows with the same value stay together in every split.
    split
        (n,) train, val or test of every row: used in place of folds.
    group_name, split_name
        What they are called in sentences.
    n_jobs
        Processes; None or -1: one a core where the work is worth it.

    Raises
    ------
    HeadTaskError
        If the head does not fit the task.
    UnknownNameError, UsageError
        If a name is not known, or a value cannot be worked with.
    TargetError
        If the target, the groups or the split column do not allow what was asked for.
    """
    spec, progress = spec or Spec(), progress or Silent()
    setup = read_setup(X, y, spec, groups, split, group_name, split_name)
    small = _is_small(X, setup)
    jobs = 1 if small and n_jobs in (None, -1) else int(effective_n_jobs(n_jobs or -1))
    with threadpool_limits(limits=1 if small else None):
        return _evaluate(X, setup, jobs, progress)


def _evaluate(X: Array, setup: Setup, n_jobs: int, progress: Progress) -> Evaluation:
    times = [time.perf_counter()]
    space = make_space(X, setup.spec.scale)
    times.append(time.perf_counter())
    found = _search(space, setup, n_jobs, progress)
    times.append(time.perf_counter())
    classes, values = setup.target.classes, setup.target.values
    labels = values if classes is None else classes[values]
    params = setup.params[found.chosen]
    estimator, converged = fit_final(space, X, labels, setup.plan.final, params, setup.solver)
    times.append(time.perf_counter())
    evaluation = describe(setup, found, estimator, converged)
    times.append(time.perf_counter())
    seconds = dict(
        zip(("rotate", "search", "final", "score"), np.diff(times).tolist(), strict=True)
    )
    return replace(evaluation, seconds=seconds)


def _search(space: Space, setup: Setup, n_jobs: int, progress: Progress) -> Found:
    """Fit what has to be fitted, and choose."""
    plan, params = setup.plan, setup.params
    inner = [Job(*split, params) for fold in plan.folds for split in fold.inner]
    outer = [] if plan.single else [Job(fold.train, fold.test, params) for fold in plan.folds]
    answers = _run(space, setup, [*outer, *inner], n_jobs, progress)
    rest = iter(answers[len(outer) :])
    picks = [_pick(setup, [next(rest) for _ in fold.inner]) for fold in plan.folds]
    if not plan.single:
        table = answers[: len(outer)]
        counted = [row[pick] for row, pick in zip(table, picks, strict=True)]
        return Found(counted, picks, _pick(setup, table), _values(table), _met(table))
    fold, table = plan.folds[0], answers
    job = Job(fold.train, fold.test, (params[picks[0]],))
    counted = [_run(space, setup, [job], 1, progress)[0][0]]
    return Found(counted, picks, picks[0], _values(table), _met(table))


def _pick(setup: Setup, table: Sequence[Sequence[Answer]]) -> int:
    """Give the best candidate of a table (splits, candidates); the only one where there is one."""
    return best(_values(table), setup.solver.criterion) if setup.searched else 0


def _values(table: Sequence[Sequence[Answer]]) -> Float64s:
    return np.array([[answer.value for answer in row] for row in table]).T


def _met(table: Sequence[Sequence[Answer]]) -> Array:
    return np.array([[answer.converged for answer in row] for row in table], dtype=bool).T


def _run(
    space: Space, setup: Setup, jobs: Sequence[Job], n_jobs: int, progress: Progress
) -> list[list[Answer]]:
    """Run the jobs, in this process or in several, and report each."""
    progress.start("fitting", len(jobs))
    calls = (delayed(run_job)(space, setup.target.values, job, setup.solver) for job in jobs)
    answers = []
    for answer in Parallel(n_jobs=n_jobs, return_as="generator", max_nbytes="1M")(calls):
        answers.append(answer)
        progress.advance()
    progress.finish()
    return answers


def _is_small(X: Array, setup: Setup) -> bool:
    """Say whether one process on one thread is done before others would have started."""
    fits = sum(1 + len(fold.inner) for fold in setup.plan.folds) * len(setup.params)
    return bool(len(X) * min(X.shape) * fits < _SMALL_WORK)
