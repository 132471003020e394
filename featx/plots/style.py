"""How figures look: colours that read on white and on near-black, and settings that stay inside.

Matplotlib's settings are global, and a text decides when it is made whether dollar signs are a
formula. So a figure is made and drawn inside `styled`, which begins with matplotlib's own defaults,
whatever the person's are, and puts theirs back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from featx._quiet import quiet

INK = "#010203"
"""Texts and axes. No data have this colour: `featx.plots.to_svg` writes the page's own for it."""

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
COLOURS = (BLUE, VERMILION, GREEN, "#E69F00", "#56B4E9", "#CC79A7", "#999933")
"""Those of Okabe and Ito (2008, *Color universal design*) without black, which a dark page hides,
and with Tol's olive for the yellow that a white one hides."""

GREY = "#888888"
WIDTH = 4.8
"""Inches of a figure that a phone shows whole, its texts still to be read."""
LEGEND = 76
"""Signs that have room in a line below it."""
MARKERS = ("o", "^", "s")
"""With `COLOURS`, 21 kinds of points."""

VALUES = LinearSegmentedColormap.from_list(
    "featx_values", ["#3360C4", "#8A5FB8", "#C9627F", "#E08A3C", "#E6A700"]
)
"""Numbers: from blue to orange, rising in lightness, and neither end is that of a page."""

DENSITY = LinearSegmentedColormap.from_list(
    "featx_density", [to_rgba("#56B4E9", 0), to_rgba("#2B93CE", 0.55), to_rgba(BLUE, 1)]
)
"""Shares and counts: from nothing, where the page shows through, to blue. Pale ones are a lighter
blue, which a dark page does not swallow."""

_SCREEN_DPI = 100
"""Of a figure in a notebook."""

_FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "Malgun Gothic",
)
"""For what DejaVu Sans has no signs for, in PNG and PDF; in SVG the page's reader has fonts."""

_SETTINGS: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.formatter.use_mathtext": False,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.alpha": 0.16,
    "grid.color": INK,
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "featx",
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


@cache
def _fonts() -> list[str]:
    """Give DejaVu Sans, which comes with matplotlib, and what this machine has to add."""
    there = set(fontManager.get_font_names())
    return ["DejaVu Sans", *(name for name in _FALLBACKS if name in there)]


@contextmanager
def styled() -> Iterator[None]:
    """Have the settings of featx's figures inside, also as a decorator.

    Signs that the font does not have are no warning: they are the reader's own names.
    """
    settings: Any = _SETTINGS | {"font.sans-serif": _fonts()}
    with mpl.rc_context(), quiet(r"featx\.plots"):
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


class Drawing(Figure):
    """A figure that a notebook shows where it is a cell's last line.

    Figures of pyplot are shown by what ``%matplotlib inline`` sets up; this one says itself how.
    """

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        with styled():
            self.savefig(png, format="png", dpi=_SCREEN_DPI, facecolor="white")
        return png.getvalue()


def axes_of(width: float, height: float) -> Axes:
    """Give the only axes of a new figure, of a width and height in inches."""
    figure = Drawing(figsize=(width, height), layout="constrained")
    axes: Axes = figure.add_subplot()
    return axes


def legend_below(axes: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Put the legend under the axes, where it hides nothing of what they show."""
    listed = axes.get_legend_handles_labels()[0] if handles is None else list(handles)
    longest = max((len(str(one.get_label())) for one in listed), default=0)
    n = max(LEGEND // (longest + 6), 1)
    figure_of(axes).legend(handles=listed, loc="outside lower center", ncols=min(len(listed), n))


def figure_of(axes: Axes) -> Figure:
    """Give the figure that axes are in."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)  # noqa: S101  # made by axes_of
    return figure


def finished(axes: Axes) -> Figure:
    """Give the figure of these axes, laid out.

    Laying it out again would move it by hundredths of a point, so it is done once, until nothing
    moves: then the figure is drawn the same way each time.
    """
    figure = figure_of(axes)
    for _ in range(3):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure
