"""What a fit is asked for and what it answers, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from featx._types import Array, Float64s, Ints, JsonObject
from featx.scores import Score

Task: TypeAlias = Literal["classification", "regression"]
Scale: TypeAlias = Literal["none", "l2", "standard"]
Params: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Spec:
    """Everything that a fit is asked for, besides the arrays.

    Attributes
    ----------
    head
        A name in `featx.heads.HEADS`.
    task
        None: `featx.heads.task_of` decides from the target.
    grid
        Candidates for each parameter; None: the head's default grid. Parameters that are in
        ``fixed`` are not searched.
    fixed
        Parameters that are not searched, ``{"C": 1.0}``.
    search
        False: no default grid, the head's own defaults and ``fixed`` are used as they are.
    cv
        ``"5"`` folds, or ``"random:10:0.2"``: 10 random splits with 20 % test rows.
    repeats
        How often the folds are drawn anew.
    test_size
        A fraction: one random split instead of folds.
    train_per_class
        Training rows of every split are cut down to this many a class.
    class_weight
        ``"balanced"`` weights the classes by the inverse of their frequency.
    scale
        ``"l2"``: each row to unit length. ``"standard"``: each feature to mean 0 and standard
        deviation 1 of the training rows of each fold.
    scoring
        What chooses among candidates: a metric of `featx.metrics` or a scikit-learn scorer. None:
        accuracy, or RMSE.
    quality
        Score a regression also as image-quality assessment does: PLCC and RMSE after a logistic
        mapping.
    lower_is_better
        Low values of the target mean good, as difference scores (DMOS) do. It changes no metric,
        for predictions are of the same scores; it is kept with the head for comparisons with scores
        that run the other way.
    aggregate
        ``"group"`` scores the mean of each group's rows, too.
    calibrate
        How decision values become probabilities, for heads that have none: see
        `featx.evaluate.calibrate`. Candidates are chosen by what they say uncalibrated.
    """

    head: str = "svm"
    task: Task | None = None
    grid: Mapping[str, Sequence[Any]] | None = None
    fixed: Params = field(default_factory=dict)
    search: bool = True
    cv: str = "5"
    repeats: int = 1
    test_size: float | None = None
    train_per_class: int | None = None
    class_weight: Literal["balanced"] | None = None
    scale: Scale = "none"
    scoring: str | None = None
    quality: bool = False
    lower_is_better: bool = False
    aggregate: Literal["group"] | None = None
    calibrate: Literal["sigmoid", "isotonic", "temperature"] | None = None
    mix: tuple[str, ...] = ("equal",)
    seed: int = 0


@dataclass(frozen=True)
class FoldResult:
    """One split of the estimate: what was chosen inside it, and how its test rows came out.

    Attributes
    ----------
    train, test
        Row numbers that the scored model was fitted on, and (m,) that were scored.
    params
        Chosen without looking at the test rows.
    prediction
        (m,) label or number.
    scores
        (m, k) probability where the head has one, else decision value; None for regression.
    metrics
        One number for each metric, NaN where it is undefined.
    converged
        Whether the solver met its tolerance before its limit of iterations.
    """

    train: Ints
    test: Ints
    params: Params
    prediction: Array
    scores: Float64s | None
    metrics: Mapping[str, float]
    converged: bool


@dataclass(frozen=True)
class Candidate:
    """One row of the search that chose the final parameters.

    ``mean`` and ``std`` are those of the criterion over the splits of the search, in the
    criterion's own sign and units.
    """

    params: Params
    mean: float
    std: float
    converged: bool


@dataclass(frozen=True)
class Evaluation:
    """A fitted head and what is known about it.

    Attributes
    ----------
    head, task, scale
        As used.
    classes
        (k,) sorted labels as they are in ``y``; None for regression.
    estimator
        Ordinary fitted scikit-learn estimator (or Pipeline) of raw features; None where it was not
        asked for.
    params
        Of the final estimator.
    candidates
        The search over the splits that chose ``params``; one row where nothing was searched.
    prediction
        (n,) out-of-fold label or number; a row tested several times has its scores averaged; None
        (classification) or NaN where a row was never tested.
    scores
        (n, k) out-of-fold scores, averaged likewise, NaN where never tested; None for regression.
        ``probabilities`` says whether they are probabilities.
    fold
        (n,) first split that tested the row, -1 where none did.
    folds
        Every split in full.
    metrics, baseline
        Name to `Score`, of the head and of the baseline (most frequent class; mean) in the same
        splits.
    group_metrics, group_baseline
        The same of each group's mean; empty where that was not asked for.
    class_recall
        Recall of each class over all tested rows, in the order of ``classes``; empty for
        regression.
    criterion
        What chose among candidates, and whether more is better.
    nested
        Whether parameters were chosen anew inside each training set.
    converged
        Whether every fit that counts met its tolerance.
    reached, measure
        The largest duality gap, gradient norm or residual of the fits that count, and which of
        them it is; None and empty where the solver does not say.
    final
        Rows (images) that the final estimator was fitted on.
    how
        The sentence that says how the numbers were estimated.
    notes
        What a reader should know: a task that was guessed, an optimum at the edge of the grid, a
        solver that did not converge.
    warnings
        What may fool the scores: groups on both sides of a split, classes of a few tested rows.
    seconds
        By phase: products, search, final, score.
    """

    head: str
    task: str
    scale: Scale
    classes: Array | None
    estimator: Any
    params: Params
    candidates: tuple[Candidate, ...]
    prediction: Array
    scores: Float64s | None
    probabilities: bool
    fold: Ints
    folds: tuple[FoldResult, ...]
    metrics: Mapping[str, Score]
    baseline: Mapping[str, Score]
    group_metrics: Mapping[str, Score]
    group_baseline: Mapping[str, Score]
    class_recall: tuple[float, ...]
    criterion: str
    greater_is_better: bool
    nested: bool
    converged: bool
    reached: float | None
    measure: str
    final: Ints
    how: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]

    @property
    def n_train(self) -> int:
        """How many rows the final estimator was fitted on."""
        return len(self.final)

    def to_json(self) -> JsonObject:
        """Give all but the arrays and the estimator as JSON values."""
        return {
            "head": self.head,
            "task": self.task,
            "scale": self.scale,
            "classes": None if self.classes is None else self.classes.tolist(),
            "params": dict(self.params),
            "metrics": _scores_json(self.metrics),
            "baseline": _scores_json(self.baseline),
            "group_metrics": _scores_json(self.group_metrics),
            "group_baseline": _scores_json(self.group_baseline),
            "class_recall": [finite(value) for value in self.class_recall],
            "criterion": self.criterion,
            "greater_is_better": self.greater_is_better,
            "candidates": [
                {
                    "params": dict(row.params),
                    "mean": finite(row.mean),
                    "std": finite(row.std),
                    "converged": row.converged,
                }
                for row in self.candidates
            ],
            "folds": [
                {
                    "n_train": len(row.train),
                    "n_test": len(row.test),
                    "params": dict(row.params),
                    "metrics": {name: finite(value) for name, value in row.metrics.items()},
                    "converged": row.converged,
                }
                for row in self.folds
            ],
            "nested": self.nested,
            "converged": self.converged,
            "solver": {"measure": self.measure, "reached": self.reached} if self.measure else None,
            "n_train": self.n_train,
            "how": self.how,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "seconds": dict(self.seconds),
        }


def _scores_json(scores: Mapping[str, Score]) -> JsonObject:
    return {name: score.to_json() for name, score in scores.items()}


def finite(value: float) -> float | None:
    """Give ``value``, or None where it is not finite: JSON has no NaN."""
    return float(value) if abs(value) < float("inf") else None
