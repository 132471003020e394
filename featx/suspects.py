"""Find rows whose label is likely wrong, from what heads said that had not seen it.

For each row the evidence is weighed that its label belongs elsewhere: the logarithm (base 10) of
how much likelier its out-of-fold score is if the label is wrong than if it is right. Rows with
1000 to 1 or more are suspects: if one label in a hundred is wrong, that leaves 10 to 1. How far a
score lies from others is measured by how well the head tells things apart, out of fold; so a head
that knows nothing gives no evidence, however sure its scores look.

*Classes.* The score of class c has mean ``a_c`` over the rows labelled c, ``b_c`` over the others,
and variance ``s_c^2`` within the two. For two normal distributions of one variance, a score f
speaks for the class by ``L_c = (a_c - b_c) / s_c^2 * (f_c - (a_c + b_c) / 2)`` (the logarithm of
their ratio; Fisher's linear discriminant). Scores have heavier tails than that: hard images lie
there. So no ``s_c`` counts as less than a third of ``a_c - b_c``. The evidence against label g is
``L_p - L_g``, p the prediction. As in confident learning (Northcutt, Jiang and Chuang 2021, JAIR
70), what counts as confident is measured for each class, on the rows that carry its label.

*Numbers.* If the label y is right, ``y - prediction`` is normal with the median and the spread of
all residuals (the median absolute deviation, which the wrong ones cannot move); if it is wrong, y
is a draw from all labels, normal with their mean and standard deviation.
"""

from __future__ import annotations

import numpy as np

from featx._types import Array, Float64s, Ints

MIN_EVIDENCE = 3.0
"""Base 10: a thousand to one."""

_SURE = 1e-3
"""Probabilities nearer to 0 or 1 count as this: a head does not know them so well."""

_MAX_APART = 3.0
"""Standard deviations between a class and the rest that are believed: normal scores would then be
on the wrong side of the middle in 1 of 15 rows, and hard images are not rarer."""

_MAD_TO_STD = 1.4826
"""Of a normal distribution: 1 / (its 75 % quantile)."""


def suspects(evidence: Float64s) -> Ints:
    """Give the rows with enough (n,) evidence against their label, the strongest first."""
    rows = np.flatnonzero(evidence >= MIN_EVIDENCE)
    return rows[np.argsort(-evidence[rows], kind="stable")]


def class_evidence(label: Ints, scores: Float64s, *, probabilities: bool) -> Float64s:
    """Weigh the evidence against class labels.

    Parameters
    ----------
    label
        (n,) class numbers 0..k-1.
    scores
        (n, k) out-of-fold probabilities or decision values, the highest for the prediction; NaN
        in a row that was never tested.

    Returns
    -------
    (n,) float64
        0 where the prediction is the label, and in rows that were never tested.
    """
    evidence = np.zeros(len(label))
    tested = np.flatnonzero(np.isfinite(scores).all(axis=1))
    f, y = _logit(scores[tested]) if probabilities else scores[tested], label[tested]
    L = np.stack([_log_ratio(f[:, c], y == c) for c in range(scores.shape[1])], axis=1)
    rows, p = np.arange(len(y)), f.argmax(axis=1) if len(y) else y
    against = np.where(p == y, 0.0, L[rows, p] - L[rows, y])
    evidence[tested] = np.maximum(against, 0.0) / np.log(10)
    return evidence


def number_evidence(y: Float64s, prediction: Float64s) -> Float64s:
    """Weigh the evidence against numbers.

    Parameters
    ----------
    y, prediction
        (n,) labels and out-of-fold predictions; NaN where a row was never tested.

    Returns
    -------
    (n,) float64
        0 where the label is the likelier explanation, and in rows that were never tested.
    """
    evidence = np.zeros(len(y))
    tested = np.flatnonzero(np.isfinite(prediction))
    if not len(tested):
        return evidence
    label = y[tested]
    r = label - prediction[tested]
    r = r - np.median(r)
    s, S = _MAD_TO_STD * np.median(np.abs(r)), label.std()
    if s > 0 and S > 0:
        against = np.log(s / S) + (r / s) ** 2 / 2 - ((label - label.mean()) / S) ** 2 / 2
        evidence[tested] = np.maximum(against, 0.0) / np.log(10)
    return evidence


def _logit(p: Float64s) -> Float64s:
    p = np.clip(p, _SURE, 1 - _SURE)
    return np.log(p / (1 - p))


def _log_ratio(f: Float64s, own: Array) -> Float64s:
    """Give (n,) ``L_c``; 0 where the class has no rows, or its scores do not tell it apart."""
    if own.all() or not own.any():
        return np.zeros(len(f))
    a, b = f[own].mean(), f[~own].mean()
    variance = (f[own].var() + f[~own].var()) / 2
    if a <= b:
        return np.zeros(len(f))
    variance = max(variance, ((a - b) / _MAX_APART) ** 2)
    ratio: Float64s = (a - b) / variance * (f - (a + b) / 2)
    return ratio
