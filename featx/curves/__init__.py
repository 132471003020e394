"""How good a head is with fewer labels: the learning curve."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from featx._types import Silent
from featx.cautions import confound_words
from featx.curves.cuts import make_cuts, read_sizes
from featx.curves.describe import describe
from featx.curves.result import LearningCurve
from featx.errors import UsageError, unknown_name
from featx.evaluate import Setup, Source, Spec, evaluate_each, read_setup, with_images
from featx.features import products_of
from featx.fitting import fit_arguments, opened, tokens_of
from featx.heads import check_head, parse_grid, parse_params
from featx.metrics import QUALITY
from featx.origin import origin
from featx.problem import Problem, pose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from featx._types import PathLike, Progress
    from featx.evaluate import Scale, Task
    from featx.features import Features

    Grid = Mapping[str, Sequence[Any]] | Sequence[str] | str
    Params = Mapping[str, Any] | Sequence[str] | str

__all__ = ["LearningCurve", "curve"]


def curve(
    features: Features | str | Sequence[str] | None = None,
    head: str = "svm",
    *,
    data: str | None = None,
    target: str | None = None,
    sizes: Sequence[int | str] | str | None = None,
    draws: int | None = None,
    metric: str | None = None,
    group: str | None = None,
    split: str | None = None,
    test_size: float | None = None,
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
    calibrate: Literal["sigmoid", "isotonic", "temperature"] | None = None,
    missing: Sequence[str | float] | str = (),
    seed: int = 0,
    n_jobs: int | None = -1,
    device: str = "cpu",
    cache: PathLike | None = None,
    progress: Progress | None = None,
) -> LearningCurve:
    """Estimate a head with fewer labels, tested on the same rows each time.

    >>> featx.curve("vgg16", "svm", data="photos")  # doctest: +SKIP

    In each fold a smaller training set is a part of every larger one, and parameters are chosen
    anew inside each. The last point is what `featx.fit` estimates with the same arguments.

    Parameters
    ----------
    sizes
        Training rows of each class, or of all for a regression: ``"5,10,100,all"`` or a list. None:
        5, 10, 25, 50, 100, 250 ... (from 25 for a regression) and ``all``. Groups are taken whole,
        and a class that has fewer rows gives them all.
    draws
        How often the training rows of each fold are drawn; None: as often as they hold the size, up
        to 10 times, and for 5 fits of a size at least.
    metric
        What is shown; None for what chooses: accuracy or RMSE, unless ``scoring`` says otherwise.
    features, head, data, target, group, split, test_size, cv, repeats, task, grid, set, search
        As those of `featx.fit`.
    mix, class_weight, scale, scoring, calibrate, missing, seed, n_jobs, device, cache, progress
        As those of `featx.fit`.

    Raises
    ------
    UsageError
        If no size can be drawn, or another argument cannot be worked with.
    UnknownNameError, TargetError, HeadTaskError, NotFoundError, AmbiguousNameError
        As `featx.fit`.
    """
    started, progress = time.perf_counter(), progress or Silent()
    check_head(head)
    wanted = read_sizes(sizes)
    if draws is not None and draws < 1:
        raise UsageError(f"draws is {draws}; expected 1 or more")
    spec = Spec(
        head=head,
        task=task,
        grid=parse_grid(grid),
        fixed=parse_params(set),
        search=search,
        mix=tuple(tokens_of(mix)) or ("equal",),
        cv=str(cv),
        repeats=repeats,
        test_size=test_size,
        class_weight=class_weight,
        scale=scale,
        scoring=scoring,
        calibrate=calibrate,
        quality=metric in {one.name for one in QUALITY},
        seed=seed,
    )
    view = opened(features, data, cache, progress)
    problem = pose(view, target, group, split, task, tokens_of(missing))
    doubtful = confound_words(problem.confounds)
    for words in doubtful:
        progress.say(f"warning: {words}")
    products = products_of(view, problem.fitted, device, progress)
    setup = _with_metric(_setup(problem, spec, len(products)), metric)
    cuts, notes = make_cuts(setup, wanted, draws)
    sources = [Source(kind.vectors, kind) for kind in products]
    found = evaluate_each(sources, [c.setup for c in cuts], n_jobs=n_jobs, progress=progress)
    arguments = fit_arguments(view, problem, spec, tokens_of(missing))
    asked = {k: v for k, v in arguments.items() if k not in _NO_OPTIONS}
    warnings = [*problem.warnings, *setup.plan.warnings, *doubtful]
    asked |= {"sizes": _words(sizes), "draws": draws, "metric": metric}
    described = describe(setup, cuts, found, [*problem.notes, *warnings, *notes])
    return replace(
        described,
        target=problem.target,
        features=view.label,
        data=view.name,
        origin=origin(view, problem, head, asked, "featx", "curve"),
        seconds=time.perf_counter() - started,
    )


_NO_OPTIONS = ("train_per_class", "quality", "lower_is_better", "aggregate")
"""Of `featx.fit`: what a curve is not asked."""


def _words(sizes: Sequence[int | str] | str | None) -> str | None:
    return sizes if sizes is None or isinstance(sizes, str) else ",".join(map(str, sizes))


def _setup(problem: Problem, spec: Spec, n_kinds: int) -> Setup:
    setup = read_setup(
        len(problem.rows),
        n_kinds,
        problem.y,
        spec,
        problem.groups,
        problem.sides,
        problem.group or "image",
        problem.split or "split",
    )
    return with_images(setup, problem.images, len(problem.fitted))


def _with_metric(setup: Setup, name: str | None) -> Setup:
    """Leave the metric that is asked for; none other is computed."""
    known = {metric.name: metric for metric in setup.metrics}
    criterion = setup.solver.criterion
    name = name or (criterion.name if criterion.metric else next(iter(known)))
    if name not in known:
        raise unknown_name("metric", name, known)
    return replace(setup, metrics=(known[name],))
