"""Metrics as functions of weighted rows.

Every metric takes an `Outcome` of m test rows and weights ``W`` (b, m) and gives (b,) values: a
row of ones gives the metric itself, a row of counts gives it for a resample in which each row
occurs that often. So one definition serves for the score and for its bootstrap, a thousand
resamples at a time. Where a metric is undefined (a correlation with a constant, a ranking of one
class) the value is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from featx._types import Array, Float64s, Ints


@dataclass(frozen=True)
class Outcome:
    """What was true and what was predicted, for m test rows.

    Attributes
    ----------
    y, prediction
        (m,) class numbers 0..k-1, or float64 values.
    scores
        (m, k) probabilities or decision values; None for regression.
    """

    y: Array
    prediction: Array
    scores: Float64s | None = None

    @property
    def k(self) -> int:
        """Number of classes."""
        return 0 if self.scores is None else self.scores.shape[1]


@dataclass(frozen=True)
class Metric:
    """A named metric.

    Attributes
    ----------
    undefined
        Why there is no value where it is NaN.
    ordered, probabilities
        Defined only for classes that are numbers; only for probabilities.
    max_resampled
        Most rows of a split for which resampling is worth its time.
    """

    name: str
    function: Callable[[Outcome, Float64s], Float64s]
    greater_is_better: bool
    undefined: str
    ordered: bool = False
    probabilities: bool = False
    max_resampled: int | None = None

    def __call__(self, outcome: Outcome, W: Float64s) -> Float64s:
        """Give (b,) values for weights ``W`` (b, m)."""
        return self.function(outcome, W)


def ones(outcome: Outcome) -> Float64s:
    """Give the weights (1, m) that count every row once."""
    return np.ones((1, len(outcome.y)))


def ratio(top: Float64s, bottom: Float64s) -> Float64s:
    """Divide, NaN where the divisor is 0."""
    out = np.full(np.broadcast(top, bottom).shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom != 0)
    return out


def mean_defined(values: Float64s) -> Float64s:
    """Give the mean over the last axis of what is not NaN; NaN where nothing is left."""
    there = ~np.isnan(values)
    total: Float64s = np.where(there, values, 0.0).sum(axis=-1)
    return ratio(total, there.sum(axis=-1).astype(np.float64))


def _mean(W: Float64s, values: Float64s) -> Float64s:
    return ratio(W @ values, W.sum(axis=1))


def accuracy(o: Outcome, W: Float64s) -> Float64s:
    """Share of rows whose class is predicted."""
    return _mean(W, (o.y == o.prediction).astype(np.float64))


def _counts(o: Outcome, W: Float64s) -> tuple[Float64s, Float64s, Float64s]:
    """Give (b, k) rows right, rows true and rows predicted of each class."""
    classes = np.arange(o.k)
    true = (o.y[:, None] == classes).astype(np.float64)
    said = (o.prediction[:, None] == classes).astype(np.float64)
    return W @ (true * said), W @ true, W @ said


def recalls(o: Outcome, W: Float64s) -> Float64s:
    """Give (b, k) recall of each class, NaN for a class without rows."""
    right, true, _ = _counts(o, W)
    return ratio(right, true)


def balanced_accuracy(o: Outcome, W: Float64s) -> Float64s:
    """Mean recall of the classes that have rows."""
    return mean_defined(recalls(o, W))


def sensitivity(o: Outcome, W: Float64s) -> Float64s:
    """Recall of the positive class (the last in order) of two; mean recall of more."""
    return recalls(o, W)[:, 1] if o.k == 2 else balanced_accuracy(o, W)


def f1_macro(o: Outcome, W: Float64s) -> Float64s:
    """Mean over classes that occur of ``F1 = 2 TP / (true + predicted)``."""
    right, true, said = _counts(o, W)
    return mean_defined(ratio(2 * right, true + said))


def quadratic_kappa(o: Outcome, W: Float64s) -> Float64s:
    """Cohen's kappa with weights ``(i - j)^2``, i and j positions among all classes.

    ``1 - E[(y - p)^2] / (E[y^2] + E[p^2] - 2 E[y] E[p])``: the divisor is the expected square for
    independent y and p (Cohen 1968).
    """
    y, p = o.y.astype(np.float64), o.prediction.astype(np.float64)
    expected = _mean(W, y**2) + _mean(W, p**2) - 2 * _mean(W, y) * _mean(W, p)
    expected = np.where(expected < 1e-12, 0.0, expected)
    return 1 - ratio(_mean(W, (y - p) ** 2), expected)


def log_loss(o: Outcome, W: Float64s) -> Float64s:
    """Mean of ``-log p`` of the true class; probabilities below eps count as eps."""
    scores = _scores(o)
    eps = np.finfo(np.float64).eps
    p = np.clip(scores[np.arange(len(o.y)), o.y], eps, 1 - eps)
    return _mean(W, -np.log(p))


def roc_auc(o: Outcome, W: Float64s) -> Float64s:
    """Area under the ROC curve; of more than two classes, the mean of one against the rest."""
    return _ranked(o, W, _area)


def average_precision(o: Outcome, W: Float64s) -> Float64s:
    """``sum_n (R_n - R_(n-1)) P_n``; of more than two classes, the mean of one against the rest."""
    return _ranked(o, W, _average_precision)


def _scores(o: Outcome) -> Float64s:
    if o.scores is None:
        raise ValueError("this metric ranks rows by scores, and the outcome has none")
    return o.scores


def _ranked(o: Outcome, W: Float64s, binary: Callable[[Float64s, Float64s], Float64s]) -> Float64s:
    """Apply ``binary`` to the weights of each class and of the rest, by falling score."""
    classes = [1] if o.k == 2 else range(o.k)
    each = [_one_class(_scores(o)[:, c], o.y == c, W, binary) for c in classes]
    return mean_defined(np.stack(each, axis=1))


def _one_class(
    score: Float64s,
    positive: Array,
    W: Float64s,
    binary: Callable[[Float64s, Float64s], Float64s],
) -> Float64s:
    order = np.argsort(-score, kind="stable")
    starts = _ties(score[order])
    sorted_W = W[:, order]
    true = np.add.reduceat(sorted_W * positive[order], starts, axis=1)
    return binary(true, np.add.reduceat(sorted_W, starts, axis=1) - true)


def _ties(sorted_values: Float64s) -> Ints:
    """Give where each run of equal values starts."""
    new = np.flatnonzero(np.diff(sorted_values) != 0) + 1
    return np.concatenate([[0], new]).astype(np.int64)


def _area(true: Float64s, false: Float64s) -> Float64s:
    """Area from weights (b, g) of positives and negatives by falling score; ties count half."""
    above = np.cumsum(true, axis=1) - true / 2
    return ratio((above * false).sum(axis=1), true.sum(axis=1) * false.sum(axis=1))


def _average_precision(true: Float64s, false: Float64s) -> Float64s:
    precision = ratio(np.cumsum(true, axis=1), np.cumsum(true + false, axis=1))
    return ratio((true * np.nan_to_num(precision)).sum(axis=1), true.sum(axis=1))


def mae(o: Outcome, W: Float64s) -> Float64s:
    """Mean absolute error."""
    return _mean(W, np.abs(o.y - o.prediction))


def rmse(o: Outcome, W: Float64s) -> Float64s:
    """Root of the mean squared error."""
    return np.sqrt(_mean(W, (o.y - o.prediction) ** 2))


def r2(o: Outcome, W: Float64s) -> Float64s:
    """``1 - sum (y - p)^2 / sum (y - mean y)^2``."""
    spread = _variance(W, o.y)
    return 1 - ratio(_mean(W, (o.y - o.prediction) ** 2), spread)


def _variance(W: Float64s, x: Float64s) -> Float64s:
    """Weighted variance (b,) of ``x`` (m,), exactly 0 where it is lost in rounding."""
    centred = x - x.mean()
    square = centred**2
    variance = _mean(W, square) - _mean(W, centred) ** 2
    floor = 1e-12 * square.mean() + (1e-13 * np.abs(x).max()) ** 2
    return np.where(variance <= floor, 0.0, variance)


def plcc(o: Outcome, W: Float64s) -> Float64s:
    """Pearson's linear correlation."""
    x, p = o.y - o.y.mean(), o.prediction - o.prediction.mean()
    covariance = _mean(W, x * p) - _mean(W, x) * _mean(W, p)
    spread = _variance(W, o.y) * _variance(W, o.prediction)
    return ratio(covariance, np.sqrt(spread))


def srocc(o: Outcome, W: Float64s) -> Float64s:
    """Spearman's rank correlation: Pearson's of the mean ranks."""
    centre = (W.sum(axis=1, keepdims=True) + 1) / 2
    x, p = _ranks(o.y, W) - centre, _ranks(o.prediction, W) - centre
    spread = (W * x**2).sum(axis=1) * (W * p**2).sum(axis=1)
    return ratio((W * x * p).sum(axis=1), np.sqrt(spread))


def _ranks(x: Float64s, W: Float64s) -> Float64s:
    """Mean rank (b, m) of each row in the resample that ``W`` describes."""
    group = np.unique(x, return_inverse=True)[1]
    weight = _grouped(x, W)
    ranks: Float64s = (np.cumsum(weight, axis=1) - (weight - 1) / 2)[:, group]
    return ranks


def _grouped(x: Float64s, W: Float64s) -> Float64s:
    """Weight (b, g) of each distinct value of ``x``, rising."""
    order = np.argsort(x, kind="stable")
    weight: Float64s = np.add.reduceat(W[:, order], _ties(x[order]), axis=1)
    return weight


def krocc(o: Outcome, W: Float64s) -> Float64s:
    """Kendall's tau-b: (concordant - discordant) / sqrt(pairs untied in y x pairs untied in p)."""
    untied = [
        (W.sum(axis=1) ** 2 - (_grouped(x, W) ** 2).sum(axis=1)) / 2 for x in (o.y, o.prediction)
    ]
    return ratio(_concordance(o.y, o.prediction, W), np.sqrt(untied[0] * untied[1]))


def _concordance(x: Float64s, y: Float64s, W: Float64s) -> Float64s:
    """``sum_(i<j) w_i w_j sign(x_i - x_j) sign(y_i - y_j)``, 512 columns of the pairs at a time."""
    small, total = W.astype(np.float32), np.zeros(len(W))
    for start in range(0, len(x), 512):
        at = slice(start, start + 512)
        agree = np.sign(x[:, None] - x[at]) * np.sign(y[:, None] - y[at])
        total += np.einsum("bi,bi->b", small @ agree.astype(np.float32), W[:, at])
    return total / 2


_ONE_CLASS = "only one class among the test rows"
_CONSTANT = "the prediction or the target is constant"
CLASSIFICATION = (
    Metric("accuracy", accuracy, True, "no test rows"),
    Metric("balanced_accuracy", balanced_accuracy, True, "no test rows"),
    Metric("f1_macro", f1_macro, True, "no test rows"),
    Metric("sensitivity", sensitivity, True, "no test row of the positive class"),
    Metric("average_precision", average_precision, True, "no test row of the positive class"),
    Metric("roc_auc", roc_auc, True, _ONE_CLASS),
    Metric("quadratic_kappa", quadratic_kappa, True, _ONE_CLASS, ordered=True),
    Metric("log_loss", log_loss, False, "no test rows", probabilities=True),
)
REGRESSION = (
    Metric("mae", mae, False, "no test rows"),
    Metric("rmse", rmse, False, "no test rows"),
    Metric("r2", r2, True, "the target is constant"),
    Metric("plcc", plcc, True, _CONSTANT),
    Metric("srocc", srocc, True, _CONSTANT),
    Metric("krocc", krocc, True, _CONSTANT, max_resampled=5000),
)
METRICS: dict[str, tuple[Metric, ...]] = {
    "classification": CLASSIFICATION,
    "regression": REGRESSION,
}


def metrics_for(task: str, *, ordered: bool, probabilities: bool) -> tuple[Metric, ...]:
    """Give the metrics of a task, without those that its classes or scores do not allow."""
    return tuple(
        metric
        for metric in METRICS[task]
        if (ordered or not metric.ordered) and (probabilities or not metric.probabilities)
    )
