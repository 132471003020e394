"""Figures of plain arrays: what came out of a fit, for a page and for a paper.

Every function gives a `matplotlib.figure.Figure`, made without pyplot and without a change to
matplotlib's settings; `to_svg` writes it for an HTML page that may be light or dark, `save` for a
file. Names may be any text: none is taken for markup, formulae or a part of the program.

matplotlib is loaded by the first of them that is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx.plots.classes import class_scores as class_scores
    from featx.plots.confusion import confusion_matrix as confusion_matrix
    from featx.plots.counts import bars as bars
    from featx.plots.embedding import embedding_map as embedding_map
    from featx.plots.forest import intervals as intervals
    from featx.plots.grid import grid_curve as grid_curve
    from featx.plots.layers import layer_scores as layer_scores
    from featx.plots.learning import learning_curve as learning_curve
    from featx.plots.residual import residuals as residuals
    from featx.plots.saving import save as save
    from featx.plots.svg import to_svg as to_svg
    from featx.plots.trainings import training_curves as training_curves
    from featx.plots.truth import predicted_against_true as predicted_against_true

_WHERE = {
    "bars": "counts",
    "class_scores": "classes",
    "confusion_matrix": "confusion",
    "embedding_map": "embedding",
    "grid_curve": "grid",
    "intervals": "forest",
    "layer_scores": "layers",
    "learning_curve": "learning",
    "predicted_against_true": "truth",
    "residuals": "residual",
    "save": "saving",
    "to_svg": "svg",
    "training_curves": "trainings",
}
__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'featx.plots' has no attribute {name!r}")
    value = getattr(import_module(f"featx.plots.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
