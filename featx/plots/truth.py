"""Predictions of numbers against what they should have been."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from featx._types import Float64s
from featx.metrics import Outcome, ones
from featx.metrics.regression import plcc, srocc
from featx.plots.cloud import cloud
from featx.plots.columns import finite_pairs
from featx.plots.style import GREY, VERMILION, WIDTH, axes_of, finished, legend_below, styled
from featx.plots.text import correlation, number, short


@styled()
def predicted_against_true(y: ArrayLike, prediction: ArrayLike, *, target: str) -> Figure:
    """Draw predictions against true values, with the diagonal and a line of least squares.

    Pearson's (PLCC) and Spearman's (SROCC) correlation are those of `featx.metrics`, of the pairs
    that are finite. Above 2,000 points they are one image; above 20,000 they are counted in cells.

    Parameters
    ----------
    y, prediction : (n,) float
        In the units of the target. Pairs with a NaN are left out, and counted in the title.
    target
        What is predicted.
    """
    y, prediction, counted = finite_pairs(y, prediction)
    name = short(target, 40)
    axes = axes_of(WIDTH, 5.0)
    cloud(axes, y, prediction)
    _square(axes, y, prediction)
    _fit(axes, y, prediction)
    axes.set(xlabel=f"{name}, true", ylabel=f"{name}, predicted")
    axes.set_title(f"{_correlations(y, prediction)}, {counted}")
    legend_below(axes)
    return finished(axes)


def _correlations(y: Float64s, prediction: Float64s) -> str:
    if len(y) < 2:
        return "PLCC undefined, SROCC undefined"
    outcome = Outcome(y, prediction)
    values = (float(metric(outcome, ones(outcome))[0]) for metric in (plcc, srocc))
    return "PLCC {}, SROCC {}".format(*map(correlation, values))


def _square(axes: Axes, y: Float64s, prediction: Float64s) -> None:
    """Give both axes one range, and draw the diagonal, where a prediction is right."""
    both = np.concatenate([y, prediction]) if len(y) else np.array([0.0, 1.0])
    low, high = float(both.min()), float(both.max())
    margin = 0.04 * (high - low) or 0.5
    limits = (low - margin, high + margin)
    axes.plot(
        limits, limits, color=GREY, linestyle=(0, (4, 3)), linewidth=1.2, label="predicted = true"
    )
    axes.set(xlim=limits, ylim=limits)
    axes.set_aspect("equal")


def _fit(axes: Axes, y: Float64s, prediction: Float64s) -> None:
    """Draw ``a + b y``, the line of least squares of the prediction on the true value.

    ``b = sum (y - mean y)(p - mean p) / sum (y - mean y)^2``, ``a = mean p - b mean y``.
    """
    if len(y) < 2 or np.ptp(y) == 0:
        return
    centred = y - y.mean()
    b = float(centred @ (prediction - prediction.mean()) / (centred @ centred))
    a = float(prediction.mean() - b * y.mean())
    ends = np.array([y.min(), y.max()])
    sign = "-" if a < 0 else "+"
    said = f"least squares: {number(b)} true {sign} {number(abs(a))}"
    axes.plot(ends, a + b * ends, color=VERMILION, label=said)
