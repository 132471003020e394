"""Networks on vectors as scikit-learn estimators: torch trains them, and NumPy applies them.

A fitted one holds its layers as scikit-learn's own networks do (``coefs_``, ``intercepts_``), so
that it is saved, loaded and used where there is no torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import erf, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from featx._types import Array, Float64s
from featx.errors import unknown_name
from featx.training import ACTIVATIONS, INITS, Training, check_dropout, read_hidden

if TYPE_CHECKING:
    from featx._types import Ints


def _gelu(x: Array) -> Array:
    """``x Phi(x)``, with the normal distribution's Phi (Hendrycks and Gimpel 2016)."""
    return np.asarray(x * (0.5 + 0.5 * erf(x / np.sqrt(2.0))))


_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": _gelu,
    "tanh": np.tanh,
}


def device_here(name: str) -> str:
    """Give a device that torch has here, as `featx.heads.network.check_device`; it loads torch.

    Raises
    ------
    DeviceError
        If it is not there.
    """
    # Before torch is imported: its threads would spin while they wait.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from featx.heads.network import check_device

    return check_device(name)


class _Neural(BaseEstimator):  # type: ignore[misc]
    """What both have in common."""

    _task = ""
    out_activation_ = "identity"

    def __init__(
        self,
        hidden: Any = (256,),
        activation: str = "relu",
        dropout: float = 0.0,
        init: str = "default",
        loss: str | None = None,
        optimizer: str = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        epochs: int = 50,
        batch_size: int = 32,
        scheduler: str = "none",
        early_stopping: int | None = None,
        validation: float = 0.2,
        device: str = "cpu",
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.init = init
        self.loss = loss
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.epochs = epochs
        self.batch_size = batch_size
        self.scheduler = scheduler
        self.early_stopping = early_stopping
        self.validation = validation
        self.device = device
        self.random_state = random_state

    @property
    def n_layers_(self) -> int:
        """Layers of values: those of the input and the output, too."""
        return len(self.coefs_) + 1

    def _train(
        self, X: Array, y: Array, n_outputs: int, weights: Array | None, groups: Ints | None
    ) -> None:
        """Train on (n, d) float32 and what the loss takes, and keep the layers."""
        training = self._training()
        for name, known in {"activation": ACTIVATIONS, "init": INITS}.items():
            if getattr(self, name) not in known:
                raise unknown_name(name, str(getattr(self, name)), known)
        hidden, dropout = read_hidden(self.hidden), check_dropout(self.dropout)
        training.loss_for(self._task)
        device = device_here(self.device)
        import torch

        from featx.heads import network
        from featx.heads.course import Course, run

        devices = [torch.device(device)] if device.startswith("cuda") else []
        what = f"a network of {X.shape[1]} inputs and the layers {hidden}"
        # the caller's generator stays as it is
        with network.room(what, "give smaller --hidden"), torch.random.fork_rng(devices):
            torch.manual_seed(training.seed)
            module = network.perceptron(
                X.shape[1], hidden, n_outputs, self.activation, dropout, self.init
            )
            own, held = self._parts(X, y, groups, training)
            course = Course(training, validated=held is not None)
            net = network.make_net(
                module, course, self._task, device=device, validation=held, class_weight=weights
            )
            with network.fitting_threads(module, training.batch_size):
                run(net.initialize(), course, *own)
        self.coefs_, self.intercepts_ = network.weights_of(net.module_)
        self.loss_curve_ = [row["train_loss"] for row in course.rows]
        self.validation_loss_curve_ = (
            [row["valid_loss"] for row in course.rows] if course.validated else None
        )
        self.n_iter_ = len(course.rows)

    def _training(self) -> Training:
        names = Training.__dataclass_fields__.keys() - {"seed"}
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return Training(**{name: getattr(self, name) for name in names}, seed=seed)

    def _parts(
        self, X: Array, y: Array, groups: Ints | None, training: Training
    ) -> tuple[tuple[Array, Array], Any | None]:
        """Set rows aside where they stop the training, or lower its learning rate."""
        if training.early_stopping is None or len(X) < 2:
            return (X, y), None
        from skorch.dataset import Dataset

        labels = y if self._task == "classification" else None
        own, held = _held_out(labels, len(X), groups, training)
        return (X[own], y[own]), Dataset(X[held], y[held])

    def _layers(self, X: Array) -> Array:
        """Give what the last layer says of (n, d): (n, k)."""
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        last = len(self.coefs_) - 1
        for number, (weights, offset) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            x = x @ weights + offset
            x = x if number == last else _FUNCTIONS[self.activation](x)
        return np.asarray(x)


def _held_out(
    y: Array | None, n: int, groups: Ints | None, training: Training
) -> tuple[Ints, Ints]:
    """Give the rows that train and those that are set aside, from each class its share.

    Rows of one group are on one side, where there are two groups or more.
    """
    rows, part, seed = np.arange(n), training.validation, training.seed
    if groups is not None and len(np.unique(groups)) > 1:
        splitter = GroupShuffleSplit(1, test_size=part, random_state=seed)
        own, held = next(splitter.split(rows, y, groups))
        return np.sort(own), np.sort(held)
    try:
        own, held = train_test_split(rows, stratify=y, test_size=part, random_state=seed)
    except ValueError:  # a class of a single row has no share to give
        own, held = train_test_split(rows, test_size=part, random_state=seed)
    return np.sort(own), np.sort(held)


class NeuralClassifier(ClassifierMixin, _Neural):  # type: ignore[misc]
    """A network with any number of hidden layers, or none, that gives probabilities of classes.

    Parameters are those of `NeuralRegressor`, and

    Parameters
    ----------
    class_weight
        ``balanced`` weights the classes by the inverse of their frequency; or class to weight.

    Attributes
    ----------
    classes_
        (k,) sorted labels.
    """

    _task = "classification"
    out_activation_ = "softmax"

    def __init__(
        self,
        hidden: Any = (256,),
        activation: str = "relu",
        dropout: float = 0.0,
        init: str = "default",
        loss: str | None = None,
        optimizer: str = "adam",
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        epochs: int = 50,
        batch_size: int = 32,
        scheduler: str = "none",
        early_stopping: int | None = None,
        validation: float = 0.2,
        device: str = "cpu",
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            hidden=hidden,
            activation=activation,
            dropout=dropout,
            init=init,
            loss=loss,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            epochs=epochs,
            batch_size=batch_size,
            scheduler=scheduler,
            early_stopping=early_stopping,
            validation=validation,
            device=device,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Array, y: Array, groups: Ints | None = None) -> NeuralClassifier:
        """Fit on (n, d) features and (n,) labels.

        Parameters
        ----------
        groups
            (n,) rows of one number are not set apart where rows are set aside.

        Raises
        ------
        UsageError, UnknownNameError
            If a parameter has no such value.
        DeviceError
            If the device is not there.
        NumericsError
            If the weights grow without bound.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has 1 class, {self.classes_[0]}; expected at least 2")
        weights = None
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        self._train(X, codes.astype(np.int64), len(self.classes_), weights, groups)
        return self

    def predict_proba(self, X: Array) -> Float64s:
        """Give the probability of each class, (n, k)."""
        return np.asarray(softmax(self._layers(X).astype(np.float64), axis=1))

    def predict(self, X: Array) -> Array:
        """Give the most probable class of each row, (n,)."""
        best = self._layers(X).argmax(axis=1)
        return np.asarray(self.classes_[best])


class NeuralRegressor(RegressorMixin, _Neural):  # type: ignore[misc]
    """A network with any number of hidden layers, or none, that gives a number.

    Parameters
    ----------
    hidden
        Widths of the hidden layers; None: a linear layer alone.
    activation
        ``relu``, ``gelu`` or ``tanh``, after each hidden layer.
    dropout
        The probability that a value of a hidden layer is dropped in training.
    init
        Of the first weights; see `featx.heads.network.perceptron`.
    loss, optimizer, lr, weight_decay, momentum, epochs, batch_size, scheduler
        See `featx.training.Training`.
    early_stopping, validation
        Likewise; the rows that are set aside are drawn with the seed, from each class its share.
    device
        ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``, where it is trained.
    random_state
        Of every random choice.

    Attributes
    ----------
    coefs_, intercepts_
        Weights (d, k) and offsets (k,) of each layer.
    loss_curve_, validation_loss_curve_
        After each epoch; the latter None where no rows were set aside.
    n_iter_
        Epochs that were run.
    """

    _task = "regression"

    def fit(self, X: Array, y: Array, groups: Ints | None = None) -> NeuralRegressor:
        """Fit on (n, d) features and (n,) numbers; otherwise as `NeuralClassifier.fit`."""
        X, y = validate_data(self, X, y, dtype=np.float32, y_numeric=True)
        self._train(X, np.asarray(y, np.float32)[:, None], 1, None, groups)
        return self

    def predict(self, X: Array) -> Float64s:
        """Give the number of each row, (n,)."""
        return np.asarray(self._layers(X)[:, 0], np.float64)
