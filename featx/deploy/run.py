"""Write a fitted head with its backbone into one graph, and check the file that was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import catalog, datasets
from featx._files import write_json
from featx._types import Silent
from featx._words import count
from featx.deploy.networks import check_alike, joined, load_networks
from featx.deploy.parity import Parity, difference
from featx.deploy.place import sidecar_of, staged, target_of
from featx.deploy.sample import find_sample
from featx.deploy.sidecar import describe
from featx.errors import NotFoundError, UnknownNameError, UsageError
from featx.heads import output_scores
from featx.heads.chain import chain_of
from featx.model import Model, load_model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from featx._types import Array, Float32s, JsonObject, PathLike, Progress
    from featx.deploy.sample import Sample
    from featx.forward.run_graph import Runner
    from featx.heads.chain import Chain

REPEATS = 30


@dataclass(frozen=True)
class Deployed:
    """A graph that was written.

    Attributes
    ----------
    path
        The file that a runtime is given.
    sidecar
        What the JSON file beside it says.
    """

    path: Path
    sidecar: JsonObject

    def to_json(self) -> JsonObject:
        """Give the sidecar with the path of the graph."""
        return {"path": str(self.path.absolute()), **self.sidecar}


def deploy(
    model: Model | PathLike,
    to: str,
    output: PathLike | None = None,
    *,
    out: PathLike = "runs",
    weights: PathLike | Mapping[str, PathLike] | None = None,
    cache: PathLike | None = None,
    progress: Progress | None = None,
) -> Deployed:
    """Write a fitted head and its backbone into one graph, with a JSON file beside it.

    The written file is run and compared with featx; where the two differ, no file is left.

    Parameters
    ----------
    model
        What `load_model` gave, or a run's folder or name.
    to
        ``onnx`` or ``openvino``.
    output
        The file, ending in .onnx or .xml, or a folder; None for the run's name, where one works.
    out, weights, cache
        As in `load_model`.

    Raises
    ------
    UsageError
        If the head or its network cannot be written as a graph, ``output`` exists, or ``model``
        is a data set.
    MissingDependencyError
        If the format needs a package that is not installed.
    NumericsError
        If the written file does not say what featx says.
    RecipeMismatchError, WeightsNotFoundError
        If the backbone here is not the one that the head was fitted on.
    """
    report = progress or Silent()
    if not isinstance(model, Model):
        model = _load(model, to, out=out, weights=weights, cache=cache, progress=report)
    if model.info.views > 1:
        raise UsageError(
            f"{model.path.name} was fitted on {model.info.views} views of each image, and says the "
            "mean over them, which a graph of one image cannot; fit a head on features without "
            "--views to write it, or use featx predict"
        )
    target = target_of(to, output, model.path.name)
    chain = chain_of(model.head)
    check_alike(model.info)
    with staged(target) as path:
        sidecar = _write(model, chain, to, path, report)
        write_json(sidecar_of(path), sidecar)
    return Deployed(target, sidecar)


def _load(model: PathLike, to: str, **options: Any) -> Model:
    try:
        return load_model(model, **options)
    except (NotFoundError, UnknownNameError) as error:
        heads = datasets.list_heads(catalog.cache_dir(options["cache"]))
        if str(model) not in {head.name for head in heads}:
            raise
        raise UsageError(
            f"{model} is a data set, and --to {to} writes a fitted head: name a run instead "
            "(`featx runs` lists them); features of a data set go --to npz, parquet, csv, zarr or "
            "h5ad"
        ) from error


def _write(model: Model, chain: Chain, to: str, path: Path, report: Progress) -> JsonObject:
    """Write a graph, check it, and give its description."""
    from featx.forward.headgraph import HeadGraph  # these load torch
    from featx.forward.run_graph import load_graph
    from featx.forward.write_graph import WRITERS, write_graph

    WRITERS[to].check()
    networks = load_networks(model, report)
    sample = find_sample(model)
    vectors = networks.vectors(sample.images)
    graph = HeadGraph(networks.backbones, networks.picks, chain)
    report.say(f"writing {path.name}, and running it on {count(len(sample.images), 'image')}")
    write_graph(graph, sample.images, to, path, chain.meaning)
    runner = load_graph(path)
    parity = _compare(model, runner.batches(sample.images), vectors, sample)
    parity.check()
    measured = {
        "parity": parity.to_json() | {"runtime": runner.name},
        "latency": _latency(runner, sample.images[:1]),
    }
    return describe(model, chain, to, path, measured)


def _compare(model: Model, values: Float32s, vectors: list[Float32s], sample: Sample) -> Parity:
    recipes = [part.recipe for part in model.info.parts]
    X, rounded = (joined(vectors, recipes, stored=stored) for stored in (False, True))
    same = None
    if model.classes_ is not None:
        said = model.classes_[values.argmax(axis=1)]
        same = float(np.mean(said == model.head.predict(X)))
    return Parity(
        images=len(values),
        origin=sample.origin,
        difference=difference(values, _said(model.head, X)),
        stored_difference=difference(values, _said(model.head, rounded)),
        same_labels=same,
    )


def _said(head: Any, X: Float32s) -> Array:
    scores, _ = output_scores(head, X)
    return np.asarray(head.predict(X) if scores is None else scores)


def _latency(runner: Runner, image: Array) -> JsonObject:
    taken = runner.seconds(image, REPEATS)
    median, high = (float(value) for value in np.percentile(taken, [50, 95]))
    return {
        "batch": 1,
        "runs": REPEATS,
        "median_s": median,
        "p95_s": high,
        "runtime": runner.name,
        "device": runner.device,
    }
