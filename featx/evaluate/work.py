"""What there is to fit, and what a fit answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featx._types import Ints
from featx.evaluate.result import Params
from featx.heads import HEADS
from featx.metrics import Metric, Outcome


@dataclass(frozen=True)
class Criterion:
    """What chooses among candidates: a metric of ours, or else scikit-learn's scorer ``name``."""

    name: str
    metric: Metric | None
    greater_is_better: bool


@dataclass(frozen=True)
class Solver:
    """What every fit of a run has in common.

    Attributes
    ----------
    n_classes
        0 for a regression.
    mixes
        Name to the weights of the blocks of features; a candidate's ``mix`` is such a name, and
        with a single one no candidate has any.
    groups
        (n,) int64: rows of one number must not be set apart inside a training set; None: any may.
    """

    head: str
    task: str
    class_weight: str | None
    seed: int
    criterion: Criterion
    n_classes: int
    mixes: Mapping[str, tuple[float, ...]]
    groups: Ints | None = None

    def among(self, rows: Ints) -> dict[str, Ints]:
        """Give what a head that sets rows aside is told besides its training rows."""
        if self.groups is None or not HEADS[self.head].sets_aside:
            return {}
        return {"groups": self.groups[rows]}

    def make(self, params: Params) -> Any:
        """Give an unfitted estimator."""
        own = {name: value for name, value in params.items() if name != "mix"}
        return HEADS[self.head].make(self.task, own, self.class_weight, self.seed)

    def weights(self, mix: str | None) -> tuple[float, ...]:
        """Give the weights of the blocks."""
        return next(iter(self.mixes.values())) if mix is None else self.mixes[mix]


@dataclass(frozen=True)
class Job:
    """One split with the candidates to fit on it."""

    train: Ints
    test: Ints
    params: Sequence[Params]


@dataclass(frozen=True)
class Stop:
    """How a solver stopped.

    Attributes
    ----------
    converged
        Whether it met its tolerance.
    reached, measure
        As in `featx.solvers.Solution`; NaN and empty where the solver does not say.
    """

    converged: bool
    reached: float = float("nan")
    measure: str = ""


@dataclass(frozen=True)
class Answer:
    """How one candidate did on one split."""

    outcome: Outcome
    value: float
    stop: Stop
