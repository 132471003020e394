"""Steps that train a network: how ``[[finetune]]`` is written, and what is wrong with one."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from featx.augmentation import NO_AUGMENTATION, read_augmentation
from featx.errors import FeatxError, UsageError, unknown_name
from featx.heads import candidates
from featx.training import (
    ACTIVATIONS,
    INITS,
    LOSSES,
    Training,
    check_dropout,
    read_hidden,
)

if TYPE_CHECKING:
    from featx._types import JsonObject

SEVERAL = (
    *("hidden", "activation", "dropout", "init", "loss", "optimizer", "lr", "weight_decay"),
    *("momentum", "batch_size", "scheduler"),
)
"""Options of which a list holds candidates."""
IMAGES = (
    *("image_size", "resize", "weights", "weights_key", "strip_prefix", "preprocess"),
    *("mean", "std", "interpolation", "dtype", "precision", "engine", "decoder"),
)
"""Options about the images and the backbone, as `featx.extract` takes them."""
_OUTSIDE = ("data", "out", "device", "cache", "progress", "images")
_OF_TRAINING = {field.name for field in fields(Training)}


def training_step(step: Mapping[str, Any]) -> JsonObject:
    """Give a step's options under the names of `featx.finetune`'s arguments.

    A text with commas is a list of candidates, as on the command line; that of ``hidden`` is one
    network.
    """
    named = {key.replace("-", "_"): value for key, value in step.items()}
    for name in SEVERAL:
        if isinstance(named.get(name), str) and name != "hidden" and "," in named[name]:
            named[name] = [_number(piece.strip()) for piece in named[name].split(",")]
    return named


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def training_options() -> dict[str, inspect.Parameter]:
    """Give the arguments of `featx.finetune` that a step may hold; it loads torch."""
    from featx.extraction import extract
    from featx.finetuning import finetune

    own = inspect.signature(finetune).parameters
    images = inspect.signature(extract).parameters
    found = {name: p for name, p in own.items() if name not in _OUTSIDE}
    return found | {name: images[name] for name in IMAGES}


def candidates_of(step: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give every combination of the candidates of a step."""
    lists = {k: v for k, v in step.items() if k in SEVERAL and isinstance(v, list) and len(v) > 1}
    fixed = {
        k: v[0] if isinstance(v, list) and v else v
        for k, v in step.items()
        if k not in lists and (k in _OF_TRAINING or k in SEVERAL) and k != "seed"
    }
    return [{**fixed, **chosen} for chosen in candidates(lists)]


def mistakes_in_training(step: Mapping[str, Any]) -> Iterator[str]:
    """Give what is wrong with the values of a ``[[finetune]]``."""
    if "backbone" not in step:
        yield "backbone is missing"
    elif not isinstance(step["backbone"], str):
        yield f"backbone is {step['backbone']!r}; expected one, each of several in its own step"
    val = step.get("val", 0.2)
    if isinstance(val, bool) or not isinstance(val, int | float) or not 0 <= val <= 0.5:
        yield f"val is {val!r}; expected a part of the rows from 0 to 0.5"
    hidden = step.get("hidden")
    if isinstance(hidden, list) and not all(isinstance(one, str) for one in hidden):
        yield f"hidden is {hidden!r}; expected one network, such as '512,32', or a list of such"
        return
    try:
        check_candidates(candidates_of(step), step.get("task"))
    except FeatxError as error:
        yield str(error)
    try:
        read_augmentation(step.get("augment") or NO_AUGMENTATION)
    except FeatxError as error:
        yield str(error)


def check_candidates(found: list[dict[str, Any]], task: str | None = None) -> None:
    """Raise where a network cannot be made or trained as one of them says.

    Raises
    ------
    UsageError, UnknownNameError
        Of the first that is wrong.
    """
    for params in found:
        training = Training(**{k: v for k, v in params.items() if k in _OF_TRAINING})
        read_hidden(params.get("hidden"))
        check_dropout(params.get("dropout", 0.0))
        for name, known in {"activation": ACTIVATIONS, "init": INITS}.items():
            if (given := params.get(name)) is not None and given not in known:
                raise unknown_name(name, str(given), known)
        _check_loss(training, task)


def _check_loss(training: Training, task: str | None) -> None:
    known = [name for names in LOSSES.values() for name in names]
    if training.loss is not None and training.loss not in known:
        raise unknown_name("loss", str(training.loss), known)
    if task in LOSSES:
        training.loss_for(task)
    elif task is not None:
        raise UsageError(f"task is {task!r}; expected {' or '.join(LOSSES)}")
