"""Train one network on some images, and apply it to others."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from featx.heads.course import Course, Judge, Row, run
from featx.heads.network import fitting_threads, make_net
from featx.tuning import checkpoint
from featx.tuning.pictures import LOADERS, Loader, Part

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from skorch import NeuralNet
    from torch import nn

    from featx._types import Array
    from featx.training import Training


@dataclass(frozen=True)
class Trained:
    """How a training went.

    Attributes
    ----------
    rows
        One an epoch; see `featx.heads.course.Course`.
    best
        The epoch whose weights were taken.
    """

    rows: tuple[Row, ...]
    best: int


def train(
    module: nn.Module,
    training: Training,
    task: str,
    own: Any,
    held: Any | None,
    judge: Judge | None,
    *,
    class_weight: Array | None = None,
    device: str = "cpu",
    folder: Path | None = None,
    after_epoch: Callable[[Row], None] | None = None,
) -> Trained:
    """Train a network in place; it is left with the weights of the best epoch.

    Parameters
    ----------
    own, held
        Training and validation rows: a `Part`, or skorch's `Dataset` of arrays.
    judge
        Says how good the network is on validation rows, for the best epoch.
    folder
        Where the training is written after each epoch, and gone on from; None: nowhere.
    after_epoch
        Called with each epoch's row; also with those that were run before.
    """
    told = after_epoch or _silent

    def ended(net: NeuralNet, course: Course) -> None:
        if folder is not None:
            checkpoint.save(folder, net, course)
        told(course.rows[-1])

    course = Course(training, judge, held is not None, ended)
    loaders = LOADERS if isinstance(own, Part) else None
    with torch.random.fork_rng(_cuda(device)):
        net = make_net(
            module, course, task, device=device, loaders=loaders, validation=held,
            class_weight=class_weight,
        ).initialize()  # fmt: skip
        if folder is not None and checkpoint.restore(folder, net, course):
            for row in course.rows:
                told(row)
        with nullcontext() if loaders else fitting_threads(module, training.batch_size):
            run(net, course, own)
    return Trained(tuple(course.rows), course.best)


def outputs(module: nn.Module, part: Part | Array, batch_size: int, device: str) -> Array:
    """Give what a network says of images, or of vectors (m, d): (m, k) float32."""
    module.to(device).eval()
    if isinstance(part, Part):
        batches: Any = (images for images, _ in Loader(part, batch_size))
    else:
        batches = torch.split(torch.from_numpy(part), batch_size)
    with torch.inference_mode():
        said = [module(batch.to(device)).float().cpu().numpy() for batch in batches]
    return np.concatenate(said)


def _silent(row: Row) -> None:
    """Nobody wants to hear of an epoch."""


def _cuda(device: str) -> list[torch.device]:
    return [torch.device(device)] if device.startswith("cuda") else []
