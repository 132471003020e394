"""Fine-tune a backbone on a data set, and say how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx import catalog
from featx._files import side_dir
from featx._types import Silent
from featx.doubts import cosines_of, find_doubts, mean_cosines, read_twins
from featx.errors import UsageError
from featx.evaluate import evaluate_trained, read_trained
from featx.extraction import extract
from featx.features import load, products_of
from featx.finetuning.ask import HEAD, Ask, head_of, read_augment, spec_of, training_of
from featx.finetuning.keeping import estimator_of, more_of
from featx.finetuning.record import about_validation, arguments_of, command_of, record_of
from featx.finetuning.trainer import Trainer
from featx.fitting import tokens_of
from featx.heads.network import check_device
from featx.preparing import prepare
from featx.problem import pose
from featx.result import keep
from featx.runs import check_name
from featx.tuning import Pictures

if TYPE_CHECKING:
    from typing import Literal

    from featx._types import JsonObject, PathLike, Progress
    from featx.augmentation import Augmentation
    from featx.backbones import BackboneRequest
    from featx.evaluate import Evaluation, Setup, Spec, Task
    from featx.features import Features
    from featx.finetuning.trainer import Tuned
    from featx.problem import Problem
    from featx.result import FitResult
    from featx.sources import Source

_USUAL = {
    "activation": "relu",
    "dropout": 0.0,
    "init": "default",
    "weight_decay": 0.0,
    "momentum": 0.9,
    "scheduler": "none",
}
"""Values that go without saying."""

_UNTRAINED = {"weights": "random", "dtype": "float32"}
"""What an untrained network gives may be too small for float16."""

_UNDER_WAY = ".finetune"
"""Where trainings are kept until their run is written, in the folder of all runs."""


def finetune(
    data: Any = None,
    *,
    backbone: Any,
    layer: str | None = None,
    pool: str = "avg",
    freeze: str = "none",
    from_scratch: bool = False,
    hidden: Any = None,
    activation: str | list[str] = "relu",
    dropout: float | list[float] = 0.0,
    init: str | list[str] = "default",
    loss: str | list[str] | None = None,
    optimizer: str | list[str] = "adam",
    lr: float | list[float] = 1e-3,
    weight_decay: float | list[float] = 0.0,
    momentum: float | list[float] = 0.9,
    epochs: int = 20,
    batch_size: int | list[int] = 32,
    scheduler: str | list[str] = "none",
    early_stopping: int | None = None,
    augment: Augmentation | PathLike | None = None,
    val: float = 0.2,
    target: str | None = None,
    group: str | None = None,
    split: str | None = None,
    test_size: float | None = None,
    train_per_class: int | None = None,
    cv: str | int | None = None,
    repeats: int = 1,
    task: Task | None = None,
    class_weight: Literal["balanced"] | None = None,
    scoring: str | None = None,
    quality: bool = False,
    lower_is_better: bool = False,
    missing: Sequence[str | float] | str = (),
    twins: str | float = "auto",
    seed: int = 0,
    name: str | None = None,
    out: PathLike | None = "runs",
    device: str = "auto",
    cache: PathLike | None = None,
    progress: Progress | None = None,
    **images: Any,
) -> FitResult:
    """Train a backbone, or a part of it, with a head on top, and write ``out/name/``.

    Where an argument of the head or the training is a list, its values are candidates: in each
    split, each is trained on the training rows less a validation part, which chooses the candidate
    and the epoch; the test rows are scored once.

    Parameters
    ----------
    data
        Images as `featx.extract` takes them.
    backbone, layer, pool
        As there; the vectors of the pooled map go into the head.
    freeze
        ``none``, ``half`` (the first half of the layers), ``all``, or a node: what is not trained.
        The statistics of frozen norms do not move.
    from_scratch
        Start from random weights.
    hidden, activation, dropout, init
        Of the head, see `featx.heads.neural.NeuralClassifier`; None: a linear layer.
    loss, optimizer, lr, weight_decay, momentum, epochs, batch_size, scheduler, early_stopping
        See `featx.training.Training`. Numbers are trained in standard deviations of the training
        rows.
    augment
        How training images are varied, anew in each epoch: see `featx.augmentation`.
    val
        The part of the training rows that chooses; 0: nothing is chosen, and the last epoch taken.
        A split column with val rows says it itself.
    target, group, split, test_size, train_per_class, cv, repeats, task, class_weight, scoring
        As `featx.fit` takes them; without a split column, test size or folds, a fifth of the rows
        is tested once.
    quality, lower_is_better, missing, twins, seed, name, out
        Likewise. Near-identical images are found by the features of the backbone before training.
    device
        ``auto``, ``cpu``, ``cuda``, ``mps``.
    images
        What else `featx.extract` takes about the images and the backbone.

    Returns
    -------
    FitResult
        As of `featx.fit`; its folder also holds ``backbone.safetensors``, which `featx.extract`
        takes as ``weights``, and ``curves.csv``. `featx.predict` takes the run.

    Raises
    ------
    FeatxError
        As `featx.extract` and `featx.fit`.
    """
    report = progress or Silent()
    read_twins(twins)
    if name is not None and out is not None:
        check_name(Path(out), name)
    options = {
        "hidden": hidden,
        "activation": activation,
        "dropout": dropout,
        "init": init,
        "loss": loss,
        "optimizer": optimizer,
        "lr": lr,
        "weight_decay": weight_decay,
        "momentum": momentum,
        "epochs": epochs,
        "batch_size": batch_size,
        "scheduler": scheduler,
        "early_stopping": early_stopping,
    }
    spec = spec_of(
        {k: v for k, v in options.items() if k not in _USUAL or v != _USUAL[k]},
        task=task,
        cv=str(cv or 5),
        repeats=repeats,
        test_size=0.2 if (cv, test_size, split) == (None, None, None) else test_size,
        train_per_class=train_per_class,
        class_weight=class_weight,
        scoring=scoring,
        quality=quality,
        lower_is_better=lower_is_better,
        seed=seed,
    )
    ask = Ask(freeze, pool, read_augment(augment), val)
    there = check_device(device)
    about = {"layers": () if layer is None else (layer,), "pools": (pool,), "seed": seed}
    about |= images | (_UNTRAINED if from_scratch else {})
    view, request, source = _opened(data, backbone, about, device, cache, report)
    tokens = tokens_of(missing)
    problem = pose(view, target, group, split, task, tokens)
    folder = None if out is None else Path(out)
    trainer = Trainer(
        setup=_setup(problem, spec, val),
        ask=ask,
        request=request,
        pictures=_pictures(view, problem, source),
        vectors=view.take(problem.rows),
        device=there,
        work=None if folder is None else folder / _UNDER_WAY,
        identity=_identity(view, problem, ask, spec),
        progress=report,
    )
    evaluation, tuned = _trained(trainer, report)
    products = products_of(view, problem.rows, "cpu", report)
    cosines = [cosines_of(kind.vectors, None) for kind in products]
    doubts = find_doubts(evaluation, view, problem, mean_cosines(cosines), twins)
    arguments = arguments_of(view, problem, spec, ask) | {
        "missing": tokens,
        "twins": str(twins),
        "layer": layer,
        "from_scratch": from_scratch,
        **{k: v for k, v in images.items() if isinstance(v, str | int | float)},
    }
    record = record_of(trainer, tuned) | {"command": command_of(data, backbone, arguments)}
    result = keep(
        evaluation, view, problem, doubts, arguments, folder, name, more_of(trainer, tuned, record)
    )
    trainer.clear()
    return result


def _opened(
    data: Any,
    backbone: Any,
    about: JsonObject,
    device: str,
    cache: PathLike | None,
    report: Progress,
) -> tuple[Features, BackboneRequest, Source]:
    """Embed the images with the backbone as it is, which finds bad and near-identical ones."""
    if isinstance(backbone, list | tuple):
        raise UsageError(f"{len(backbone)} backbones; fine-tuning takes one at a time")
    [done] = extract(data, backbone=backbone, cache=cache, device=device, progress=report, **about)
    view = load(done.data, done.label, cache=cache)
    folder = catalog.cache_dir(cache)
    prepared = prepare(
        data, backbone, demo=side_dir(folder), progress=Silent(), shards=catalog.shards_dir(folder),
        device=device, **about,
    )  # fmt: skip
    if view.recipe.preprocess.has_items:
        raise UsageError("fine-tuning takes one image a file; choose one --page and --channels")
    return view, prepared.requests[0], prepared.source


def _setup(problem: Problem, spec: Spec, val: float) -> Setup:
    return read_trained(
        HEAD,
        problem.y,
        spec,
        val,
        problem.groups,
        problem.sides,
        problem.group or "image",
        problem.split or "split",
    )


def _pictures(view: Features, problem: Problem, source: Source) -> Pictures:
    entries = {entry.path: entry for entry in source.entries}
    manifest = view.manifest.take(problem.rows)
    places = [entries[path] for path in manifest.path]
    return Pictures(places, manifest.digest, view.recipe.preprocess)


def _identity(view: Features, problem: Problem, ask: Ask, spec: Spec) -> JsonObject:
    """Say what a training depends on, besides its candidate and its rows."""
    augment = None if ask.augment is None else ask.augment.to_json()
    return {
        "manifest": view.manifest.hash,
        "recipe": view.recipe.hash,
        "target": problem.target,
        "task": spec.task,
        "criterion": spec.scoring,
        "freeze": ask.freeze,
        "augment": augment,
        "class_weight": spec.class_weight,
        "seed": spec.seed,
    }


def _trained(trainer: Trainer, report: Progress) -> tuple[Evaluation, Tuned]:
    """Train every candidate on every split, after what can be told before it takes long."""
    setup = trainer.setup
    for params in setup.params:
        training_of(params, setup.spec.seed).loss_for(setup.target.task)
        head_of(params)
    report.say(trainer.prepare())
    trainings = len(setup.params) * len(setup.plan.folds) + (not setup.plan.single)
    report.start("training (epochs)", trainings * max(p["epochs"] for p in setup.params))
    evaluation, tuned = evaluate_trained(setup, trainer, lambda one: estimator_of(setup, one))
    report.finish()
    notes = (*evaluation.notes, *about_validation(setup))
    # Of the epochs, those among them that were run before a stop.
    seconds = {"training": sum(row["seconds"] for _, rows, _ in trainer.curves for row in rows)}
    return replace(evaluation, notes=notes, seconds=seconds), tuned
