"""``featx finetune``: train a backbone, or a part of it, and estimate it as a head is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from featx.cli import beside
from featx.cli import extract_options as e
from featx.cli import options as o
from featx.cli import training_options as t
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.fit_cmd import lines
from featx.cli.glyphs import sparkline
from featx.cli.parsing import image_size, names, numbers, one_or_all
from featx.cli.report_cmd import SavePlots, Wanted, look_at
from featx.cli.text import count, duration, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import JsonObject

_Option = typer.Option


_WIDTH = 40
"""Epochs whose losses are drawn: the last ones."""


@command
def finetune(
    console: Console,
    data: o.Data = None,
    *,
    backbone: Annotated[
        str, _Option("--backbone", metavar="NAME", help="vgg16, resnet50, timm/NAME ...")
    ],
    freeze: Annotated[
        str,
        _Option("--freeze", metavar="none|half|all|NODE", help="Layers that are not trained."),
    ] = "none",
    from_scratch: Annotated[
        bool, _Option("--from-scratch", help="Begin with random weights.")
    ] = False,
    layer: Annotated[
        str | None, _Option("--layer", metavar="NODE", help="Where the head takes over.")
    ] = None,
    pool: Annotated[
        str, _Option("--pool", metavar="NAME", help="Between map and head: avg, flatten ...")
    ] = "avg",
    hidden: t.Hidden = None,
    activation: t.Activation = None,
    dropout: t.Dropout = None,
    init: t.Init = None,
    loss: t.Loss = None,
    optimizer: t.Optimizer = None,
    lr: t.Lr = None,
    weight_decay: t.WeightDecay = None,
    momentum: t.Momentum = None,
    epochs: Annotated[int, _Option("--epochs", min=1, metavar="N", help="At most.")] = 20,
    batch_size: t.Steps = None,
    scheduler: t.Scheduler = None,
    early_stopping: Annotated[
        int | None,
        _Option(
            "--early-stopping",
            min=1,
            metavar="N",
            help="Stop after N epochs that are no better on the validation rows.",
        ),
    ] = None,
    augment: Annotated[
        str | None,
        _Option("--augment", metavar="NAME|FILE", help="light, faces, cartoons or a TOML file."),
    ] = None,
    val: Annotated[
        float,
        _Option("--val", metavar="SHARE", help="Of the training rows: chooses epoch and values."),
    ] = 0.2,
    target: o.Target = None,
    group: o.Group = None,
    split: o.Split = None,
    test_size: o.TestSize = None,
    train_per_class: o.TrainPerClass = None,
    cv: o.MaybeCv = None,
    repeats: o.Repeats = 1,
    task: o.Task = None,
    class_weight: o.ClassWeight = None,
    scoring: o.Scoring = None,
    quality: o.Quality = False,
    lower_is_better: Annotated[
        bool, _Option("--lower-is-better", help="Low targets are good, as with DMOS.")
    ] = False,
    missing: o.Missing = None,
    twins: Annotated[
        str, _Option("--twins", metavar="auto|off|COSINE", help="Near-identical images.")
    ] = "auto",
    seed: o.Seed = 0,
    name: Annotated[
        str | None, _Option("--name", metavar="NAME", help="Of the run [default: numbered].")
    ] = None,
    out: o.Out = "runs",
    limit: o.Limit = None,
    limit_per_class: o.LimitPerClass = None,
    path_column: o.PathColumn = None,
    root: o.Root = None,
    size: e.ImageSize = None,
    resize: e.Resize = None,
    weights: o.Weights = None,
    weights_key: e.WeightsKey = None,
    strip_prefix: e.StripPrefix = None,
    preprocess: e.Preprocess = None,
    mean: e.Mean = None,
    std: e.Std = None,
    interpolation: e.Interpolation = None,
    device: Annotated[str, _Option("--device", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    report: Wanted = False,
    save_plots: SavePlots = None,
    cache: o.Cache = None,
) -> None:
    """Train a backbone with a head on top, and say how good it is.

    Of options that take several values, the validation rows choose. `featx predict` takes the run.
    """
    several: dict[str, Any] = {
        "activation": list(names(activation)),
        "dropout": t.values("--dropout", dropout),
        "init": list(names(init)),
        "loss": list(names(loss)),
        "optimizer": list(names(optimizer)),
        "lr": t.values("--lr", lr),
        "weight_decay": t.values("--weight-decay", weight_decay),
        "momentum": t.values("--momentum", momentum),
        "batch_size": t.counts("--batch-size", batch_size),
        "scheduler": list(names(scheduler)),
    }
    about: dict[str, Any] = {
        "limit": limit,
        "limit_per_class": limit_per_class,
        "path_column": path_column,
        "root": root,
        "image_size": image_size(size),
        "resize": resize,
        "weights": weights,
        "weights_key": weights_key,
        "strip_prefix": strip_prefix,
        "preprocess": preprocess,
        "mean": numbers("--mean", mean),
        "std": numbers("--std", std),
        "interpolation": interpolation,
    }
    from featx.finetuning import finetune

    result = finetune(
        one_or_all(data),
        backbone=backbone,
        freeze=freeze,
        from_scratch=from_scratch,
        layer=layer,
        pool=pool,
        hidden=t.widths(hidden),
        **{option: given for option, given in several.items() if given},
        epochs=epochs,
        early_stopping=early_stopping,
        augment=augment,
        val=val,
        target=target,
        group=group,
        split=split,
        test_size=test_size,
        train_per_class=train_per_class,
        cv=cv,
        repeats=repeats,
        task=task,
        class_weight=class_weight,
        scoring=scoring,
        quality=quality,
        lower_is_better=lower_is_better,
        missing=names(missing),
        twins=twins,
        seed=seed,
        name=name,
        out=out,
        device=device,
        cache=cache,
        progress=console.progress,
        **{option: given for option, given in about.items() if given is not None},
    )
    look = None if report or save_plots is not None else look_at(result.record, cache)
    asked = beside.wanted(report, result, save_plots=save_plots, out=out, cache=cache)
    told = _lines(result.record, console.plus_minus, console.block, look)
    beside.show(console, result.record, told, asked)


def _lines(record: JsonObject, plus_minus: str, block: str, look: str | None) -> Iterator[str]:
    told: JsonObject = record["training"]
    yield (
        f"took epoch {told['best_epoch'] + 1} of {told['epochs']}; "
        f"{count(told['epochs_run'], 'epoch')} in "
        f"{count(told['trainings'], 'training')} on {told['device']}, "
        f"{duration(record['seconds']['training'])}"
    )
    for name, words in (("train_loss", "training loss"), ("valid_loss", "validation loss")):
        losses = [row[name] for row in told["curve"] if row.get(name) is not None]
        if losses:
            ends = f"{number(losses[0])} to {number(losses[-1])}"
            yield f"  {words:<15} {sparkline(losses[-_WIDTH:], block)}  {ends}"
    yield from lines([record], plus_minus, look)
