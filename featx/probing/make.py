"""Extract several layers in one pass, and fit one head on each in the same splits."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._types import Silent
from featx.backbones import BackboneRequest, load_backbone, resolve
from featx.catalog import cache_dir
from featx.commands import command, data_words
from featx.comparison.make import make_runs
from featx.errors import UsageError
from featx.evaluate import Source, Spec, evaluate
from featx.features import load
from featx.gram import Gram, StoreVectors, stored_gram
from featx.heads import check_head
from featx.probing.result import put_side_by_side
from featx.problem import pose
from featx.products import unit_gram

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from featx._types import JsonObject, PathLike, Progress
    from featx.comparison import Run
    from featx.evaluate import Evaluation
    from featx.features import Features
    from featx.probing.result import Probe

_REQUESTED = ("image_size", "resize", "weights")
"""Arguments of `featx.extract` that decide what the backbone is."""

_IMAGES = ("image_size", "resize", "weights", "dtype", "precision")
_ROWS = ("name", "limit", "limit_per_class", "label_column", "path_column", "root")
"""Arguments of `featx.extract` that a command names."""

_SPEC = (
    *("test_size", "train_per_class", "cv", "repeats", "task", "search", "scale", "quality"),
    "seed",
)
"""Arguments of a fit that stand in `featx.evaluate.Spec`."""


def probe_layers(
    data: Any,
    backbone: str,
    layers: Sequence[str] = (),
    *,
    every: int | None = None,
    pool: str = "avg",
    head: str = "svm",
    extract: Mapping[str, Any] | None = None,
    out: PathLike | None = None,
    cache: PathLike | None = None,
    progress: Progress | None = None,
    **fit: Any,
) -> Probe:
    """Fit one head on several layers of a backbone, in the same splits.

    Parameters
    ----------
    data
        As `featx.extract` takes it.
    layers
        Nodes; the backbone's default one is added. Empty for the last of each stage.
    every
        In place of ``layers``: each of so many layers with weights, counted back from the default
        one.
    pool
        What is made of each layer's map.
    head
        As `featx.fit` takes it.
    extract, fit
        Further arguments of `featx.extract` and `featx.fit`.
    out
        Folder that gets a run for each layer; None writes none.
    cache
        The cache folder; None for ``FEATX_CACHE``, else ``cache``.

    Raises
    ------
    UsageError
        If both ``layers`` and ``every`` are given, or there are fewer than two layers.
    FeatxError
        As `featx.extract`, `featx.fit` and `featx.compare` do.
    """
    report, extraction = progress or Silent(), dict(extract or {})
    check_head(head)
    names, others = _layers(backbone, layers, every, pool, extraction, cache, report)
    report.say(f"{backbone}, layers: {', '.join(names)}")
    for note in others:
        report.say(note)
    runs = make_runs(
        data,
        [backbone],
        [head],
        fitting=fit,
        extraction={**extraction, "layers": names, "pools": (pool,)},
        out=out,
        cache=cache,
        progress=report,
    )
    views = [_view(run, cache) for run in runs]
    report.say("the layer, chosen inside the training rows")
    nested = _nested(views, head, fit, report)
    found = put_side_by_side(runs, [view.recipe.layer for view in views], nested)
    asked = {"backbone": backbone, "layer": list(layers), "every": every, "pool": pool}
    words = data_words(data, {k: v for k, v in extraction.items() if k in _ROWS})
    images = {k: v for k, v in extraction.items() if k in _IMAGES}
    fitting = {k: v for k, v in fit.items() if k != "n_jobs"} | {"target": found.target}
    return replace(
        found,
        backbone=backbone,
        notes=(*found.notes, *others),
        origin=_origin(runs, words, asked | {"head": head} | images | fitting),
    )


def _origin(runs: Sequence[Run], words: str, asked: JsonObject) -> JsonObject:
    """Say what the runs were made from, and the command that makes all of them."""
    first = runs[0].record
    parts = [run.record["features"] for run in runs]
    again = command(asked, "featx", "layers", *shlex.split(words)) if words else ""
    shared = {name: first[name] for name in ("created", "data", "seed", "versions")}
    return shared | {"features": {"parts": parts}, "extract_commands": [], "command": again}


def _layers(
    backbone: str,
    layers: Sequence[str],
    every: int | None,
    pool: str,
    extraction: Mapping[str, Any],
    cache: PathLike | None,
    progress: Progress,
) -> tuple[tuple[str, ...], list[str]]:
    """Give the layers to probe, and say which names were second ones of a layer.

    The default one is first: of equals, the first is chosen.
    """
    if layers and every is not None:
        raise UsageError("--layer and --every were both given: leave out one of the two")
    request = BackboneRequest(
        backbone, **{k: v for k, v in extraction.items() if k in _REQUESTED and v is not None}
    )
    others: list[str] = []
    if layers:
        request = replace(request, poolings=(pool,))
        default, *_ = _known(request, (), cache, progress)
        known = _known(request, layers, cache, progress)
        others = [f"{name} is the layer {it}" for name, it in known.items() if name != it]
        names = tuple(dict.fromkeys((default, *known.values())))
    else:
        from featx.backbones.spread import spread

        *before, default = spread(request, every, progress)
        names = (default, *before)
    if len(names) < 2:
        also = f" ({'; '.join(others)})" if others else ""
        raise UsageError(
            f"{backbone} gives one layer to probe, its default {names[0]!r}{also}; name others "
            "with --layer A,B, or take a smaller --every"
        )
    return names, others


def _known(
    request: BackboneRequest, names: Sequence[str], cache: PathLike | None, progress: Progress
) -> dict[str, str]:
    """Give the one name of each layer, by the name that it was given; of none, the default's.

    A module and its last operation are the same layer, whose vectors are stored once.
    """
    found = resolve(replace(request, layers=tuple(names)), cache_dir(cache), progress)
    layers = list(dict.fromkeys(recipe.layer for recipe in found.recipes))
    once = list(dict.fromkeys(names)) or layers
    if len(layers) == len(once):
        return dict(zip(once, layers, strict=True))
    backbone = found.backbone or load_backbone(request, progress)
    return {name: backbone.cutter.resolve(name) for name in once}


def _view(run: Run, cache: PathLike | None) -> Features:
    asked = run.record["arguments"]
    return load(asked["data"], asked["features"], cache=cache)


def _nested(
    views: Sequence[Features], head: str, fitting: Mapping[str, Any], progress: Progress
) -> Evaluation:
    """Estimate the head with the layer among its parameters."""
    missing = fitting.get("missing", ())
    tokens = missing.split(",") if isinstance(missing, str) else [str(value) for value in missing]
    target, group, split, task = (fitting.get(k) for k in ("target", "group", "split", "task"))
    problem = pose(views[0], target, group, split, task, tokens)
    if any(not np.array_equal(view.manifest.path, views[0].manifest.path) for view in views):
        raise UsageError(
            "some images have a vector of one layer and none of another: run `featx extract` on "
            "them with --retry-failed"
        )
    vectors = [StoreVectors(view.store, view.rows[problem.fitted]) for view in views]
    grams = [stored_gram(one.store.path.parent, one, progress) for one in vectors]
    scale = fitting.get("scale", "none")
    options = {k: v for k, v in fitting.items() if k in _SPEC}
    options["cv"] = str(options.get("cv", Spec.cv))
    spec = Spec(head=head, mix=_alone(vectors, grams, scale), **options)
    return evaluate(
        [Source(*one) for one in zip(vectors, map(_given, grams), strict=True)],
        problem.y,
        spec,
        groups=problem.groups,
        split=problem.sides,
        group_name=problem.group or "image",
        split_name=problem.split or "split",
        images=problem.images,
        final=False,
        n_jobs=fitting.get("n_jobs"),
        progress=progress,
    )


def _given(G: Gram) -> Callable[[], Gram]:
    return lambda: G


def _alone(vectors: Sequence[StoreVectors], grams: Sequence[Gram], scale: str) -> tuple[str, ...]:
    """Give the weights of each layer alone.

    Fused features are divided by their variance. A weight of that size undoes it, so that a
    parameter means the same as where the layer is fitted by itself; that of all rows serves, for it
    is one number that says nothing of the targets.
    """
    n = len(vectors)
    variances = [_variance(*one, scale) for one in zip(vectors, grams, strict=True)]
    return tuple(
        ":".join(f"{v:.9g}" if i == j else "0" for j in range(n)) for i, v in enumerate(variances)
    )


def _variance(vectors: StoreVectors, G: Gram, scale: str) -> float:
    if scale == "standard":
        return float(vectors.shape[1])
    values = unit_gram(G.values) if scale == "l2" else G.values
    return float(np.diag(values).mean() - values.mean())
