"""Run a recipe: extract what is missing, fit, and compare the fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from featx._types import Silent
from featx.backbones import BackboneRequest, resolve
from featx.catalog import cache_dir
from featx.comparison import put_together, read_run
from featx.errors import FeatxError, NotFoundError, UsageError
from featx.evaluate.mixes import read_mixes
from featx.extraction import extract
from featx.fitting import fit, tokens_of
from featx.runs import check_name

if TYPE_CHECKING:
    from featx._types import JsonObject, PathLike, Progress
    from featx.comparison import Run
    from featx.pipeline.read import Pipeline
    from featx.recipe import Recipe

_REQUEST = {field.name for field in fields(BackboneRequest)}


@dataclass(frozen=True)
class Step:
    """What a step gave: a list of `Extraction`, a `FitResult`, or a `Comparison`.

    In the end the published numbers of the file, if it has some: dicts with ``fit``, the number of
    the step, ``run``, ``head``, ``metric``, what was measured (``mean``, ``std``, ``low``,
    ``high``), ``published`` and ``as``.
    """

    kind: Literal["extract", "fit", "compare", "published"]
    result: Any


def run_pipeline(
    pipeline: Pipeline,
    *,
    device: str = "auto",
    n_jobs: int | None = -1,
    out: PathLike | None = "runs",
    cache: PathLike | None = None,
    progress: Progress | None = None,
) -> Iterator[Step]:
    """Run the steps one after the other, and give each when it is done.

    A fit takes the stores of this file that its ``features`` name, patterns such as
    ``vgg16:*:avg@*`` among them, or all of them; several are fused. What is cached is not computed
    again, so that a run that was stopped goes on where it was.

    Raises
    ------
    FeatxError
        As `featx.extract` and `featx.fit` do. Backbones, weights, layers, the names of features
        and of runs, and the weights of several features are looked at before the first image.
    """
    report = progress or Silent()
    recipes = [r for step in pipeline.extracts for r in _recipes(step, cache, report)]
    stores = [_chosen(step.get("features", ["*"]), recipes) for step in pipeline.fits]
    _check_fits(pipeline, stores, out)
    name = None
    for step in pipeline.extracts:
        options = {**pipeline.data_options, **step}
        done = extract(pipeline.data, device=device, cache=cache, progress=report, **options)
        name = done[0].data
        yield Step("extract", done)
    runs: list[Run] = []
    for step, features in zip(pipeline.fits, stores, strict=True):
        options = {key: value for key, value in step.items() if key != "features"}
        kinds: Any = features[0] if len(features) == 1 else features
        result = fit(
            kinds, data=name, out=out, n_jobs=n_jobs, cache=cache, progress=report, **options
        )
        runs.append(read_run(result))
        yield Step("fit", result)
    for alike in _by_target(runs):
        yield Step("compare", put_together(alike))
    beside = [
        {"fit": i, **published.beside(run)}
        for i, (published, run) in enumerate(zip(pipeline.published, runs, strict=True), 1)
        if published is not None
    ]
    if beside:
        yield Step("published", beside)


def _check_fits(pipeline: Pipeline, stores: Sequence[Sequence[str]], out: PathLike | None) -> None:
    """Raise what would stop a fit after hours of extraction."""
    wrong = []
    for i, (step, features) in enumerate(zip(pipeline.fits, stores, strict=True), 1):
        try:
            read_mixes(tokens_of(step.get("mix", ())), len(features))
            if out is not None and "name" in step:
                check_name(Path(out), step["name"])
        except FeatxError as error:
            wrong.append(f"fit {i}: {error}")
    if wrong:
        raise UsageError("; ".join(wrong))


def _recipes(step: JsonObject, cache: PathLike | None, progress: Progress) -> list[Recipe]:
    """Give the recipes of a step; its backbones are loaded where no memo knows them."""
    asked = {key: value for key, value in step.items() if key in _REQUEST}
    asked["poolings"] = step.get("pools", ())
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in asked.items()
    }
    if step.get("precision") == "fp32" and step.get("decoder") == "pil":
        values["numerics"] = "reference"
    return [
        recipe
        for name in step["backbone"]
        for recipe in resolve(BackboneRequest(name, **values), cache_dir(cache), progress).recipes
    ]


def _chosen(patterns: Sequence[str], recipes: Sequence[Recipe]) -> list[str]:
    """Give the folders of the stores that the patterns name, in the order of the file."""
    for pattern in patterns:
        if not any(fnmatchcase(recipe.label, pattern) for recipe in recipes):
            there = ", ".join(recipe.label for recipe in recipes)
            raise NotFoundError(f"no features of this file are {pattern!r}; it has {there}")
    return list(
        dict.fromkeys(
            recipe.store_name
            for recipe in recipes
            if any(fnmatchcase(recipe.label, pattern) for pattern in patterns)
        )
    )


def _by_target(runs: Sequence[Run]) -> list[list[Run]]:
    """Give the runs of each target of which there are several."""
    groups = [[run for run in runs if run.what == what] for what in {run.what: 0 for run in runs}]
    return [group for group in groups if len(group) > 1]
