"""What a fine-tuning is asked for, read and checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from featx.augmentation import Augmentation, read_augmentation
from featx.evaluate import Spec
from featx.heads import Head
from featx.heads.neural import NeuralClassifier, NeuralRegressor
from featx.training import Training, read_hidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featx._types import PathLike

_OF_TRAINING = tuple(f.name for f in fields(Training) if f.name not in ("seed", "validation"))
_OF_HEAD = ("hidden", "activation", "dropout", "init")
HEAD = Head(
    "finetune",
    "a backbone that is trained, with a network on top",
    {"classification": NeuralClassifier, "regression": NeuralRegressor},
    {},
    (*_OF_HEAD, *_OF_TRAINING),
    {},
    weighted=True,
    seeded=True,
)
"""Not in the table of heads, for it takes images and no features."""


@dataclass(frozen=True)
class Ask:
    """How a network is to be trained.

    Attributes
    ----------
    freeze
        See `featx.tuning.freeze_layers`.
    pooling
        Between the backbone's map and the head.
    augment
        How training images are varied; None: they are not.
    validation
        The part of the training rows that chooses.
    """

    freeze: str
    pooling: str
    augment: Augmentation | None
    validation: float


def read_augment(augment: Augmentation | PathLike | None) -> Augmentation | None:
    """Read how training images are varied.

    Raises
    ------
    UnknownNameError, UsageError
        If there is no such preset, or the file says something else.
    """
    return None if augment is None else read_augmentation(augment)


def training_of(params: Mapping[str, Any], seed: int) -> Training:
    """Give how a candidate is trained.

    Raises
    ------
    UsageError, UnknownNameError
        If a value cannot be worked with.
    """
    return Training(**{k: v for k, v in params.items() if k in _OF_TRAINING}, seed=seed)


def head_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """Give the widths, the activation, the dropout and the first weights of a candidate's head."""
    made = HEAD.estimators["regression"](**{k: v for k, v in params.items() if k in _OF_HEAD})
    return {
        "hidden": read_hidden(made.hidden),
        "activation": made.activation,
        "dropout": made.dropout,
        "init": made.init,
    }


def spec_of(options: Mapping[str, Any], **asked: Any) -> Spec:
    """Give what `featx.evaluate` reads; an option that is a list of several holds candidates."""
    grid = {k: tuple(v) for k, v in options.items() if isinstance(v, list) and len(v) > 1}
    fixed = {
        k: v[0] if isinstance(v, list) else v
        for k, v in options.items()
        if k not in grid and v is not None and v != []
    }
    return Spec(head=HEAD.name, fixed=fixed, grid=grid or None, search=bool(grid), **asked)
