"""How a network is trained, as a value: a head on features, or a network on images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featx.errors import UsageError, unknown_name

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULERS = ("none", "cosine", "step", "plateau")
INITS = ("default", "xavier", "kaiming")
ACTIVATIONS = ("relu", "gelu", "tanh")
LOSSES = {"classification": ("cross-entropy",), "regression": ("mse", "l1", "huber")}
"""By task; the first is the default."""
_NAMES = {"optimizer": OPTIMIZERS, "scheduler": SCHEDULERS}


@dataclass(frozen=True)
class Training:
    """How weights are found.

    Attributes
    ----------
    optimizer
        ``adam``, ``adamw`` or ``sgd``.
    lr
        Learning rate.
    weight_decay, momentum
        Of the optimizer; momentum of ``sgd`` alone.
    epochs
        Passes over the training rows, at most.
    batch_size
        Rows in a step.
    loss
        ``cross-entropy``; or ``mse``, ``l1``, ``huber`` (Huber's with its bend at 1); None: the
        first of these that suits the task.
    scheduler
        ``none``; ``cosine`` to 0 at the last epoch; ``step``, a tenth after each third of the
        epochs; ``plateau``, a tenth after more than 5 epochs in which the loss on the validation
        rows (of the training rows where there are none) did not fall.
    early_stopping
        Epochs without a lower loss on the validation rows after which training ends and the best
        weights are taken; None: all epochs, and the last weights.
    validation
        The part of the training rows that is set aside for that.
    seed
        Of the first weights, the order of rows and what is dropped.
    """

    optimizer: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    epochs: int = 50
    batch_size: int = 32
    loss: str | None = None
    scheduler: str = "none"
    early_stopping: int | None = None
    validation: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in _NAMES.items():
            if getattr(self, name) not in known:
                raise unknown_name(name, str(getattr(self, name)), known)
        for name in ("epochs", "batch_size"):
            _check_count(name, getattr(self, name))
        if self.early_stopping is not None:
            _check_count("early_stopping", self.early_stopping)
        _check_range("lr", self.lr, above=0.0)
        _check_range("weight_decay", self.weight_decay)
        _check_range("momentum", self.momentum, below=1.0)
        _check_range("validation", self.validation, above=0.0, below=1.0)

    def loss_for(self, task: str) -> str:
        """Give the loss for a task.

        Raises
        ------
        UsageError
            If the one that was asked for is for the other task.
        """
        if self.loss is None:
            return LOSSES[task][0]
        if self.loss not in LOSSES[task]:
            known = [name for names in LOSSES.values() for name in names]
            if self.loss not in known:
                raise unknown_name("loss", self.loss, known)
            raise UsageError(
                f"loss {self.loss!r} is not for {task}; expected {' or '.join(LOSSES[task])}"
            )
        return self.loss


def read_hidden(hidden: Any) -> tuple[int, ...]:
    """Read the widths of hidden layers: ``512``, ``(512, 32)``, ``"512,32"``; None: no layer.

    Raises
    ------
    UsageError
        If one is no whole number of at least 1.
    """
    if hidden is None or hidden == "none":
        return ()
    parts: Any = hidden.replace("x", ",").split(",") if isinstance(hidden, str) else hidden
    try:
        widths = tuple(map(_whole, parts if hasattr(parts, "__iter__") else [parts]))
    except (TypeError, ValueError):
        widths = (0,)
    if any(width < 1 for width in widths):
        raise UsageError(
            f"hidden is {hidden!r}; expected the widths of the hidden layers, such as 512,32, or "
            "none for a linear layer"
        )
    return widths


def _whole(value: Any) -> int:
    """Give a whole number; 0 for one that has a fraction."""
    number = int(value)
    return number if isinstance(value, str) or number == value else 0


def check_dropout(dropout: Any) -> float:
    """Give a probability of dropping a value.

    Raises
    ------
    UsageError
        If it is none.
    """
    _check_range("dropout", dropout, below=1.0)
    return float(dropout)


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} is {value!r}; expected a whole number of at least 1")


def _check_range(
    name: str, value: Any, above: float | None = None, below: float = float("inf")
) -> None:
    """Raise where a number is not in [0, below), or not above ``above``."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 <= value < below and (above is None or value > above)):
        least = "at least 0" if above is None else f"above {above:g}"
        most = "" if below == float("inf") else f" and below {below:g}"
        raise UsageError(f"{name} is {value!r}; expected a number {least}{most}")
