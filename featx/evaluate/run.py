"""Cross-validate a head: arrays in, scores out.

The unit of work is one training set: every candidate is fitted on its inner products. The
candidates of the outer training sets are scored on the outer test rows, which chooses the final
parameters; those of the inner training sets choose, for each outer one, whose answer on its test
rows counts (nested cross-validation, Varma and Simon 2006).

Training sets run in threads where the work is done in compiled code that lets others run; else in
processes: liblinear draws from one random generator a process, so that with threads the answer
would depend on their timing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from joblib import delayed, effective_n_jobs
from threadpoolctl import threadpool_limits

from featx._types import Array, Float64s, Progress, Silent
from featx.evaluate.answer import Found, describe, fold_results
from featx.evaluate.criterion import best
from featx.evaluate.final import fit_final
from featx.evaluate.place import pool
from featx.evaluate.result import Evaluation, FoldResult, Params, Spec
from featx.evaluate.room import fitting_jobs
from featx.evaluate.setup import Setup, read_setup
from featx.evaluate.shared import can_share, run_shared
from featx.evaluate.solve import run_job
from featx.evaluate.space import Source, Space, make_space
from featx.evaluate.tall import is_smooth, run_tall
from featx.evaluate.viewed import Viewed, with_images
from featx.evaluate.work import Answer, Job, Solver, Stop
from featx.gram import as_vectors, build_gram
from featx.products import is_exact
from featx.solvers import Solution

_SMALL_WORK = 2e7
"""Values read (rows x coordinates x fits) below which more processes or threads do not pay."""

_COMPILED = ("svm", "svr", "ridge", "logreg", "rbf", "knn")
"""Heads whose work on inner products lets other threads run."""


def evaluate(
    X: Array | Sequence[Source],
    y: Array,
    spec: Spec | None = None,
    *,
    groups: Array | None = None,
    split: Array | None = None,
    group_name: str = "group",
    split_name: str = "split",
    images: Array | None = None,
    final: bool = True,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Estimate a head on features, and fit it.

    Parameters
    ----------
    X
        (n, d) features, or one or several kinds of them.
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
    images
        (r,) which of the n targets, groups and sides each row of features belongs to, where rows
        are views of images: (r, d) features then. A head is trained on every view of the training
        images and scored by the mean of what it says of an image's; all numbers are of images.
    final
        False: the estimate alone; ``Evaluation.estimator`` is None.
    n_jobs
        Threads or processes; None or -1: one a core where the work is worth it.

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
    sources = _sources(X, progress)
    n_rows = sources[0].vectors.shape[0]
    n = n_rows if images is None else len(y)
    setup = read_setup(n, len(sources), y, spec, groups, split, group_name, split_name)
    setup = with_images(setup, images, n_rows)
    small = _is_small(sources, setup)
    jobs = fitting_jobs(sources, setup, _jobs(n_jobs, small), streams=_streams(setup))
    with threadpool_limits(limits=1 if small else None):
        times = [time.perf_counter()]
        space = _space(sources, setup)
        return _evaluate(space, setup, final, jobs, progress, times)


@dataclass(frozen=True)
class GridScores:
    """Every candidate on every fold: no estimate, for the best of them was chosen by these.

    Attributes
    ----------
    params
        The candidates.
    values
        (candidates, folds) of the criterion.
    converged
        (candidates, folds) bool.
    """

    params: tuple[Params, ...]
    values: Float64s
    converged: Array

    @property
    def best(self) -> Params:
        """The candidate with the highest mean; use `evaluate` for how good it is."""
        return self.params[int(self.values.mean(axis=1).argmax())]


def grid_scores(
    X: Array | Sequence[Source],
    y: Array,
    spec: Spec,
    *,
    n_jobs: int | None = None,
) -> GridScores:
    """Give what scikit-learn's GridSearchCV does in its folds, without an estimate.

    Parameters and errors are those of `evaluate`.
    """
    sources = _sources(X, Silent())
    n = sources[0].vectors.shape[0]
    setup = read_setup(n, len(sources), y, spec, None, None, "group", "split")
    n_jobs = _jobs(n_jobs, _is_small(sources, setup))
    n_jobs = fitting_jobs(sources, setup, n_jobs, streams=_streams(setup))
    space = _space(sources, setup)
    jobs = [Job(fold.train, fold.test, setup.params) for fold in setup.plan.folds]
    table, _ = _run(space, setup, jobs, n_jobs, Silent())
    return GridScores(setup.params, _values(table), _met(table))


def evaluate_each(
    sources: Sequence[Source],
    setups: Sequence[Setup],
    *,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> list[tuple[FoldResult, ...]]:
    """Estimate one head on several plans of the same rows, whose products are made once.

    Parameters
    ----------
    setups
        Those of `featx.evaluate.setup.with_plan`, of one head and one scaling.

    Returns
    -------
    One a plan: what `evaluate` gives as ``folds``.
    """
    progress, small = progress or Silent(), all(_is_small(sources, setup) for setup in setups)
    largest = max(setups, key=lambda setup: max(len(fold.train) for fold in setup.plan.folds))
    n_jobs = fitting_jobs(sources, largest, _jobs(n_jobs, small), streams=_streams(largest))
    with threadpool_limits(limits=1 if small else None):
        space = _space(sources, setups[0])
        progress.start("fitting", len(setups))
        found = []
        for setup in setups:
            search = _search(space, setup, n_jobs, Silent())
            found.append(fold_results(setup, search))
            progress.advance()
        progress.finish()
        return found


def _jobs(n_jobs: int | None, small: bool) -> int:
    return 1 if small and n_jobs in (None, -1) else int(effective_n_jobs(n_jobs or -1))


def _sources(X: Array | Sequence[Source], progress: Progress) -> Sequence[Source]:
    """Take an array as the only kind of features."""
    if not isinstance(X, np.ndarray):
        return X
    vectors = as_vectors(X)
    return [Source(vectors, lambda: build_gram(vectors, progress=progress))]


def _space(sources: Sequence[Source], setup: Setup) -> Space:
    """Prepare the rows, and what they will be fitted with at the same time."""
    name = setup.head.name
    with ThreadPoolExecutor(1, "featx-compile") as pool:
        compiled = pool.submit(_compile, sources, setup)
        space = make_space(
            sources,
            setup.spec.scale,
            few_features=setup.head.axes > 0,
            sums=name == "rbf",
            streams=_streams(setup),
        )
        compiled.result()
    return space


def _streams(setup: Setup) -> bool:
    """Say whether the head can be fitted on rows that pass by."""
    made = [setup.solver.make(params) for params in setup.params]
    return is_smooth(setup.head.name, made)


def _evaluate(
    space: Space, setup: Setup, final: bool, n_jobs: int, progress: Progress, times: list[float]
) -> Evaluation:
    times.append(time.perf_counter())
    found = _search(space, setup, n_jobs, progress)
    times.append(time.perf_counter())
    viewed = Viewed(setup.views)
    classes, values = setup.target.classes, viewed.values(setup.target.values)
    params, rows = setup.params[found.chosen], viewed.rows(setup.plan.final)
    estimator, stop = None, Stop(converged=True)
    if final:
        known = found.whole if np.array_equal(rows, np.arange(len(values))) else None
        estimator, stop = fit_final(
            space, values, classes, rows, params, setup.solver, n_jobs, known
        )
    times.append(time.perf_counter())
    evaluation = describe(setup, found, estimator, stop)
    times.append(time.perf_counter())
    seconds = dict(
        zip(("products", "search", "final", "score"), np.diff(times).tolist(), strict=True)
    )
    return replace(evaluation, seconds=seconds)


def _compile(sources: Sequence[Source], setup: Setup) -> None:
    """Import and compile what the solver needs, while the inner products are made."""
    if setup.head.name in ("svm", "svr"):
        from featx.solvers.dual import prepare

        shapes = [source.vectors.shape for source in sources]
        exact = all(is_exact(n, n, d) for n, d in shapes)
        prepare(np.float64 if exact else np.float32)


def _search(space: Space, setup: Setup, n_jobs: int, progress: Progress) -> Found:
    """Fit what has to be fitted, and choose."""
    plan, params = setup.plan, setup.params
    inner = [Job(*split, params) for fold in plan.folds for split in fold.inner]
    outer = [] if plan.single else [Job(fold.train, fold.test, params) for fold in plan.folds]
    answers, whole = _run(space, setup, [*outer, *inner], n_jobs, progress)
    rest = iter(answers[len(outer) :])
    inside = [[next(rest) for _ in fold.inner] for fold in plan.folds]
    picks = [_pick(setup, rows) for rows in inside]
    own = [[row[pick] for row in rows] for rows, pick in zip(inside, picks, strict=True)]
    if not plan.single:
        table = answers[: len(outer)]
        counted = [row[pick] for row, pick in zip(table, picks, strict=True)]
        chosen = _pick(setup, table)
        last = [row[chosen] for row in table]
        known = whole[chosen]() if whole else None
        return Found(counted, picks, chosen, _values(table), _met(table), own, last, known)
    fold, table = plan.folds[0], answers
    job = Job(fold.train, fold.test, (params[picks[0]],))
    [[answer]], _ = _run(space, setup, [job], 1, progress)
    counted = [answer]
    return Found(counted, picks, picks[0], _values(table), _met(table), own, own[0])


def _pick(setup: Setup, table: Sequence[Sequence[Answer]]) -> int:
    """Give the best candidate of a table (splits, candidates); the only one where there is one."""
    return best(_values(table), setup.solver.criterion) if setup.searched else 0


def _values(table: Sequence[Sequence[Answer]]) -> Float64s:
    return np.array([[answer.value for answer in row] for row in table]).T


def _met(table: Sequence[Sequence[Answer]]) -> Array:
    return np.array([[answer.stop.converged for answer in row] for row in table], dtype=bool).T


def _run(
    space: Space, setup: Setup, jobs: Sequence[Job], n_jobs: int, progress: Progress
) -> tuple[list[list[Answer]], list[Callable[[], Solution]]]:
    """Run jobs on images, and score each image once; as `_run_rows`."""
    values, viewed = setup.target.values, Viewed(setup.views)
    rows = viewed.jobs(jobs)
    table, whole = _run_rows(space, viewed.values(values), setup.solver, rows, n_jobs, progress)
    scored = [
        viewed.answers(answers, job, values, setup.solver)
        for answers, job in zip(table, jobs, strict=True)
    ]
    return scored, whole


def _run_rows(
    space: Space,
    values: Array,
    solver: Solver,
    jobs: Sequence[Job],
    n_jobs: int,
    progress: Progress,
) -> tuple[list[list[Answer]], list[Callable[[], Solution]]]:
    """Run the jobs, one after the other or several at a time, and report each.

    Give what gives each candidate trained on all rows, where that is at hand; else nothing.
    """
    if can_share(space, jobs, solver):
        return run_shared(space, values, jobs, solver)
    if space.streamed:
        return run_tall(space, values, jobs, solver, n_jobs, progress), []
    progress.start("fitting", len(jobs))
    threads = space.on_products and solver.head in _COMPILED
    shares = _shares(len(jobs), n_jobs if threads else 1)
    calls = (
        delayed(run_job)(space, values, job, solver, share)
        for job, share in zip(jobs, shares, strict=True)
    )
    answers = []
    with threadpool_limits(limits=1 if threads and n_jobs > 1 else None):
        for answer in pool(n_jobs, threads)(calls):
            answers.append(answer)
            progress.advance()
    progress.finish()
    return answers, []


def _shares(n: int, n_jobs: int) -> list[int]:
    """Give the threads of each of ``n`` jobs: those of the last round, if not full, share all."""
    last = n % n_jobs
    return [1] * (n - last) + [n_jobs // last] * last if last else [1] * n


def _is_small(sources: Sequence[Source], setup: Setup) -> bool:
    """Say whether one process on one thread is done before others would have started."""
    n = sources[0].vectors.shape[0]
    d = sum(source.vectors.shape[1] for source in sources)
    fits = sum(1 + len(fold.inner) for fold in setup.plan.folds) * len(setup.params)
    return bool(n * min(n, d) * fits < _SMALL_WORK)
