"""Figures carry the numbers that they were given, and any name does no harm."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from featx import plots
from featx.errors import CacheWriteError, UsageError
from featx.plots.residual import running_median
from featx.plots.style import GREY, INK, VERMILION
from featx.plots.text import columns, short
from featx.plots.ticks import spaced

NAN = np.nan
HOSTILE = [
    "<script>alert(1)</script>",
    r"$\frac{",
    "$a$ $b$",
    "a & b",
    "x" * 200,
    "two\nlines",
    "bell\x07\x00\x1b[31m",
    "שלום עולם",
    "\u202eevil",
    "漢字の名前がとても長い場合はどうなりますか",
    "🐈\u200d⬛ cat 😀",
    "_under",
    "",
    "\ud800 alone",
    "\ufffe",
    "]]>",
    '" onload="alert(1)',
    "url(#p) #010203 &lt;",
]
KINDS = ["confusion", "classes", "truth", "residual", "grid", "learning", "layers", "trainings"]
KINDS += ["forest", "map", "values", "bars"]
SVG = "{http://www.w3.org/2000/svg}"


def axes_of(figure: Figure) -> Any:
    return figure.axes[0]


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  # our own


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(mpl.text.Text)]


def y_names(axes: Any) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def x_names(axes: Any) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def line(axes: Any, **wanted: object) -> Line2D:
    """Find the only line with these properties."""
    found = [
        each
        for each in axes.get_lines()
        if all(getattr(each, f"get_{name}")() == value for name, value in wanted.items())
    ]
    assert len(found) == 1, [each.get_label() for each in axes.get_lines()]
    return found[0]


def scores(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean = np.random.default_rng(seed).uniform(0.5, 0.95, n)
    return mean, mean - 0.04, mean + 0.03


def numbers(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    y = rng.normal(50, 15, n)
    return y, 10 + 0.8 * y + rng.normal(0, 6, n)


def curves(trainings: int, candidates: int = 1, epochs: int = 6) -> pd.DataFrame:
    """Give what `featx.finetuning` writes: the best epoch of training t is t modulo epochs."""
    rows = [
        {
            "training": t,
            "weight_decay": str(t % candidates),
            "epoch": epoch,
            "train_loss": 1 / (1 + epoch) + t,
            "lr": 0.1 * 0.5**epoch,
            "seconds": 1.0,
            "valid_loss": 1.0 + abs(epoch - t % epochs),
            "valid_score": (0.9 if t == 1 else 0.5) - 0.1 * abs(epoch - t % epochs),
            "taken": epoch == t % epochs,
        }
        for t in range(trainings)
        for epoch in range(epochs)
    ]
    return pd.DataFrame(rows)


def every(names: list[str]) -> dict[str, Figure]:
    """Give a figure of each kind with these names."""
    n = len(names)
    first, second = names[0], names[1]
    ring = np.column_stack([np.cos(np.arange(n)), np.sin(np.arange(n))])
    return {
        "confusion": plots.confusion_matrix(np.eye(n, dtype=int) * 7, names),
        "classes": plots.class_scores(names, *scores(n), metric=first),
        "truth": plots.predicted_against_true(*numbers(50), target=first),
        "residual": plots.residuals(*numbers(50), target=first),
        "grid": plots.grid_curve(
            names, *scores(n)[:2], parameter=first, metric=second, chosen=second
        ),
        "learning": plots.learning_curve([10, 20, 40], *scores(3), metric=first, std=[0.1] * 3),
        "layers": plots.layer_scores(names, *scores(n), metric=first, default=second),
        "trainings": plots.training_curves(curves(3)),
        "forest": plots.intervals(names, *scores(n), metric=first),
        "map": plots.embedding_map(ring, names, target=first),
        "values": plots.embedding_map(ring, np.arange(n) / 2, target=first),
        "bars": plots.bars(names, np.arange(n)),
    }


@pytest.fixture(scope="module")
def hostile() -> dict[str, Figure]:
    return every(HOSTILE)


# what is drawn


def test_a_confusion_matrix_shows_shares_and_counts() -> None:
    counts = np.array([[8, 2, 0], [0, 0, 0], [5, 0, 15]])
    axes = axes_of(plots.confusion_matrix(counts, ["a", "b", "c"]))
    shares = np.array([[0.8, 0.2, 0], [0, 0, 0], [0.25, 0, 0.75]])
    assert_allclose(axes.get_images()[0].get_array(), shares)
    written = {(int(t.get_position()[1]), int(t.get_position()[0])): t for t in axes.texts}
    assert {at: int(t.get_text()) for at, t in written.items()} == dict(np.ndenumerate(counts))
    assert y_names(axes) == x_names(axes) == ["a", "b", "c"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first class on top"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


@pytest.mark.parametrize(("k", "counted", "named"), [(15, 225, 15), (16, 0, 16), (40, 0, 40)])
def test_counts_are_written_for_few_classes(k: int, counted: int, named: int) -> None:
    axes = axes_of(plots.confusion_matrix(np.eye(k, dtype=int), range(k)))
    assert (len(axes.texts), len(y_names(axes))) == (counted, named)


@pytest.mark.parametrize("k", [41, 100, 999])
def test_many_classes_are_numbered(k: int) -> None:
    axes = axes_of(plots.confusion_matrix(np.eye(k, dtype=int), range(k)))
    assert len(y_names(axes)) <= 13
    assert axes.get_title(loc="left").startswith(f"{k} classes")


def test_no_error_is_lost_among_a_thousand_classes() -> None:
    counts = np.eye(1000, dtype=int)
    counts[700, 3] = 1
    image = axes_of(plots.confusion_matrix(counts, range(1000))).get_images()[0]
    cells = np.asarray(image.get_array())
    assert cells.shape == (250, 250)
    assert cells[175, 0] == 0.5
    assert_array_equal(np.delete(np.diag(cells), 175), 1)


def test_a_confusion_matrix_has_to_fit_its_classes() -> None:
    with pytest.raises(UsageError, match=r"of 3 classes is \(3, 3\), not \(2, 2\)"):
        plots.confusion_matrix(np.eye(2, dtype=int), ["a", "b", "c"])


def test_classes_stand_from_the_worst_to_the_best() -> None:
    figure = plots.class_scores(
        ["a", "b", "c", "d"], [0.9, NAN, 0.2, 0.5], [0.8, NAN, 0.1, 0.4], [1.0, NAN, 0.3, 0.6],
        metric="recall",
    )  # fmt: skip
    axes = axes_of(figure)
    assert y_names(axes) == ["c", "d", "a", "b"]
    (dots,) = axes.get_lines()
    assert_array_equal(dots.get_xdata(), [0.2, 0.5, 0.9, NAN])
    segments = axes.findobj(LineCollection)[0].get_segments()
    assert_allclose(segments[0][:, 0], [0.1, 0.3])
    assert axes.get_xlabel() == "recall"


@pytest.mark.parametrize(("k", "shown"), [(2, [2]), (50, [50]), (51, [26, 25]), (300, [50, 50])])
def test_many_classes_have_two_columns(k: int, shown: list[int]) -> None:
    figure = plots.class_scores(range(k), *scores(k), metric="recall")
    assert [len(y_names(axes)) for axes in figure.axes] == shown
    values = np.sort(scores(k)[0])
    assert_array_equal(figure.axes[0].get_lines()[0].get_xdata(), values[: shown[0]])
    assert_array_equal(figure.axes[-1].get_lines()[0].get_xdata(), values[-shown[-1] :])


def test_correlations_are_those_of_scipy() -> None:
    y, p = numbers(300)
    axes = axes_of(plots.predicted_against_true(y, p, target="MOS"))
    plcc, srocc = stats.pearsonr(y, p).statistic, stats.spearmanr(y, p).statistic
    assert axes.get_title(loc="left") == f"PLCC {plcc:.3f}, SROCC {srocc:.3f}, n = 300"


def test_predictions_come_with_a_diagonal_and_a_fit() -> None:
    y, p = numbers(300)
    axes = axes_of(plots.predicted_against_true(y, p, target="MOS"))
    points = line(axes, marker="o")
    assert_array_equal(points.get_xdata(), y)
    assert_array_equal(points.get_ydata(), p)
    right, fit = line(axes, color=GREY), line(axes, color=VERMILION)
    assert_array_equal(right.get_xdata(), right.get_ydata())
    b, a = np.polyfit(y, p, 1)
    assert_allclose(fit.get_ydata(), a + b * np.asarray(fit.get_xdata()))
    assert axes.get_xlim() == axes.get_ylim()


def test_pairs_without_a_value_are_left_out_and_counted() -> None:
    y, p = numbers(300)
    y[:3], p[5] = NAN, np.inf
    for figure in (
        plots.predicted_against_true(y, p, target="t"),
        plots.residuals(y, p, target="t"),
    ):
        assert axes_of(figure).get_title(loc="left").endswith("n = 296, 4 without a value")


@pytest.mark.parametrize("values", [([], []), ([1], [2]), ([3, 3, 3], [1, 2, 4])])
def test_what_has_no_correlation_is_drawn_all_the_same(values: tuple[list[float], ...]) -> None:
    figure = plots.predicted_against_true(*values, target="t")
    assert "PLCC undefined, SROCC undefined" in axes_of(figure).get_title(loc="left")
    plots.to_svg(plots.residuals(*values, target="t"), title="t")


def test_residuals_are_predicted_less_true() -> None:
    y, p = numbers(300)
    axes = axes_of(plots.residuals(y, p, target="MOS"))
    assert_array_equal(line(axes, linestyle="None").get_ydata(), p - y)
    assert_array_equal(line(axes, color=GREY).get_ydata(), [0, 0])
    medians = line(axes, color=VERMILION)
    assert_allclose(medians.get_ydata(), running_median(y, p - y)[1])


def test_the_running_median_is_that_of_parts_of_equal_size() -> None:
    x = np.random.default_rng(0).permutation(900).astype(float)
    middles, medians = running_median(x, 2 * x)
    assert len(middles) == 20
    assert_allclose(np.diff(middles), 45, atol=1)
    assert_allclose(medians, 2 * middles)


def test_the_running_median_of_few_values_is_that_of_each() -> None:
    x = np.repeat([1.0, 2.0, 5.0], 40)
    middles, medians = running_median(x, np.arange(120.0))
    assert_array_equal(middles, [1, 2, 5])
    assert_array_equal(medians, [19.5, 59.5, 99.5])


@pytest.mark.parametrize("figure_of", [plots.predicted_against_true, plots.residuals])
@pytest.mark.parametrize(("n", "rasterised"), [(2000, False), (2001, True)])
def test_many_points_are_one_image(figure_of: Any, n: int, rasterised: bool) -> None:
    figure = figure_of(*numbers(n), target="t")
    assert bool(line(axes_of(figure), linestyle="None").get_rasterized()) is rasterised
    assert ("<image" in plots.to_svg(figure, title="t")) is rasterised


def test_very_many_points_are_counted() -> None:
    y, p = numbers(30_000)
    axes = axes_of(plots.predicted_against_true(y, p, target="t"))
    (image,) = axes.get_images()
    assert np.ma.sum(image.get_array()) == 30_000
    assert not [each for each in axes.get_lines() if each.get_marker() == "o"]


def test_a_searched_parameter_is_drawn_in_order() -> None:
    figure = plots.grid_curve(
        [10, 0.001, 0.1], [0.7, 0.5, 0.9], [0.1, 0.2, 0.3],
        parameter="C", metric="accuracy", chosen=0.1,
    )  # fmt: skip
    axes = axes_of(figure)
    curve = line(axes, linestyle="-")
    assert_array_equal(curve.get_xdata(), [0.001, 0.1, 10])
    assert_array_equal(curve.get_ydata(), [0.5, 0.9, 0.7])
    assert axes.get_xscale() == "log"
    assert x_names(axes) == ["0.001", "0.1", "10"]
    band = axes.collections[0].get_paths()[0].vertices
    assert_allclose([band[:, 1].min(), band[:, 1].max()], [0.3, 1.2])
    assert axes.get_title(loc="left") == "chosen: C = 0.1"
    assert_array_equal(line(axes, markersize=8.0).get_xdata(), [0.1])


@pytest.mark.parametrize(
    ("chosen", "lower", "said"),
    [
        (9, False, "chosen: n = 9, the highest tried"),
        ("1", False, "chosen: n = 1, the lowest tried"),
        (3.0, False, "chosen: n = 3"),
        (None, False, "best: n = 3"),
        (None, True, "best: n = 1, the lowest tried"),
    ],
)
def test_an_optimum_at_the_edge_is_said(chosen: object, lower: bool, said: str) -> None:
    figure = plots.grid_curve(
        [1, 3, 9], [0.5, 0.9, 0.7], [NAN] * 3,
        parameter="n", metric="m", chosen=chosen, lower_is_better=lower,
    )  # fmt: skip
    axes = axes_of(figure)
    assert axes.get_title(loc="left").replace("\n", " ") == said
    assert axes.get_xscale() == "linear"
    assert axes.get_ylabel() == ("m (less is better)" if lower else "m")


@pytest.mark.parametrize(
    "values", [["none", "l2", "standard"], ["scale", 0.1, 10], [None, (1, 2), True], [0, 1e-4, 1]]
)
def test_what_is_not_on_one_scale_stands_side_by_side(values: list[object]) -> None:
    figure = plots.grid_curve(
        values, [0.5, 0.9, 0.7], [0.1] * 3, parameter="p", metric="m", chosen=values[1]
    )
    assert_array_equal(axes_of(figure).get_xticks(), [0, 1, 2])
    assert axes_of(figure).get_title(loc="left").startswith(f"chosen: p = {values[1]}"[:14])


def test_a_learning_curve_has_a_logarithmic_axis() -> None:
    mean, low, high = scores(4)
    figure = plots.learning_curve(
        [40, 10, 20, 42], mean, low, high, metric="rmse", std=[0.1, 0.2, 0.3, 0.4]
    )
    axes = axes_of(figure)
    assert axes.get_xscale() == "log"
    assert x_names(axes) == ["10", "20", "42"], "40 would stand on 42"
    curve = line(axes, label="mean and its 95 % interval")
    assert_array_equal(curve.get_xdata(), [10, 20, 40, 42])
    assert_array_equal(curve.get_ydata(), mean[[1, 2, 0, 3]])
    segments = axes.findobj(LineCollection)[0].get_segments()
    assert_allclose(segments[2][:, 1], [low[0], high[0]])
    assert axes.get_ylabel() == "rmse (less is better)"


def test_ticks_keep_the_last_of_those_that_stand_together() -> None:
    places = np.array([0, 0.1, 1, 2, 2.05])
    assert_array_equal(spaced(places, 0.5), [1, 2, 4])
    assert_array_equal(spaced(places[:0], 0.5), [])


def test_layers_are_drawn_from_shallow_to_deep() -> None:
    mean, low, high = scores(5)
    names = ["conv1", "layer1", "layer2", "layer3", "layer4"]
    figure = plots.layer_scores(names, mean, low, high, metric="accuracy", default="layer4")
    axes = axes_of(figure)
    assert x_names(axes) == names
    assert_array_equal(line(axes, linestyle="-").get_ydata(), mean)
    best = int(mean.argmax())
    assert_array_equal(line(axes, label=f"best: {names[best]}").get_xdata(), [best])
    assert_array_equal(line(axes, label="default: layer4").get_xdata(), [4])


def test_layers_that_are_equally_good_are_marked_alike() -> None:
    mean, low, high = np.array([0.5, 0.9, 0.9]), np.zeros(3), np.ones(3)
    figure = plots.layer_scores(["a", "b", "c"], mean, low, high, metric="accuracy")
    assert_array_equal(line(axes_of(figure), label="best: 2 layers").get_xdata(), [1, 2])


@pytest.mark.parametrize(
    "kind", ["truth", "residual", "layers", "learning", "trainings", "forest", "classes"]
)
def test_a_legend_hides_nothing(kind: str) -> None:
    figure = every(["dog", "cat", "cow"])[kind]
    (legend,) = figure.legends
    below = legend.get_window_extent().y1
    assert all(below <= axes.get_window_extent().y0 for axes in figure.axes)
    inside = legend.get_window_extent()
    assert inside.x0 >= 0
    assert inside.x1 <= figure.bbox.width


def test_intervals_are_seen_in_the_dark() -> None:
    """A ratio of 3 to 1 is what WCAG 2.2 asks of graphics; the page's cards are #1b1f23 then."""

    def light(colour: Any) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))

    drawn = every(["dog", "cat", "cow"])
    for kind in ("layers", "learning", "classes", "forest"):
        for lines in axes_of(drawn[kind]).findobj(LineCollection):
            (colour,) = lines.get_colors()
            assert colour[3] == 1
            assert (light(colour) + 0.05) / (light(to_rgba("#1b1f23")) + 0.05) > 3


def test_the_best_layer_of_an_error_is_the_lowest() -> None:
    mean, low, high = scores(5)
    figure = plots.layer_scores(range(5), mean, low, high, metric="rmse")
    assert_array_equal(
        line(axes_of(figure), label=f"best: {mean.argmin()}").get_ydata(), mean.min()
    )


def test_a_training_is_drawn_with_the_epoch_that_was_taken() -> None:
    frame = curves(3)
    figure = plots.training_curves(frame)
    loss, score, rate = figure.axes
    bold = [each for each in loss.get_lines() if each.get_linewidth() == 2]
    assert [each.get_label() for each in bold if each.get_label() != "taken"] == [
        "train_loss",
        "valid_loss",
    ]
    last = frame[frame["training"] == 2]
    assert_array_equal(bold[0].get_xdata(), last["epoch"] + 1)
    assert_array_equal(bold[0].get_ydata(), last["train_loss"])
    taken = [each for each in loss.get_lines() if each.get_label() == "taken"]
    assert [each.get_xdata()[0] for each in taken] == [3, 3]
    assert len([each for each in score.get_lines() if each.get_label() == "valid_score"]) == 3
    assert rate.get_ylabel() == "learning rate"
    assert "taken: epoch 3" in texts_of(figure)
    assert loss.get_title(loc="left") == "3 trainings; bold: the one that was kept"


def test_of_one_split_the_best_candidate_was_kept() -> None:
    figure = plots.training_curves(curves(3, candidates=3))
    assert "taken: epoch 2" in texts_of(figure)


def test_a_training_without_validation_has_one_panel(tmp_path: Path) -> None:
    file = tmp_path / "curves.csv"
    curves(1).assign(lr=0.1)[["training", "epoch", "train_loss", "lr"]].to_csv(file, index=False)
    figure = plots.training_curves(pd.read_csv(file))
    assert len(figure.axes) == 1
    assert "validation" not in texts_of(figure)


@pytest.mark.parametrize("frame", [pd.DataFrame({"epoch": [0]}), curves(1)[:0]])
def test_curves_have_to_be_curves(frame: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="curves of a training"):
        plots.training_curves(frame)


@pytest.mark.parametrize(("metric", "first"), [("accuracy", "c"), ("rmse", "b"), ("mine", "c")])
def test_the_best_run_is_on_top(metric: str, first: str) -> None:
    figure = plots.intervals(
        ["a", "b", "c", "d"], [0.5, 0.2, 0.9, NAN], [0.4, 0.1, 0.8, NAN], [0.6, 0.3, 1, NAN],
        metric=metric,
    )  # fmt: skip
    axes = axes_of(figure)
    assert y_names(axes)[0] == first
    assert y_names(axes)[-1] == "d"
    best = {"c": 0.9, "b": 0.2}[first]
    assert line(axes, marker="o").get_xdata()[0] == best
    assert_array_equal(line(axes, color=VERMILION).get_xdata(), [best, best])
    assert f"{best:.3f}" in texts_of(figure)


def test_dots_lines_and_dashes_are_explained() -> None:
    forest = plots.intervals(["a", "b"], [0.5, 0.9], [0.4, 0.8], [0.6, 1], metric="accuracy")
    assert {"accuracy and its 95 % interval", "the best"} <= set(texts_of(forest))
    classes = plots.class_scores(["a", "b"], [0.5, 0.9], [0.4, 0.8], [0.6, 1], metric="recall")
    assert "recall and its 95 % interval" in texts_of(classes)


def test_a_map_names_its_axes_where_they_have_a_name() -> None:
    xy, names = np.eye(3)[:, :2], ("principal component 1", "principal component 2")
    axes = axes_of(plots.embedding_map(xy, ["a", "b", "a"], target="t", axis_names=names))
    assert (axes.get_xlabel(), axes.get_ylabel()) == names
    assert axes_of(plots.embedding_map(xy, ["a", "b", "a"], target="t")).get_xlabel() == ""


def test_as_many_names_as_numbers() -> None:
    with pytest.raises(UsageError, match="3 names for 2 numbers"):
        plots.bars(["a", "b", "c"], [1, 2])
    with pytest.raises(UsageError, match="one length"):
        plots.residuals([1, 2], [1, 2, 3], target="t")


def test_a_map_has_a_colour_a_class() -> None:
    xy = np.arange(12.0).reshape(6, 2)
    xy[5] = NAN
    figure = plots.embedding_map(xy, ["b", "a", "b", None, "b", "c"], target="kind")
    axes = axes_of(figure)
    none, b, a = axes.collections
    assert_array_equal(b.get_offsets(), xy[[0, 2, 4]])
    assert_array_equal(a.get_offsets(), xy[[1]])
    assert_array_equal(none.get_offsets(), xy[[3]])
    assert_allclose(none.get_facecolors()[0][:3], to_rgba(GREY)[:3])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["b", "a", "(no value)"]
    assert legend.get_title().get_text() == "kind"
    assert all(each.get_rasterized() for each in axes.collections)


def test_a_map_of_many_classes_names_the_largest() -> None:
    labels = [str(i) for i in range(30) for _ in range(40 - i)]
    figure = plots.embedding_map(np.zeros((len(labels), 2)), labels, target="t")
    axes = axes_of(figure)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [*map(str, range(19)), "other"]
    sizes = [len(each.get_offsets()) for each in axes.collections]
    assert sizes == [sum(40 - i for i in range(19, 30)), *(40 - i for i in range(19))]


@pytest.mark.parametrize(
    ("labels", "kind", "are_values"),
    [
        (np.arange(30) % 4, None, False),
        (np.arange(30), None, True),
        (np.arange(30), "classes", False),
        (np.arange(30) / 7, None, True),
        (np.arange(30) % 4, "values", True),
    ],
)
def test_a_map_of_numbers_has_a_colour_bar(labels: np.ndarray, kind: Any, are_values: bool) -> None:
    figure = plots.embedding_map(np.zeros((30, 2)), labels, target="MOS", kind=kind)
    assert (len(figure.axes) == 2) is are_values
    if are_values:
        assert_array_equal(figure.axes[0].collections[0].get_array(), labels)
        assert figure.axes[1].get_ylabel() == "MOS"


def test_a_map_needs_a_label_a_row() -> None:
    with pytest.raises(UsageError, match=r"not \(3, 2\) and \(2,\)"):
        plots.embedding_map(np.zeros((3, 2)), ["a", "b"], target="t")


def test_bars_are_as_long_as_the_counts() -> None:
    axes = axes_of(plots.bars(["dog", "cat"], [1234, 5]))
    assert [bar.get_width() for bar in axes.patches] == [1234, 5]
    assert y_names(axes) == ["dog", "cat"]
    assert [text.get_text() for text in axes.texts] == ["1,234", "5"]


def test_too_many_bars_are_ranked() -> None:
    axes = axes_of(plots.bars(range(300), np.arange(1, 301)))
    assert axes.get_title(loc="left") == "300 classes with 1 to 300 rows, median 150"
    assert_array_equal(axes.patches[0].get_data().values, np.arange(300, 0, -1))


# names


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_one_line_of_printed_signs(name: str) -> None:
    shown = short(name)
    assert shown
    assert columns(shown) <= 24
    assert all(sign.isprintable() or sign == "\u200d" for sign in shown)
    shown.encode()


def test_a_long_name_keeps_its_end() -> None:
    assert short("a_very_long_prefix_of_class_0042", 20) == "a_very_long_p…s_0042"
    assert short("short") == "short"


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_stay_text(kind: str, hostile: dict[str, Figure]) -> None:
    svg = plots.to_svg(hostile[kind], title=HOSTILE[0])
    root = parsed(svg)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    known = {"svg", "title", "g", "defs", "path", "use", "text", "clipPath", "rect", "image"}
    assert tags <= known
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in attributes if name.startswith("on")]
    assert root[0].text == HOSTILE[0]


def test_names_are_shown_as_they_are() -> None:
    figure = plots.bars(HOSTILE, range(len(HOSTILE)))
    root = parsed(plots.to_svg(figure, title="t"))
    texts = {element.text for element in root.iter(f"{SVG}text")}
    assert {r"$\frac{", "$a$ $b$", "a & b", "_under", "(empty)", "]]>", HOSTILE[-1]} <= texts


def test_the_legend_has_names_that_begin_with_an_underscore() -> None:
    figure = plots.embedding_map(np.eye(2), ["_a", "$b$"], target="_t")
    assert {"_a", "$b$", "_t"} <= set(texts_of(figure))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_hostile_names_are_saved(suffix: str, hostile: dict[str, Figure], tmp_path: Path) -> None:
    for kind in ("bars", "map"):
        plots.save(hostile[kind], tmp_path / f"{kind}{suffix}")
        assert (tmp_path / f"{kind}{suffix}").stat().st_size > 1000


# markup for a page


@pytest.fixture(scope="module")
def svgs() -> dict[str, str]:
    return {kind: plots.to_svg(f, title=kind) for kind, f in every(["dog", "cat", "cow"]).items()}


def ids_of(svg: str) -> list[str]:
    return re.findall(r'\bid="([^"]*)"', svg)


def test_ids_are_unique_on_a_page_of_all_figures(svgs: dict[str, str]) -> None:
    ids = [name for svg in svgs.values() for name in ids_of(svg)]
    assert ids
    assert len(ids) == len(set(ids))


def test_figures_of_one_title_do_not_clash() -> None:
    first = plots.to_svg(plots.bars(["a"], [1]), title="rows")
    second = plots.to_svg(plots.bars(["a"], [2]), title="rows")
    assert not set(ids_of(first)) & set(ids_of(second))


def test_what_is_referred_to_is_there(svgs: dict[str, str]) -> None:
    for svg in svgs.values():
        referred = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(
            re.findall(r'href="#([^"]+)"', svg)
        )
        assert referred == set(ids_of(svg))


def test_a_page_gives_the_colour_the_font_and_the_width(svgs: dict[str, str]) -> None:
    for svg in svgs.values():
        root = parsed(svg)
        assert "currentColor" in svg
        assert INK not in svg
        assert svg.startswith("<svg ")
        assert "<style" not in svg
        assert "metadata" not in svg
        assert "DejaVu" not in svg
        assert root.get("role") == "img"
        assert root.get("viewBox")
        assert not {"width", "height"} & set(root.attrib)
        assert "max-width" in str(root.get("style"))


def test_the_ground_is_transparent(svgs: dict[str, str]) -> None:
    root = parsed(svgs["bars"])
    first = next(root.iter(f"{SVG}path"))
    assert first.get("style") == "fill:none"


def test_the_same_figure_gives_the_same_bytes(svgs: dict[str, str]) -> None:
    again = every(["dog", "cat", "cow"])
    for kind, figure in again.items():
        first, second = plots.to_svg(figure, title=kind), plots.to_svg(figure, title=kind)
        assert first == second == svgs[kind], kind


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_figure_gives_the_same_file(suffix: str, tmp_path: Path) -> None:
    for name in "ab":
        plots.save(plots.bars(["dog"], [1]), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("kind", ["truth", "residual", "classes", "values"])
def test_a_hundred_thousand_points_stay_small(kind: str) -> None:
    y, p = numbers(100_000)
    figure = {
        "truth": lambda: plots.predicted_against_true(y, p, target="t"),
        "residual": lambda: plots.residuals(y, p, target="t"),
        "classes": lambda: plots.embedding_map(
            np.column_stack([y, p]), (y // 3).astype(int).astype(str), target="t"
        ),
        "values": lambda: plots.embedding_map(np.column_stack([y, p]), p - y, target="t"),
    }[kind]()
    assert len(plots.to_svg(figure, title="t")) < 400_000


def test_two_thousand_points_stay_small() -> None:
    figure = plots.predicted_against_true(*numbers(2000), target="t")
    assert len(plots.to_svg(figure, title="t")) < 200_000


# settings and files


def test_a_persons_settings_are_neither_taken_nor_changed() -> None:
    plain = plots.to_svg(plots.bars(["dog"], [1]), title="t")
    with mpl.rc_context({"text.usetex": True, "axes.facecolor": "black", "font.size": 30}):
        before = dict(mpl.rcParams)
        assert plots.to_svg(plots.bars(["dog"], [1]), title="t") == plain
        assert dict(mpl.rcParams) == before


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    for name in ("a.jpg", "a", "a.svg.gz"):
        with pytest.raises(UsageError, match=r"end in one of \.png, \.svg, \.pdf"):
            plots.save(plots.bars(["a"], [1]), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = plots.bars(["a"], [1])
    file = tmp_path / "deep" / "a.PNG"
    plots.save(figure, str(file))
    before = file.read_bytes()

    def half(path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", half)
    with pytest.raises(CacheWriteError, match="disk is full"):
        plots.save(figure, file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_saved_figure_has_a_white_ground(tmp_path: Path) -> None:
    from PIL import Image

    plots.save(plots.bars(["a"], [1]), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def test_matplotlib_is_loaded_when_something_is_drawn() -> None:
    code = (
        "import sys, featx, featx.plots; dir(featx.plots); assert 'matplotlib' not in sys.modules;"
        "featx.plots.bars(['a'], [1]); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_is_there() -> None:
    assert plots.__all__ == sorted(plots.__all__)
    assert all(callable(getattr(plots, name)) for name in plots.__all__)
    with pytest.raises(AttributeError, match="no attribute 'pie'"):
        plots.pie  # noqa: B018
