"""Fit a head on cached features and say how good it is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._types import Silent
from featx.cautions import confound_words
from featx.doubts import cosines_of, find_doubts, mean_cosines, read_twins
from featx.errors import HeadTaskError, TargetError, UsageError
from featx.evaluate import Source, Spec, evaluate
from featx.features import Features, KindProducts, load, products_of
from featx.heads import check_head, head_for, parse_grid, parse_params, read_target, task_of
from featx.problem import Problem, pose
from featx.result import FitResult, keep
from featx.runs import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from featx._types import JsonObject, PathLike, Progress
    from featx.evaluate import Evaluation, Scale, Task

    Grid = Mapping[str, Sequence[Any]] | Sequence[str] | str
    Params = Mapping[str, Any] | Sequence[str] | str


def fit(
    features: Features | str | Sequence[str] | None = None,
    head: str = "svm",
    *,
    data: str | None = None,
    target: str | None = None,
    group: str | None = None,
    split: str | None = None,
    test_size: float | None = None,
    train_per_class: int | None = None,
    cv: str | int = "5",
    repeats: int = 1,
    task: Task | None = None,
    grid: Grid | None = None,
    set: Params = (),  # noqa: A002  # the option's name
    search: bool = True,
    mix: Sequence[str] | str = (),
    class_weight: Literal["balanced"] | None = None,
    scale: Scale = "none",
    scoring: str | None = None,
    quality: bool = False,
    lower_is_better: bool = False,
    aggregate: Literal["group"] | None = None,
    calibrate: Literal["sigmoid", "isotonic", "temperature"] | None = None,
    missing: Sequence[str | float] | str = (),
    twins: str | float = "auto",
    seed: int = 0,
    name: str | None = None,
    out: PathLike | None = "runs",
    n_jobs: int | None = -1,
    device: str = "cpu",
    cache: PathLike | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a head, estimate how good it is, and write ``out/name/``.

    Parameters
    ----------
    features
        What `featx.load` gives, or the name of a store; None for the last extraction's. Several
        names: the head is fitted on all kinds side by side, each divided by the root of its
        variance, so that none counts more for its size.
    head
        ``svm``, ``svr``, ``ridge``, ``logreg``, ``rbf``, ``mlp``, ``nn`` or ``knn``.
    data
        Name of the data set, where ``features`` is a name or None; None for the last
        extraction's.
    target
        Column to predict; None for ``label``.
    group
        Column whose rows stay in one fold. Rows that show the same image always do.
    split
        Column with train and test rows: parameters are chosen among the train rows, the test
        rows are scored once.
    test_size
        A fraction: one random split in place of folds.
    train_per_class
        Training rows are cut down to this many a class; test rows are not touched.
    cv, repeats
        ``"5"`` folds or ``"random:10:0.2"`` (10 splits, a fifth of the rows tested), how often.
    task
        ``classification`` or ``regression``; None decides from the target.
    grid
        Candidates a parameter: ``{"C": [0.01, 1]}``, ``"C=0.01,1"`` or ``"C=1e-6:1:7"``.
    set
        Parameters that are not searched: ``{"C": 1}`` or ``"C=1"``.
    search
        False: the head's own parameters and ``set`` as they are.
    mix
        How several kinds of features are weighted: ``equal``; numbers, one a kind, such as
        ``1:0.5``; ``search``: equal, each alone, and all but one. Of several, the weights are
        chosen as parameters are.
    class_weight
        ``balanced`` weights the classes by the inverse of their frequency.
    scale
        ``none``, ``standard`` (fitted in the training rows) or ``l2`` (each row to length 1).
    scoring
        What chooses among candidates: a metric of featx or any scikit-learn scorer.
    quality
        For scores of image quality: PLCC and RMSE also after the customary logistic mappings with 4
        and 5 parameters, fitted to the test rows of each split.
    lower_is_better
        Low values of the target mean good, as difference scores (DMOS) do. The head predicts them
        as they are and no metric changes; `featx.predict` turns predictions around where it
        compares them with scores that run the other way.
    aggregate
        ``group``: score the mean of each group's rows, too.
    calibrate
        ``sigmoid``, ``isotonic`` or ``temperature``: give a head that has none probabilities,
        fitted to what it says of training rows that were left out.
    missing
        Target values that mean "unknown"; such rows are left out, and can be predicted.
    twins
        ``auto`` looks for near-identical images on both sides of a split and scores without them;
        a cosine, from which images are near-identical; ``off``.
    seed
        Of every random choice.
    name
        Of the run; None chooses ``<head>-<data>-<backbone>-<number>``.
    out
        Folder of all runs; None writes nothing.
    device
        Where inner products are made, and ``nn`` is trained: ``cpu``, or ``cuda``.
    n_jobs
        Processes; -1 for one a core.

    Raises
    ------
    UnknownNameError
        If a head, a column, a metric or a parameter is not known.
    TargetError, HeadTaskError
        If the target cannot serve, or the head does not fit it.
    UsageError
        If another argument cannot be worked with, or the run's name is taken.
    NotFoundError, AmbiguousNameError
        If the features are not there, or several fit.
    """
    progress = progress or Silent()
    params = check_head(head).params
    read_twins(twins)
    if name is not None and out is not None:
        check_name(Path(out), name)
    spec = Spec(
        head=head,
        task=task,
        grid=parse_grid(grid),
        fixed=({"device": device} if "device" in params and device != "cpu" else {})
        | parse_params(set),
        search=search,
        mix=tuple(tokens_of(mix)) or ("equal",),
        cv=str(cv),
        repeats=repeats,
        test_size=test_size,
        train_per_class=train_per_class,
        class_weight=class_weight,
        scale=scale,
        scoring=scoring,
        quality=quality,
        lower_is_better=lower_is_better,
        aggregate=aggregate,
        calibrate=calibrate,
        seed=seed,
    )
    view = opened(features, data, cache, progress)
    tokens = tokens_of(missing)
    problem = pose(view, target, group, split, task, tokens)
    for words in confound_words(problem.confounds):
        progress.say(f"warning: {words}")
    products = products_of(view, problem.fitted, device, progress)
    try:
        evaluation = _evaluation(products, problem, spec, n_jobs, progress)
    except TargetError as error:
        guessed, why = task_of(problem.y)
        if task is not None or guessed == "regression" or problem.y.dtype.kind not in "iuf":
            raise
        raise TargetError(
            f"{error}; target {problem.target!r} is taken as {guessed}, for {why}: "
            "--task regression takes it as numbers"
        ) from error
    at = None if problem.images is None else np.searchsorted(problem.fitted, problem.rows)
    cosines = mean_cosines([cosines_of(kind.vectors, kind.made, at) for kind in products])
    doubts = find_doubts(evaluation, view, problem, cosines, twins)
    arguments = fit_arguments(view, problem, spec, tokens) | {"twins": str(twins)}
    folder = None if out is None else Path(out)
    return keep(evaluation, view, problem, doubts, arguments, folder, name)


def fit_targets(
    targets: Sequence[str],
    features: Features | str | Sequence[str] | None = None,
    head: str = "svm",
    *,
    data: str | None = None,
    name: str | None = None,
    cache: PathLike | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> list[FitResult]:
    """Fit one head for each target, as `fit` does; the features are opened once.

    A ``name`` becomes ``<name>-<target>``.
    """
    view = opened(features, data, cache, progress or Silent())
    for target in targets:
        _check_target(view, head, target, name, options)
    return [
        fit(
            view,
            head,
            target=target,
            name=None if name is None else f"{name}-{target}",
            progress=progress,
            **options,
        )
        for target in targets
    ]


def _check_target(
    view: Features, head: str, target: str, name: str | None, options: Mapping[str, Any]
) -> None:
    """Raise what `fit` would raise of a target, before the first head is fitted."""
    if name is not None and (out := options.get("out", "runs")) is not None:
        check_name(Path(out), f"{name}-{target}")
    task, missing = options.get("task"), tokens_of(options.get("missing", ()))
    problem = pose(view, target, options.get("group"), options.get("split"), task, missing)
    try:
        head_for(head, read_target(problem.y, task).task)
    except HeadTaskError as error:
        raise HeadTaskError(f"target {target!r}: {error}") from error


def cross_validate(
    features: Features | str | Sequence[str] | None = None, head: str = "svm", **options: Any
) -> FitResult:
    """Estimate a head as `fit` does, with the same arguments, and write nothing."""
    return fit(features, head, **{**options, "out": None})


def opened(
    features: Features | str | Sequence[str] | None,
    data: str | None,
    cache: PathLike | None,
    progress: Progress,
) -> Features:
    """Give the view that was handed in, or open the one that was named."""
    if isinstance(features, Features):
        return features
    named = isinstance(features, str | list | tuple) and all(isinstance(f, str) for f in features)
    if features is not None and not named:
        raise UsageError(
            f"features of type {type(features).__name__}; expected what featx.load gives, or the "
            "name of a store, or a list of such names"
        )
    return load(data, features, cache=cache, say=progress.say)


def _evaluation(
    products: Sequence[KindProducts],
    problem: Problem,
    spec: Spec,
    n_jobs: int | None,
    progress: Progress,
) -> Evaluation:
    return evaluate(
        [Source(kind.vectors, kind) for kind in products],
        problem.y,
        spec,
        groups=problem.groups,
        split=problem.sides,
        group_name=problem.group or "image",
        split_name=problem.split or "split",
        images=problem.images,
        n_jobs=n_jobs,
        progress=progress,
    )


def tokens_of(given: Sequence[str | float] | str) -> list[str]:
    """Give words: those that commas part, or each value as text."""
    return given.split(",") if isinstance(given, str) else [str(value) for value in given]


def fit_arguments(view: Features, problem: Problem, spec: Spec, missing: list[str]) -> JsonObject:
    """Give the options that repeat a fit, with what was chosen for the caller spelled out."""
    options = {f.name: getattr(spec, f.name) for f in fields(spec)}
    grid = None if spec.grid is None else {k: list(v) for k, v in spec.grid.items()}
    mix = list(options.pop("mix"))
    names = [kind.name for kind in view.kinds]
    return {
        "data": view.name,
        "features": names if view.others else names[0],
        "mix": mix if view.others else [],
        "target": problem.target,
        "group": problem.group,
        "split": problem.split,
        "missing": missing,
        "set": dict(options.pop("fixed")),
        **options,
        "grid": grid,
    }
