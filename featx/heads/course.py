"""The course of a training: its schedule, its curves, when it is enough, and which epoch was best.

All of it follows from the curves so far, and every epoch draws its random numbers from a seed of
its own. So a training that was stopped between two epochs goes on as if it had not been.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from skorch.callbacks import Callback

if TYPE_CHECKING:
    from skorch import NeuralNet

    from featx.training import Training

Row: TypeAlias = dict[str, float]
Judge: TypeAlias = Callable[[torch.Tensor, torch.Tensor], float]
"""(targets, what the network says of them) to a number; more is better."""

PATIENCE = 5
"""Epochs without a lower loss after which ``plateau`` lowers the learning rate."""
_THRESHOLD = 1e-4
"""By which part of it a loss has to fall, as in torch's `ReduceLROnPlateau`."""


class Enough(Exception):  # noqa: N818  # no error
    """A training that does not get better has ended."""


class Course(Callback):  # type: ignore[misc]
    """Leads a training, and remembers it.

    Parameters
    ----------
    training
        The schedule, the seed and when to stop.
    judge
        Which of the epochs is the best, by their validation rows; None: that of the lowest loss.
    validated
        Whether there are validation rows.
    after_epoch
        Called with the net and this course when an epoch is over.

    Attributes
    ----------
    rows : list of dict
        One an epoch: ``train_loss``, ``lr``, ``seconds``, and with validation rows ``valid_loss``
        and ``valid_score``.
    best_state : dict or None
        The tensors of the best epoch; None without validation rows.
    """

    def __init__(
        self,
        training: Training,
        judge: Judge | None = None,
        validated: bool = False,
        after_epoch: Callable[[NeuralNet, Course], None] | None = None,
    ) -> None:
        self.training = training
        self.judge = judge
        self.validated = validated
        self.after_epoch = after_epoch
        self.rows: list[Row] = []
        self.best_state: dict[str, torch.Tensor] | None = None
        self._said: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._began = 0.0

    @property
    def best(self) -> int:
        """The number of the best epoch, the first of equals; the last one without validation."""
        if not self.validated:
            return len(self.rows) - 1
        keys = [(row.get("valid_score", 0.0), -row["valid_loss"]) for row in self.rows]
        return keys.index(max(keys))

    @property
    def is_enough(self) -> bool:
        """Whether the validation rows say so."""
        patience = self.training.early_stopping
        if not self.validated or patience is None or not self.rows:
            return False
        return len(self.rows) - 1 - self.best >= patience

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, **_: Any) -> None:
        """Set the seed, the learning rate and the number of the epoch."""
        epoch = len(self.rows)
        torch.manual_seed(epoch_seed(self.training.seed, epoch))
        if hasattr(dataset_train, "epoch"):
            dataset_train.epoch = epoch
        for group in net.optimizer_.param_groups:
            group["lr"] = learning_rate(self.training, self.rows)
        self._said = []
        self._began = time.perf_counter()

    def on_batch_end(
        self,
        net: NeuralNet,  # noqa: ARG002  # a callback's contract
        batch: Any = None,
        training: bool = False,
        **said: Any,
    ) -> None:
        """Keep what is said of validation rows."""
        if not training and self.judge is not None:
            self._said.append((batch[1].cpu(), said["y_pred"].detach().cpu()))

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """Write the epoch's row, keep the best weights, and say when it is enough."""
        self.rows.append(self._row(net))
        if self.validated and self.best == len(self.rows) - 1:
            state = net.module_.state_dict()
            self.best_state = {name: value.detach().clone() for name, value in state.items()}
        if self.after_epoch is not None:
            self.after_epoch(net, self)
        if self.is_enough:
            raise Enough

    def _row(self, net: NeuralNet) -> Row:
        last = net.history[-1]
        row = {
            "train_loss": float(last["train_loss"]),
            "lr": float(net.optimizer_.param_groups[0]["lr"]),
            "seconds": time.perf_counter() - self._began,
        }
        if not self.validated:
            return row
        row["valid_loss"] = float(last["valid_loss"])
        if self.judge is not None:
            targets, said = (torch.cat(parts) for parts in zip(*self._said, strict=True))
            row["valid_score"] = self.judge(targets, said)
        return row


def run(net: NeuralNet, course: Course, X: Any, y: Any = None) -> None:
    """Train to the end of a course, from where it is; the best weights are left in the net.

    skorch's own ``fit`` takes an interrupt from the keyboard for the end of a training; here it
    stays one.
    """
    net.notify("on_train_begin", X=X, y=y)
    left = course.training.epochs - len(course.rows)
    try:
        if not course.is_enough:
            net.fit_loop(X, y, epochs=max(left, 0))
    except Enough:
        pass
    if course.best_state is not None:
        net.module_.load_state_dict(course.best_state)
    net.notify("on_train_end", X=X, y=y)


def epoch_seed(seed: int, epoch: int) -> int:
    """Give each epoch a seed of its own."""
    return (seed * 1_000_003 + epoch) % 2**63


def learning_rate(training: Training, rows: Sequence[Mapping[str, float]]) -> float:
    """Give the learning rate of the epoch that follows ``rows``."""
    return training.lr * _FACTORS[training.scheduler](training, rows)


def _cosine(training: Training, rows: Sequence[Mapping[str, float]]) -> float:
    """Loshchilov and Hutter 2017, without restarts."""
    return 0.5 * (1 + math.cos(math.pi * len(rows) / training.epochs))


def _step(training: Training, rows: Sequence[Mapping[str, float]]) -> float:
    third = -(-training.epochs // 3)
    return float(0.1 ** (len(rows) // third))


def _plateau(training: Training, rows: Sequence[Mapping[str, float]]) -> float:  # noqa: ARG001
    best, bad, factor = math.inf, 0, 1.0
    for row in rows:
        loss = row.get("valid_loss", row["train_loss"])
        best, bad = (loss, 0) if loss < best * (1 - _THRESHOLD) else (best, bad + 1)
        if bad > PATIENCE:
            factor, bad = factor * 0.1, 0
    return factor


_FACTORS: dict[str, Callable[[Training, Sequence[Mapping[str, float]]], float]] = {
    "none": lambda training, rows: 1.0,  # noqa: ARG005
    "cosine": _cosine,
    "step": _step,
    "plateau": _plateau,
}
