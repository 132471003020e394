"""The figures of a report: which ones a run has, and what each shows in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from featx import plots
from featx._words import count
from featx.comparison.run import KEY
from featx.reporting.embedding_map import map_of
from featx.reporting.parts import Drawing
from featx.reporting.recalls import recalls
from featx.reporting.text import interval, number, percent, plain, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from featx._types import Float64s, JsonObject
    from featx.comparison import Comparison
    from featx.curves import LearningCurve
    from featx.probing import Probe
    from featx.reporting.subject import Subject


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure, and what a page says of it.

    Attributes
    ----------
    name
        Letters, digits and hyphens: the stem of its file.
    alt
        What it shows, for who cannot see it.
    """

    name: str
    title: str
    figure: Figure
    alt: str
    caption: str = ""

    def part(self) -> Drawing:
        """Give it as a part of a page."""
        svg = plots.to_svg(self.figure, title=self.title)
        return Drawing(self.name, self.title, svg, self.alt, self.caption)


def of_classes(subject: Subject) -> Iterator[Drawn]:
    """Give the figures of a classification."""
    counts, classes = subject.confusion, subject.classes
    right = int(np.trace(counts))
    yield Drawn(
        "confusion-matrix",
        "Confusion matrix",
        plots.confusion_matrix(counts, classes),
        f"Rows are labels, columns what the head said; {right:,} of {counts.sum():,} on the "
        "diagonal.",
        "Each row is a label, each column what the head said of images it had not seen. Colour: "
        "share of the row.",
    )
    found = recalls(counts)
    ends = interval(float(np.nanmin(found.recall)), float(np.nanmax(found.recall)))
    yield Drawn(
        "class-scores",
        "How well each class is recognised",
        plots.class_scores(classes, found.recall, found.low, found.high, metric="recall"),
        f"Recall of each class, {ends}, the lowest on top.",
        "Share of a class's images that were recognised, with Wilson's 95 % interval, which takes "
        "images as independent.",
    )


def of_numbers(subject: Subject) -> Iterator[Drawn]:
    """Give the figures of a regression."""
    y, prediction = subject.numbers
    target, metrics = str(subject.record["target"]), subject.record["metrics"]
    words = ", ".join(
        f"{name.upper()} {spread(metrics[name]['mean'], metrics[name]['std'])}"
        for name in ("plcc", "srocc")
        if name in metrics
    )
    yield Drawn(
        "predicted-against-true",
        "Predicted against true",
        plots.predicted_against_true(y, prediction, target=target),
        f"{len(y):,} dots around the diagonal; {words}.",
        "Predictions of images that the head had not seen; the numbers in the figure are over all "
        f"of them at once, those of the table are means over splits ({words}).",
    )
    yield Drawn(
        "residuals",
        "Residuals",
        plots.residuals(y, prediction, target=target),
        f"Prediction less target; in the mean {number(_mean(prediction - y))}.",
        "The line is a running median. Where it falls from left to right, predictions shrink "
        "towards the mean: low values are predicted too high, high ones too low.",
    )


def _mean(values: Float64s) -> float:
    told = values[np.isfinite(values)]
    return float(told.mean()) if len(told) else np.nan


def of_search(subject: Subject) -> Iterator[Drawn]:
    """Give a figure for each parameter that was searched."""
    record = subject.record
    rows = record["candidates"]
    best = record["best_params"]
    for name in best if len(rows) > 1 else ():
        same = [row for row in rows if _differs_in(row["params"], best) <= {name}]
        values = [row["params"].get(name) for row in same]
        if len(set(map(str, values))) < 2:
            continue
        stds = [_float(row["std"]) for row in same]
        band = "; the band is the spread over its splits" if np.isfinite(stds).any() else ""
        yield Drawn(
            f"search-{_slug(name)}",
            f"What {name} does",
            plots.grid_curve(
                values,
                [_float(row["mean"]) for row in same],
                stds,
                parameter=name,
                metric=record["criterion"],
                chosen=best[name],
                lower_is_better=not record["greater_is_better"],
            ),
            f"{record['criterion']} at {len(values)} values of {name}; {plain(best[name])} was "
            "chosen.",
            f"The search that chose the final head{band}. The best of these scores is "
            "optimistic, as it was chosen: the estimate above is not.",
        )


def _differs_in(params: JsonObject, best: JsonObject) -> set[str]:
    return {name for name in params if str(params[name]) != str(best.get(name))}


def _float(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _slug(name: str) -> str:
    return "".join(ch if ch.isascii() and ch.isalnum() else "-" for ch in name).strip("-") or "x"


def of_training(subject: Subject) -> Iterator[Drawn]:
    """Give the curves of a fine-tuning."""
    curves = subject.curves
    if not len(curves):
        return
    columns = {name: pd.to_numeric(curves[name], errors="coerce") for name in curves}
    frame = pd.DataFrame(columns).assign(taken=curves["taken"] == "True").dropna(axis=1, how="all")
    yield Drawn(
        "training",
        "Training",
        plots.training_curves(frame),
        f"{count(frame['training'].nunique(), 'training')}, the longest of "
        f"{count(int(frame['epoch'].max()), 'epoch')}.",
        "Each line is a training; the epoch that was taken is marked.",
    )


def of_map(subject: Subject) -> Iterator[Drawn]:
    """Give the embeddings in the plane, where the cache still has them."""
    features = subject.features
    if isinstance(features, str):
        return
    rows = subject.run.rows
    manifest = features.manifest
    keys = pd.MultiIndex.from_arrays(
        [manifest.path.astype(str), manifest.item.astype(str)], names=KEY
    )
    tested = np.flatnonzero(keys.isin(rows.index))
    if len(tested) < 3:
        return
    found = map_of(features, tested, int(subject.record["seed"] or 0))
    targets = rows["target"].reindex(keys[found.rows]).to_numpy(dtype=object)
    labels = targets if subject.is_classes else targets.astype(np.float64)
    part = f"{len(found.rows):,} of " if len(found.rows) < len(tested) else ""
    yield Drawn(
        "map",
        "Map of the embeddings",
        plots.embedding_map(
            found.xy,
            labels,
            target=str(subject.record["target"]),
            axis_names=("principal component 1", "principal component 2"),
        ),
        f"{part}{len(tested):,} images by the first two principal components of their embeddings.",
        f"Principal components 1 and 2 hold {percent(found.share)} of the variance; what lies "
        f"together here may be apart in the other dimensions. {part}{len(tested):,} images.",
    )


def of_curve(curve: LearningCurve) -> Drawn:
    """Give the learning curve."""
    table, metric = curve.table, curve.metric
    return Drawn(
        "learning-curve",
        "Learning curve",
        plots.learning_curve(
            table["rows"].to_numpy(float).round(),
            table[metric].to_numpy(float),
            table[f"{metric}_low"].to_numpy(float),
            table[f"{metric}_high"].to_numpy(float),
            std=table[f"{metric}_std"].to_numpy(float),
            metric=metric,
        ),
        f"{metric} against training images, from {number(float(table[metric].iloc[0]))} with "
        f"{table['rows'].iloc[0]:.0f} to {number(float(table[metric].iloc[-1]))} with "
        f"{table['rows'].iloc[-1]:.0f}.",
        "Each size is tested on the same images.",
    )


def of_comparison(comparison: Comparison) -> Drawn:
    """Give the runs' scores with their intervals."""
    table, metric = comparison.table, comparison.metrics[0]
    lows, highs = table[f"{metric}_low"], table[f"{metric}_high"]
    names = table["run" if table["name"].duplicated().any() else "name"].tolist()
    return Drawn(
        "comparison",
        "The runs side by side",
        plots.intervals(
            names,
            table[metric].to_numpy(float),
            lows.to_numpy(float),
            highs.to_numpy(float),
            metric=metric,
        ),
        f"{len(table)} runs; the first, {names[0]}: {number(float(table[metric].iloc[0]))} "
        f"({interval(lows.iloc[0], highs.iloc[0])}).",
        "95 % intervals, each of its run alone. Where runs were tested on the same images, a "
        "difference can be real though intervals overlap: the table says which ones are.",
    )


def of_layers(probe: Probe) -> Drawn:
    """Give the score of each layer."""
    table, metric = probe.table, probe.metric
    return Drawn(
        "layers",
        "Layers",
        plots.layer_scores(
            table["layer"].tolist(),
            table[metric].to_numpy(float),
            table[f"{metric}_low"].to_numpy(float),
            table[f"{metric}_high"].to_numpy(float),
            metric=metric,
            default=probe.default,
        ),
        f"{metric} of {len(table)} layers from shallow to deep; the default is {probe.default}.",
        "95 % intervals, each of its layer alone.",
    )
