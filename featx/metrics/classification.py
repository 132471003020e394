"""Metrics of classes: of the predicted ones, and of the ranking by scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from featx._types import Float64s, Ints
from featx.metrics.outcome import Outcome, mean, mean_defined, ratio


def accuracy(o: Outcome, W: Float64s) -> Float64s:
    """Share of rows whose class is predicted."""
    return mean(W, (o.y == o.prediction).astype(np.float64))


def _counts(o: Outcome, W: Float64s) -> tuple[Float64s, Float64s, Float64s]:
    """Give (b, k) rows right, rows true and rows predicted of each class."""
    classes = np.arange(o.k)
    true = (o.y[:, None] == classes).astype(np.float64)
    said = (o.prediction[:, None] == classes).astype(np.float64)
    return W @ (true * said), W @ true, W @ said


def confusion(true: Ints, said: Ints, k: int) -> Ints:
    """(k, k) how often each class (rows) was called each class, from numbers of classes (m,)."""
    counts: Ints = np.bincount(true * k + said, minlength=k * k).reshape(k, k)
    return counts


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
    expected = mean(W, y**2) + mean(W, p**2) - 2 * mean(W, y) * mean(W, p)
    expected = np.where(expected < 1e-12, 0.0, expected)
    return 1 - ratio(mean(W, (y - p) ** 2), expected)


def log_loss(o: Outcome, W: Float64s) -> Float64s:
    """Mean of ``-log p`` of the true class; probabilities below eps count as eps."""
    eps = np.finfo(np.float64).eps
    p = np.clip(np.asarray(o.scores)[np.arange(len(o.y)), o.y], eps, 1 - eps)
    return mean(W, -np.log(p))


def roc_auc(o: Outcome, W: Float64s) -> Float64s:
    """Area under the ROC curve; of more than two classes, the mean of one against the rest."""
    return _ranked(o, W, _area)


def average_precision(o: Outcome, W: Float64s) -> Float64s:
    """``sum_n (R_n - R_(n-1)) P_n``; of more than two classes, the mean of one against the rest."""
    return _ranked(o, W, _average_precision)


def _ranked(o: Outcome, W: Float64s, binary: Callable[[Float64s, Float64s], Float64s]) -> Float64s:
    """Apply ``binary`` to weights (g, b) of the positives and the others by falling score."""
    by_row = np.ascontiguousarray(W.T)
    each = [binary(ranking.true @ by_row, ranking.false @ by_row) for ranking in o.rankings]
    return mean_defined(np.stack(each, axis=1))


def _area(true: Float64s, false: Float64s) -> Float64s:
    """Share of pairs (positive, other) in which the positive scores higher; ties count half."""
    above = np.cumsum(true, axis=0) - true / 2
    return ratio((above * false).sum(axis=0), true.sum(axis=0) * false.sum(axis=0))


def _average_precision(true: Float64s, false: Float64s) -> Float64s:
    precision = ratio(np.cumsum(true, axis=0), np.cumsum(true + false, axis=0))
    return ratio((true * np.nan_to_num(precision)).sum(axis=0), true.sum(axis=0))
