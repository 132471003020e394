"""Extract several layers in one pass, and fit one head on each in the same splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from featx._types import Silent
from featx.backbones import BackboneRequest, resolve
from featx.catalog import cache_dir
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

    from featx._types import PathLike, Progress
    from featx.comparison import Run
    from featx.evaluate import Evaluation
    from featx.features import Features
    from featx.probing.result import Probe

_REQUESTED = ("image_size", "resize", "weights")
"""Arguments of `featx.extract` that decide what the backbone is."""

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
    names = _layers(backbone, layers, every, extraction, cache, report)
    report.say(f"{backbone}, layers: {', '.join(names)}")
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
    return put_side_by_side(runs, [view.recipe.layer for view in views], nested)


def _layers(
    backbone: str,
    layers: Sequence[str],
    every: int | None,
    extraction: Mapping[str, Any],
    cache: PathLike | None,
    progress: Progress,
) -> tuple[str, ...]:
    """Give the layers to probe, the default one first: of equals, the first is chosen."""
    if layers and every is not None:
        raise UsageError("--layer and --every were both given: leave out one of the two")
    request = BackboneRequest(
        backbone, **{k: v for k, v in extraction.items() if k in _REQUESTED and v is not None}
    )
    if layers:
        default = resolve(request, cache_dir(cache), progress).recipes[0].layer
        names = (default, *(name for name in dict.fromkeys(layers) if name != default))
    else:
        from featx.backbones.spread import spread

        *others, default = spread(request, every, progress)
        names = (default, *others)
    if len(names) < 2:
        raise UsageError(
            f"{backbone} gives one layer to probe, its default {names[0]!r}; name others with "
            "--layer A,B, or take a smaller --every"
        )
    return names


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
