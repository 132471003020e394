"""Every metric, and which ones a task has."""

from __future__ import annotations

from math import inf

from featx.metrics.classification import (
    accuracy,
    average_precision,
    balanced_accuracy,
    f1_macro,
    log_loss,
    quadratic_kappa,
    roc_auc,
    sensitivity,
)
from featx.metrics.outcome import Metric
from featx.metrics.regression import (
    MOST_PAIRED,
    krocc,
    mae,
    plcc,
    plcc_logistic4,
    plcc_logistic5,
    r2,
    rmse,
    rmse_logistic4,
    rmse_logistic5,
    srocc,
)

_ONE_CLASS = "only one class among the test rows"
_CONSTANT = "the prediction or the target is constant"
_UNMAPPED = f"{_CONSTANT}, or the mapping has as many parameters as there are predictions"
CLASSIFICATION = (
    Metric("accuracy", accuracy, True, "no test rows", is_share=True),
    Metric("balanced_accuracy", balanced_accuracy, True, "no test rows"),
    Metric("f1_macro", f1_macro, True, "no test rows"),
    Metric("sensitivity", sensitivity, True, "no test row of the positive class"),
    Metric("average_precision", average_precision, True, "no test row of the positive class"),
    Metric("roc_auc", roc_auc, True, _ONE_CLASS),
    Metric("quadratic_kappa", quadratic_kappa, True, _ONE_CLASS, least=-1, ordered=True),
    Metric("log_loss", log_loss, False, "no test rows", most=inf, probabilities=True),
)
REGRESSION = (
    Metric("mae", mae, False, "no test rows", most=inf, same_units=True),
    Metric("rmse", rmse, False, "no test rows", most=inf, same_units=True),
    Metric("r2", r2, True, "the target is constant", least=-inf, same_units=True),
    Metric("plcc", plcc, True, _CONSTANT, least=-1),
    Metric("srocc", srocc, True, _CONSTANT, least=-1),
    Metric("krocc", krocc, True, _CONSTANT, least=-1, max_resampled=MOST_PAIRED),
)
QUALITY = (
    Metric("plcc_logistic4", plcc_logistic4, True, _UNMAPPED, least=-1),
    Metric("plcc_logistic5", plcc_logistic5, True, _UNMAPPED, least=-1),
    Metric("rmse_logistic4", rmse_logistic4, False, _UNMAPPED, most=inf),
    Metric("rmse_logistic5", rmse_logistic5, False, _UNMAPPED, most=inf),
)
METRICS: dict[str, tuple[Metric, ...]] = {
    "classification": CLASSIFICATION,
    "regression": (*REGRESSION, *QUALITY),
}


def metrics_for(
    task: str, *, ordered: bool, probabilities: bool, quality: bool = False, turned: bool = False
) -> tuple[Metric, ...]:
    """Give the metrics of a task, without those that its classes or scores do not allow.

    Parameters
    ----------
    quality
        Whether those after a logistic mapping, customary for scores of image quality, are asked
        for.
    turned
        Whether predictions are of a score that runs the other way, and so has other units.
    """
    return tuple(
        metric
        for metric in METRICS[task]
        if (ordered or not metric.ordered)
        and (probabilities or not metric.probabilities)
        and (quality or metric not in QUALITY)
        and not (turned and metric.same_units)
    )
