"""How a network's training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from featx._types import Array
from featx.errors import UsageError
from featx.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILION,
    WIDTH,
    Drawing,
    finished,
    legend_below,
    styled,
)

_LOSSES = {"train_loss": ("training", BLUE), "valid_loss": ("validation", VERMILION)}
_PANELS = {
    "valid_score": ("validation score", GREEN),
    "lr": ("learning rate", GREY),
}
_MEASURED = ("epoch", "train_loss", "valid_loss", "valid_score", "lr", "seconds", "taken")


@styled()
def training_curves(frame: pd.DataFrame) -> Figure:
    """Draw the losses, the validation score and the learning rate of trainings, epoch by epoch.

    The training that was kept is drawn in full, the others (of other splits and candidates) thin.
    The epoch whose weights were taken is marked.

    Parameters
    ----------
    frame
        ``curves.csv`` of a fine-tuning, one row an epoch of each training: ``epoch`` (from 0),
        ``train_loss``, where there were validation rows ``valid_loss`` and ``valid_score`` (more is
        better), ``lr``, ``taken`` (whether it was the best epoch), ``training`` (its number; one
        training where it is missing), and the parameters of the candidate.

    Raises
    ------
    UsageError
        If there is no ``epoch`` or ``train_loss``, or no row.
    """
    if missing := [name for name in ("epoch", "train_loss") if name not in frame]:
        raise UsageError(f"curves of a training need the column {missing[0]}: give its curves.csv")
    if frame.empty:
        raise UsageError("curves of a training without an epoch: there is nothing to draw")
    each = list(_trainings(frame))
    panels = [name for name in _PANELS if _is_told(frame, name)]
    height = 3.4 + 1.3 * len(panels)
    ratios = [2.6, *(1.0 for _ in panels)]
    figure = Drawing(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[
        :, 0
    ].tolist()
    kept = _kept(each)
    for number in [*(i for i in range(len(each)) if i != kept), kept]:
        _draw(grid, panels, each[number], kept=number == kept)
    _finish(grid, panels, len(each), validated=_is_told(frame, "valid_loss"))
    return finished(grid[0])


def _trainings(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Give each training's rows, numbers as numbers and epochs from 1."""
    numbers = frame["training"] if "training" in frame else pd.Series(0, index=frame.index)
    for _, rows in frame.groupby(numbers, sort=True):
        told = [name for name in _MEASURED if name in rows and name != "taken"]
        each = rows.assign(**{n: pd.to_numeric(rows[n], errors="coerce") for n in told})
        yield each.assign(epoch=each["epoch"] + 1).sort_values("epoch", kind="stable")


def _is_told(frame: pd.DataFrame, name: str) -> bool:
    """Say whether there is such a column with numbers; a constant rate has nothing to show."""
    if name not in frame:
        return False
    values = pd.to_numeric(frame[name], errors="coerce").dropna()
    return len(values) > 0 and (name != "lr" or values.nunique() > 1)


def _kept(each: Sequence[pd.DataFrame]) -> int:
    """Give the number of the training whose network was kept.

    It is the last one, on all rows; where there was one split, and so each candidate was trained
    once, the one with the best score.
    """
    given = [name for name in each[0].columns if name not in (*_MEASURED, "training")]
    candidates = {tuple(map(str, rows[given].iloc[0])) for rows in each}
    if len(candidates) < len(each) or "valid_score" not in each[0]:
        return len(each) - 1
    scores = [float(rows["valid_score"].max()) for rows in each]
    return int(np.argmax(np.nan_to_num(scores, nan=-np.inf, neginf=-np.inf)))


def _taken(rows: pd.DataFrame) -> Array:
    """Give the (n,) mark of the epoch that was taken."""
    if "taken" not in rows:
        return np.zeros(len(rows), dtype=bool)
    return rows["taken"].astype(str).str.lower().isin(["true", "1", "1.0"]).to_numpy()


def _draw(grid: Sequence[Axes], panels: Sequence[str], rows: pd.DataFrame, *, kept: bool) -> None:
    for name, (_, colour) in _LOSSES.items():
        if name in rows:
            _line(grid[0], rows, name, colour, kept=kept)
    for axes, name in zip(grid[1:], panels, strict=True):
        if name in rows:
            _line(axes, rows, name, _PANELS[name][1], kept=kept)


def _line(axes: Axes, rows: pd.DataFrame, name: str, colour: str, *, kept: bool) -> None:
    epochs = rows["epoch"].to_numpy(dtype=np.float64)
    values = rows[name].to_numpy(dtype=np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    (line,) = axes.plot(epochs, values, color=colour, label=name, markersize=3)
    line.set(linewidth=2.0 if kept else 0.8, alpha=1.0 if kept else 0.35)
    line.set_marker("o" if len(epochs) < 2 else "")
    if kept and (taken := _taken(rows)).any() and name != "lr":
        axes.plot(epochs[taken], values[taken], "o", color=colour, markersize=7, label="taken")
        axes.axvline(epochs[taken][0], color=INK, alpha=0.5, linewidth=0.8, linestyle=(0, (4, 3)))


def _finish(grid: Sequence[Axes], panels: Sequence[str], n: int, *, validated: bool) -> None:
    """Name axes and lines."""
    handles = [
        Line2D([], [], color=colour, label=said)
        for name, (said, colour) in _LOSSES.items()
        if validated or name == "train_loss"
    ]
    marked = [line for line in grid[0].get_lines() if line.get_label() == "taken"]
    if marked:
        epoch = int(np.asarray(marked[0].get_xdata())[0])
        handles.append(
            Line2D([], [], color=INK, marker="o", linewidth=0, label=f"taken: epoch {epoch}")
        )
    legend_below(grid[0], handles)
    grid[0].set_ylabel("loss")
    if n > 1:
        grid[0].set_title(f"{n} trainings; bold: the one that was kept")
    for axes, name in zip(grid[1:], panels, strict=True):
        axes.set_ylabel(_PANELS[name][0])
    grid[-1].set_xlabel("epoch")
    grid[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
