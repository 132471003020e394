"""What ``result.json`` says of a fine-tuning besides what it says of a head."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from featx.commands import command

if TYPE_CHECKING:
    from featx._types import JsonObject
    from featx.evaluate import Setup, Spec
    from featx.features import Features
    from featx.finetuning.ask import Ask
    from featx.finetuning.trainer import Trainer, Tuned
    from featx.problem import Problem

_NO_OPTIONS = ("head", "mix", "scale", "calibrate", "aggregate", "search")
"""Of `featx.evaluate.Spec`: what a fine-tuning is not asked."""


def arguments_of(view: Features, problem: Problem, spec: Spec, ask: Ask) -> JsonObject:
    """Give the options that repeat it."""
    options = {f.name: getattr(spec, f.name) for f in fields(spec)}
    for name in _NO_OPTIONS:
        del options[name]
    fixed, grid = dict(options.pop("fixed")), options.pop("grid") or {}
    return {
        "data": view.name,
        "target": problem.target,
        "group": problem.group,
        "split": problem.split,
        **options,
        **fixed,
        **{name: list(values) for name, values in grid.items()},
        "freeze": ask.freeze,
        "pool": ask.pooling,
        "augment": None if ask.augment is None else ask.augment.to_json(),
        "val": ask.validation,
    }


def command_of(data: Any, backbone: Any, arguments: JsonObject) -> str:
    """Give the command line that repeats it."""
    left = {k: v for k, v in arguments.items() if k not in ("data", "augment") and v is not None}
    if left.get("test_size") is not None or left.get("split") is not None:
        left.pop("cv", None)
    texts = {k: ",".join(map(str, v)) if isinstance(v, list) else v for k, v in left.items()}
    given = list(data) if isinstance(data, list | tuple) else [] if data is None else [data]
    words = ["featx", "finetune", *map(str, given), "--backbone", str(backbone)]
    return command(texts, *words)


def about_validation(setup: Setup) -> list[str]:
    """Say which rows chose the epoch."""
    if not setup.plan.folds[0].inner:
        return ["no validation rows: the last epoch was taken"]
    own, held = setup.plan.folds[0].inner[0]
    note = (
        f"of the training rows {len(held)} of {len(own) + len(held)} chose the epoch by "
        f"{setup.solver.criterion.name}, and trained no weights"
    )
    return [note]


def record_of(trainer: Trainer, tuned: Tuned) -> JsonObject:
    """Say what was trained, and how it went."""
    frozen = trainer.frozen
    assert frozen is not None  # noqa: S101  # Trainer.prepare set it
    return {
        "training": {
            "frozen": list(frozen.still),
            "trained": list(frozen.trained),
            "what": frozen.describe(),
            "epochs": len(tuned.rows),
            "best_epoch": tuned.best,
            "trainings": len(trainer.curves),
            "epochs_run": sum(len(rows) for _, rows, _ in trainer.curves),
            "device": trainer.device,
            "curve": [dict(row) for row in tuned.rows],
        },
    }
