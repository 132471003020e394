"""Networks on vectors, trained by skorch around plain torch modules.

torch is imported with this module, so it is imported where a network is fitted and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.helper import predefined_split
from torch import nn

from featx.errors import DeviceError, NumericsError

if TYPE_CHECKING:
    from featx._types import Array
    from featx.heads.course import Course

_MODULES: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
_OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
_LOSSES: dict[str, type[nn.Module]] = {
    "cross-entropy": nn.CrossEntropyLoss,
    "mse": nn.MSELoss,
    "l1": nn.L1Loss,
    "huber": nn.HuberLoss,
}


def perceptron(
    n_inputs: int,
    hidden: Sequence[int],
    n_outputs: int,
    activation: str = "relu",
    dropout: float = 0.0,
    init: str = "default",
) -> nn.Sequential:
    """Give linear layers with an activation, and dropout after it, between them.

    Where there is one layer alone, dropout is of what goes into it.

    Parameters
    ----------
    n_inputs, hidden, n_outputs
        Widths.
    init
        Of the weights: torch's own ``default``, ``xavier`` (Glorot and Bengio 2010, uniform) or
        ``kaiming`` (He et al. 2015, normal); with the latter two, offsets start at 0.
    """
    widths = [n_inputs, *hidden, n_outputs]
    layers: list[nn.Module] = [nn.Dropout(dropout)] if dropout and not hidden else []
    for number, width in enumerate(widths[:-1]):
        if number:
            layers.append(_MODULES[activation]())
            layers += [nn.Dropout(dropout)] if dropout else []
        layers.append(nn.Linear(width, widths[number + 1]))
        initialise(layers[-1], init)
    return nn.Sequential(*layers)


def initialise(layer: nn.Module, init: str) -> None:
    """Draw a linear layer's first weights; ``default`` leaves torch's."""
    assert isinstance(layer, nn.Linear)  # noqa: S101  # its callers make them
    if init == "default":
        return
    if init == "xavier":
        nn.init.xavier_uniform_(layer.weight)
    else:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)


def make_net(
    module: nn.Module,
    course: Course,
    task: str,
    *,
    device: str = "cpu",
    loaders: Mapping[str, Any] | None = None,
    validation: Any = None,
    class_weight: Array | None = None,
) -> NeuralNet:
    """Give the skorch net that trains ``module`` as it is; `featx.heads.course.run` runs it.

    Parameters
    ----------
    course
        Leads it.
    loaders
        ``iterator_train`` and ``iterator_valid``, classes that give batches of a data set, and
        their arguments; None: `Batches`.
    validation
        The data set of the course's validation rows; None where there is none.
    class_weight
        (k,) weights of classes in the loss.
    """
    training = course.training
    loss = _LOSSES[training.loss_for(task)]
    options = dict(loaders or _IN_MEMORY)
    if class_weight is not None:
        options["criterion__weight"] = torch.as_tensor(class_weight, dtype=torch.float32)
    if training.optimizer == "sgd":
        options["optimizer__momentum"] = training.momentum
    return NeuralNet(
        module,
        criterion=loss,
        optimizer=_OPTIMIZERS[training.optimizer],
        optimizer__weight_decay=training.weight_decay,
        lr=training.lr,
        max_epochs=training.epochs,
        batch_size=training.batch_size,
        train_split=None if validation is None else predefined_split(validation),
        callbacks=[("course", course)],
        callbacks__print_log=None,
        device=device,
        verbose=0,
        **options,
    )


def _tensor(values: Array) -> torch.Tensor:
    """Give an array as a tensor; torch wants one that could be written to."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


class Batches:
    """Batches of arrays that are in memory: rows are sliced, not collected one by one.

    Parameters
    ----------
    dataset
        skorch's, whose ``X`` and ``y`` are arrays.
    shuffle
        Whether each pass has an order of its own, by torch's generator.
    """

    def __init__(self, dataset: Any, batch_size: int, shuffle: bool = False) -> None:
        self.X, self.y = _tensor(dataset.X), _tensor(dataset.y)
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        n = len(self.X)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        for rows in torch.split(order, self.batch_size):
            yield self.X[rows], self.y[rows]


SMALL_STEP = 1e8
"""Multiplications of a step, up to which a second thread costs more than it does."""


@contextmanager
def fitting_threads(module: nn.Module, batch_size: int) -> Iterator[None]:
    """Take one thread where the steps of a network on vectors are small."""
    before = torch.get_num_threads()
    if batch_size * sum(p.numel() for p in module.parameters()) <= SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_IN_MEMORY = {
    "iterator_train": Batches,
    "iterator_train__shuffle": True,
    "iterator_valid": Batches,
}


@contextmanager
def room(what: str, advice: str) -> Iterator[None]:
    """Say what to do where a network finds not enough memory.

    Raises
    ------
    DeviceError
        In place of torch's own error.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search("alloc|out of memory", str(error)):
            raise
        raise DeviceError(f"not enough memory to train {what}; {advice}") from error


def check_device(device: str) -> str:
    """Give a device that torch has here; ``auto`` is the first CUDA device, else the processor.

    Raises
    ------
    DeviceError
        If it is not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DeviceError(f"torch has no device {device!r} here ({reason}); use cpu") from error
    return device


def weights_of(module: nn.Module) -> tuple[list[Array], list[Array]]:
    """Give the weights (d, k) and offsets (k,) of the linear layers, in order, on the processor.

    Raises
    ------
    NumericsError
        If one is not finite: the learning rate is too high.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    coefs = [layer.weight.detach().cpu().numpy().T.copy() for layer in layers]
    offsets = [layer.bias.detach().cpu().numpy().copy() for layer in layers]
    if not all(np.isfinite(values).all() for values in (*coefs, *offsets)):
        raise NumericsError("the weights grew without bound; a smaller learning rate (lr) may help")
    return coefs, offsets
