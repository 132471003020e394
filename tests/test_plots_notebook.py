"""A notebook shows a figure that is a cell's last line, with nothing set up."""

from __future__ import annotations

import io
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from PIL import Image

from featx import plots

EPOCHS = pd.DataFrame(
    {"epoch": [1, 2], "train_loss": [1.0, 0.5], "valid_loss": [1.2, 0.9], "lr": [0.1, 0.1]}
)
FIGURES = {
    "one axes": lambda: plots.confusion_matrix(np.eye(3, dtype=int), list("abc")),
    "classes": lambda: plots.class_scores(
        list("ab"), [0.5, 0.7], [0.4, 0.6], [0.6, 0.8], metric="recall"
    ),
    "panels": lambda: plots.training_curves(EPOCHS),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_a_notebook_shows_a_figure(kind: str) -> None:
    figure = FIGURES[kind]()
    assert isinstance(figure, Figure)
    before = plots.to_svg(figure, title="A figure")
    shown, _ = DisplayFormatter().format(figure)
    image = Image.open(io.BytesIO(shown["image/png"]))
    width, height = figure.get_size_inches() * 100
    assert image.size == (int(width), int(height))
    corner = image.convert("RGBA").getpixel((0, 0))
    assert corner == (255, 255, 255, 255)  # dark ink is read on a dark page, too
    assert plots.to_svg(figure, title="A figure") == before


def test_showing_changes_no_setting_and_loads_no_pyplot() -> None:
    before, loaded = dict(mpl.rcParams), "matplotlib.pyplot" in sys.modules
    DisplayFormatter().format(FIGURES["one axes"]())
    assert dict(mpl.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded
