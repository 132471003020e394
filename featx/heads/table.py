"""Every head: the tasks it fits, its default grid, its parameters, and how it is made.

What is made is scikit-learn's own estimator, or for ``nn`` one that keeps its contract. Parameters
that would break what makes fitting fast (a penalty that is not invariant to rotations, a metric
that is no inner product) are not offered.

Where the estimator is solved on inner products (`featx.solvers`), it says what is solved, and how
well. What differs from scikit-learn's defaults was measured where scikit-learn fits it, on 1,875
rows of VGG16 features in few coordinates, 7 classes: LinearSVC's dual solver converges in 0.2 to
0.5 s at every C from 1e-6 to 1, its primal one takes up to 10 s and stops 0.7 % away. Logistic
regression by L-BFGS at tolerance 1e-4 stops 2 % away at C = 1 without a word; Newton-CG at 1e-6
gets there in 3 s. A network on 128 axes is fitted by L-BFGS in 0.2 to 0.6 s and is as accurate as
with Adam, scikit-learn's default, which takes 2 to 4 s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from featx._types import Array, Float64s
from featx.errors import HeadTaskError, UsageError, unknown_name
from featx.heads.neural import NeuralClassifier, NeuralRegressor

_MAX_ITER = 100_000
"""Sweeps of liblinear's coordinate descent: at large C it needs far more than its default 1,000."""


@dataclass(frozen=True)
class Head:
    """A kind of head.

    Attributes
    ----------
    estimators
        Task to scikit-learn class.
    grid
        Default candidates.
    params
        Names that a grid or a setting may use.
    fixed
        What differs from scikit-learn's defaults.
    weighted
        Whether class weights can be given.
    seeded
        Whether the fit draws random numbers.
    warm
        Whether a candidate starts from the coefficients of the one before it: the answer is the
        same to the solver's tolerance.
    axes
        For a network, whose steps depend on the axes: how many principal axes of the training rows
        it sees, where there are more features than rows. 0 for other heads.
    sets_aside
        Whether its fit may set training rows aside, and takes groups that are to stay together.
    """

    name: str
    description: str
    estimators: Mapping[str, Callable[..., Any]]
    grid: Mapping[str, tuple[Any, ...]]
    params: tuple[str, ...]
    fixed: Mapping[str, Any]
    weighted: bool
    seeded: bool
    warm: bool = False
    axes: int = 0
    sets_aside: bool = False

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it fits."""
        return tuple(self.estimators)

    def make(
        self, task: str, params: Mapping[str, Any], class_weight: str | None = None, seed: int = 0
    ) -> Any:
        """Give the unfitted scikit-learn estimator.

        Raises
        ------
        UsageError
            If scikit-learn does not take a parameter's value type, or no class weights fit.
        """
        options = dict(self.fixed) | dict(params)
        if class_weight is not None:
            if not self.weighted or task != "classification":
                raise UsageError(
                    f"head {self.name!r} takes no class weights for {task}; "
                    f"those that do for classification: {_names(lambda head: head.weighted)}"
                )
            options["class_weight"] = class_weight
        if self.seeded:
            options["random_state"] = seed
        try:
            return self.estimators[task](**options)
        except TypeError as error:
            raise UsageError(f"{self.name} for {task}: {error}") from error


def _decades(low: int, high: int) -> tuple[float, ...]:
    return tuple(float(f"1e{power}") for power in range(low, high + 1))


_HEADS = (
    Head(
        "svm",
        "linear support vector machine (LinearSVC)",
        {"classification": LinearSVC},
        {"C": _decades(-6, 0)},
        ("C", "loss", "fit_intercept", "intercept_scaling", "tol", "max_iter"),
        {"dual": True, "max_iter": _MAX_ITER},
        weighted=True,
        seeded=True,
    ),
    Head(
        "svr",
        "linear support vector regression (LinearSVR)",
        {"regression": LinearSVR},
        {"C": _decades(-6, 0)},
        ("C", "epsilon", "loss", "fit_intercept", "intercept_scaling", "tol", "max_iter"),
        {"dual": True, "max_iter": _MAX_ITER},
        weighted=False,
        seeded=True,
    ),
    Head(
        "ridge",
        "ridge regression (Ridge), or ridge classification (RidgeClassifier)",
        {"classification": RidgeClassifier, "regression": Ridge},
        {"alpha": _decades(-4, 8)},
        ("alpha", "fit_intercept"),
        {},
        weighted=True,
        seeded=False,
    ),
    Head(
        "logreg",
        "logistic regression (LogisticRegression), gives probabilities",
        {"classification": LogisticRegression},
        {"C": _decades(-4, 0)},
        ("C", "fit_intercept", "tol", "max_iter"),
        {"solver": "newton-cg", "tol": 1e-6, "max_iter": 10_000},
        weighted=True,
        seeded=True,
        warm=True,
    ),
    Head(
        "rbf",
        "support vector machine with a kernel (SVC, SVR); keeps its support vectors",
        {"classification": SVC, "regression": SVR},
        {"C": (1.0, 10.0, 100.0)},
        ("C", "kernel", "gamma", "degree", "coef0", "epsilon", "tol", "max_iter"),
        {},
        weighted=True,
        seeded=False,
    ),
    Head(
        "mlp",
        "network with a hidden layer (MLPClassifier, MLPRegressor), gives probabilities",
        {"classification": MLPClassifier, "regression": MLPRegressor},
        {"alpha": (1.0, 10.0, 100.0)},
        (
            "hidden_layer_sizes",
            "activation",
            "alpha",
            "batch_size",
            "early_stopping",
            "learning_rate_init",
            "max_iter",
            "n_iter_no_change",
            "solver",
            "tol",
        ),
        {"solver": "lbfgs", "max_iter": 500, "tol": 1e-3},
        weighted=False,
        seeded=True,
        axes=128,  # with all of them a fit takes several times as long
    ),
    Head(
        "nn",
        "network of any depth, or a linear layer, trained by torch; gives probabilities",
        {"classification": NeuralClassifier, "regression": NeuralRegressor},
        {},
        (
            "hidden",
            "activation",
            "dropout",
            "init",
            "loss",
            "optimizer",
            "lr",
            "weight_decay",
            "momentum",
            "epochs",
            "batch_size",
            "scheduler",
            "early_stopping",
            "validation",
            "device",
        ),
        {},
        weighted=True,
        seeded=True,
        axes=2**31,
        sets_aside=True,
    ),
    Head(
        "knn",
        "nearest neighbours (KNeighborsClassifier, KNeighborsRegressor); keeps all vectors",
        {"classification": KNeighborsClassifier, "regression": KNeighborsRegressor},
        {"n_neighbors": (1, 3, 5, 11, 21)},
        ("n_neighbors", "weights", "metric"),
        {"algorithm": "brute"},
        weighted=False,
        seeded=False,
    ),
)
HEADS: dict[str, Head] = {head.name: head for head in _HEADS}
_KNN_METRICS = ("euclidean", "cosine")


def check_head(name: str) -> Head:
    """Give the head of that name.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    if name not in HEADS:
        raise unknown_name("head", name, HEADS)
    return HEADS[name]


def head_for(name: str, task: str) -> Head:
    """Give the head of that name, if it fits the task.

    Raises
    ------
    UnknownNameError
        If there is no such head, or no such task.
    HeadTaskError
        If it does not fit the task; names those that do.
    """
    head = check_head(name)
    if task not in ("classification", "regression"):
        raise unknown_name("task", task, ("classification", "regression"))
    if task not in head.tasks:
        raise HeadTaskError(
            f"head {name!r} does {' and '.join(head.tasks)}, and this target is a {task}; heads "
            f"for it: {_names(lambda other: task in other.tasks)} "
            f"(or say --task {head.tasks[0]})"
        )
    return head


def check_params(head: Head, names: Mapping[str, Any]) -> None:
    """Raise where a parameter is none of the head's.

    Raises
    ------
    UnknownNameError
        If a name is not known; lists the head's parameters.
    UsageError
        If a neighbour metric is none that inner products give.
    """
    for name, values in names.items():
        if name not in head.params:
            raise unknown_name(f"parameter of {head.name!r}", name, head.params)
        given = values if isinstance(values, tuple | list) else (values,)
        if name == "metric" and (bad := [v for v in given if v not in _KNN_METRICS]):
            raise UsageError(f"metric {bad[0]!r}: expected {' or '.join(_KNN_METRICS)}")


def output_scores(estimator: Any, X: Array) -> tuple[Float64s | None, bool]:
    """Give what a fitted estimator says of each class, (m, k), and whether these are probabilities.

    Two decision values of a binary classifier are ``-s`` and ``s``. None for a regression.
    """
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(X), dtype=np.float64), True
    if not hasattr(estimator, "decision_function"):
        return None, False
    values = np.asarray(estimator.decision_function(X), dtype=np.float64)
    return (np.stack([-values, values], axis=1) if values.ndim == 1 else values), False


def _names(chosen: Callable[[Head], bool]) -> str:
    return ", ".join(name for name, head in HEADS.items() if chosen(head))
