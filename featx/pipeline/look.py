"""Look at every step before the first is run: what it takes, and what this machine cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx._types import Silent
from featx.backbones import BackboneRequest, load_backbone, resolve
from featx.backbones.at_hand import missing_weights
from featx.backbones.families import family_of
from featx.catalog import shards_dir
from featx.errors import (
    FeatxError,
    MissingDependencyError,
    NotFoundError,
    UsageError,
    WeightsNotFoundError,
)
from featx.evaluate.mixes import read_mixes
from featx.fitting import tokens_of
from featx.preparing import prepare
from featx.runs import check_name
from featx.targets import check_column, target_name

if TYPE_CHECKING:
    from featx._objects import Place
    from featx._types import JsonObject, PathLike, Progress
    from featx.pipeline.read import Pipeline
    from featx.recipe import Recipe
    from featx.sources import Source

_REQUEST = {field.name for field in fields(BackboneRequest)} - {"augment", "name"}
_NOT_HERE = (WeightsNotFoundError, MissingDependencyError, MemoryError)
"""What a machine lacks, and no mistake of the file."""


@dataclass(frozen=True)
class Fitted:
    """What a fit takes.

    Attributes
    ----------
    stores
        Folders of the stores, in the order of the file.
    needs
        The steps that fill them.
    """

    stores: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass
class Looked:
    """What is known before anything is computed.

    Attributes
    ----------
    source
        The images.
    skips
        Steps that cannot be run here, ``extract 2``, each with the reason.
    recipes
        Of each extract; none where it cannot be run.
    fits
        What each fit takes.
    """

    source: Source
    skips: dict[str, str] = field(default_factory=dict)
    recipes: list[list[Recipe]] = field(default_factory=list)
    fits: list[Fitted] = field(default_factory=list)


def look(
    pipeline: Pipeline,
    *,
    cache: Place | None,
    demo: Path,
    out: PathLike | None,
    progress: Progress,
    fetch: bool = True,
) -> Looked:
    """Find what each step takes, and every reason to skip one that can be told now.

    Parameters
    ----------
    cache
        Where what backbones are is remembered; None: nowhere.
    demo
        See `featx.preparing.prepare`.
    fetch
        Whether weights that are missing may be downloaded.

    Raises
    ------
    FeatxError
        Of a mistake in the file, or of the person who runs it: an unknown layer, a weights file
        that is not there, the name of a run that exists.
    """
    skips: dict[str, str] = {}
    recipes: list[list[Recipe]] = []
    for where, step in _numbered("extract", pipeline.extracts):
        asked = [_request(step, name) for name in step["backbone"]]
        found = _settled(where, asked, skips, lambda one: _resolved(one, cache, progress, fetch))
        recipes.append([recipe for group in found for recipe in group])
    fits = [_taken(step, pipeline, recipes, skips) for step in pipeline.fits]
    for i, one in enumerate(fits, 1):
        if lacking := [name for name in one.needs if name in skips]:
            skips[f"fit {i}"] = f"needs {lacking[0]}, which is skipped: {skips[lacking[0]]}"
    _check_fits(pipeline, fits, skips, out)
    for where, step in _numbered("finetune", pipeline.finetunes):
        request = _training_request(step)
        _settled(where, [request], skips, lambda one: _resolved(one, cache, progress, fetch))
        if where not in skips:
            _check_freeze(where, step, request)
    source = _opened(pipeline, demo, None if cache is None else shards_dir(cache))
    columns = [str(name) for name in source.frame.columns]
    for kind, steps in (("fit", pipeline.fits), ("finetune", pipeline.finetunes)):
        for where, step in _numbered(kind, steps):
            if where not in skips and (why := _lacks(step, columns)):
                skips[where] = why
    return Looked(source, skips, recipes, fits)


def _numbered(kind: str, steps: Sequence[JsonObject]) -> Iterator[tuple[str, JsonObject]]:
    return ((f"{kind} {i}", step) for i, step in enumerate(steps, 1))


def _settled(
    where: str,
    requests: Sequence[BackboneRequest],
    skips: dict[str, str],
    resolved: Callable[[BackboneRequest], tuple[Recipe, ...]],
) -> list[tuple[Recipe, ...]]:
    """Give the recipes of a step, none where this machine lacks what it takes."""
    try:
        return [resolved(request) for request in requests]
    except _NOT_HERE as error:
        named = next((r.weights_file for r in requests if r.weights_file is not None), None)
        if named is not None and not named.is_file():
            raise
        skips[where] = str(error) or "not enough memory"
        return []


def _resolved(
    request: BackboneRequest, cache: Place | None, progress: Progress, fetch: bool
) -> tuple[Recipe, ...]:
    if not fetch and (why := missing_weights(request)):
        raise WeightsNotFoundError(why)
    return resolve(request, cache, progress).recipes


def _request(step: Mapping[str, Any], name: Any) -> BackboneRequest:
    """Give the request of a backbone in a step that extracts."""
    asked = {key: value for key, value in step.items() if key in _REQUEST}
    asked["poolings"] = step.get("pools", ())
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in asked.items()
    }
    if step.get("precision") == "fp32" and step.get("decoder") == "pil":
        values["numerics"] = "reference"
    return BackboneRequest(name, **values)


def _training_request(step: Mapping[str, Any]) -> BackboneRequest:
    layer = step.get("layer")
    images = {key: value for key, value in step.items() if key in _REQUEST}
    about = {"layers": [] if layer is None else [layer], "pools": [step.get("pool", "avg")]}
    random = {"weights": "random"} if step.get("from_scratch") else {}
    return _request(images | about | random, step["backbone"])


def _taken(
    step: Mapping[str, Any],
    pipeline: Pipeline,
    recipes: Sequence[Sequence[Recipe]],
    skips: Mapping[str, str],
) -> Fitted:
    """Give the stores that a fit's patterns name, and the steps that they wait for."""
    patterns = step.get("features", ["*"])
    stores: dict[str, None] = {}
    needs: dict[str, None] = {}
    met = set()
    steps = list(_numbered("extract", pipeline.extracts))
    for (where, extract), own in zip(steps, recipes, strict=True):
        for pattern in patterns:
            if where in skips:
                hits = [where] if _may_be(pattern, where, extract) else []
            else:
                hits = [r.store_name for r in own if _is_named(r, pattern, where)]
                stores |= dict.fromkeys(hits)
            if hits:
                needs[where] = None
                met.add(pattern)
    if lacking := [pattern for pattern in patterns if pattern not in met]:
        there = ", ".join(recipe.label for own in recipes for recipe in own)
        raise NotFoundError(
            f"no features of this file are {lacking[0]!r}; it has {there}; or all of a step: "
            "extract 1"
        )
    return Fitted(_in_order(stores, recipes), tuple(needs))


def _in_order(stores: Mapping[str, None], recipes: Sequence[Sequence[Recipe]]) -> tuple[str, ...]:
    every = dict.fromkeys(recipe.store_name for own in recipes for recipe in own)
    return tuple(name for name in every if name in stores)


def _is_named(recipe: Recipe, pattern: str, where: str) -> bool:
    """Tell whether a pattern means a store: by its step, or its name, a seed left out or not."""
    trained = replace(recipe, random_seed=None).label
    return pattern == where or any(fnmatchcase(n, pattern) for n in (recipe.label, trained))


def _may_be(pattern: str, where: str, step: Mapping[str, Any]) -> bool:
    """Tell whether a pattern may mean a store of a step whose backbone cannot be looked at."""
    if pattern == where or pattern.startswith("extract "):
        return pattern == where
    names = (
        f"{backbone}:{layer}:{pool}"
        for backbone in map(str, step["backbone"])
        for layer in step.get("layers") or [_default_layer(backbone)]
        for pool in step.get("pools") or ["flatten", "avg", "cls"]
    )
    return any(fnmatchcase(name, pattern.partition("@")[0]) for name in names)


def _default_layer(backbone: str) -> str:
    return family_of(backbone, layer_given=True).layer


def _check_fits(
    pipeline: Pipeline, fits: Sequence[Fitted], skips: Mapping[str, str], out: PathLike | None
) -> None:
    """Raise what would stop a step after hours of others."""
    wrong = []
    for (where, step), one in zip(_numbered("fit", pipeline.fits), fits, strict=True):
        try:
            if where not in skips:
                read_mixes(tokens_of(step.get("mix", ())), len(one.stores))
        except FeatxError as error:
            wrong.append(f"{where}: {error}")
    for kind, steps in (("fit", pipeline.fits), ("finetune", pipeline.finetunes)):
        for where, step in _numbered(kind, steps):
            try:
                if out is not None and "name" in step:
                    check_name(Path(out), step["name"])
            except FeatxError as error:
                wrong.append(f"{where}: {error}")
    if wrong:
        raise UsageError("; ".join(wrong))


def _check_freeze(where: str, step: Mapping[str, Any], request: BackboneRequest) -> None:
    """Raise where a node to freeze up to is not there."""
    freeze = step.get("freeze", "none")
    if freeze in ("none", "half", "all"):
        return
    from featx.tuning import freeze_layers

    try:
        freeze_layers(load_backbone(request), freeze)
    except FeatxError as error:
        raise type(error)(f"{where}: {error}") from error


def _opened(pipeline: Pipeline, demo: Path, shards: Path | None) -> Source:
    """Open the data, and check the options of every extract with it."""
    source = None
    for step in pipeline.extracts:
        known = {k: v for k, v in step.items() if k not in ("on_error", "retry_failed")}
        options = {k: v for k, v in known.items() if k not in ("rehash", "max_failed", "backbone")}
        done = prepare(
            pipeline.data,
            step["backbone"],
            demo=demo,
            progress=Silent(),
            shards=shards,
            **pipeline.data_options,
            **options,
        )
        source = source or done.source
    if source is None:
        name = pipeline.finetunes[0]["backbone"]
        prepared = prepare(
            pipeline.data, name, demo=demo, progress=Silent(), shards=shards,
            **pipeline.data_options,
        )  # fmt: skip
        source = prepared.source
    return source


def _lacks(step: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Say which column a step takes that the data do not have."""
    try:
        target_name(columns, step.get("target"))
        for name in ("group", "split"):
            if step.get(name) is not None:
                check_column(columns, step[name])
    except UsageError as error:
        return str(error)
    return ""
