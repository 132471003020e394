"""Metrics as functions of weighted rows.

Every metric takes an `Outcome` of m test rows and weights ``W`` (b, m) and gives (b,) values: a
row of ones gives the metric itself, a row of counts gives it for a resample in which each row
occurs that often. So one definition serves for the score and for its bootstrap, a thousand
resamples at a time. Where a metric is undefined (a correlation with a constant, a ranking of one
class) the value is NaN.
"""

from featx.metrics.classification import confusion, recalls
from featx.metrics.outcome import Metric, Outcome, mean_defined, ones, ratio
from featx.metrics.table import CLASSIFICATION, METRICS, QUALITY, REGRESSION, metrics_for

__all__ = [
    "CLASSIFICATION",
    "METRICS",
    "QUALITY",
    "REGRESSION",
    "Metric",
    "Outcome",
    "confusion",
    "mean_defined",
    "metrics_for",
    "ones",
    "ratio",
    "recalls",
]
