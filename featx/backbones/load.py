"""Load a backbone by the adapter of its kind."""

from __future__ import annotations

from importlib import import_module

from featx._types import Progress, Silent
from featx.backbones.base import Backbone
from featx.backbones.request import BackboneRequest

_ADAPTERS = {
    "torchvision": "featx.backbones.torchvision_models",
    "timm": "featx.backbones.timm_models",
    "custom": "featx.backbones.custom",
}


def load_backbone(request: BackboneRequest, progress: Progress | None = None) -> Backbone:
    """Load the network that was asked for, cut at its layers, in eval mode on the CPU.

    Parameters
    ----------
    request
        What was asked for.
    progress
        Told of a download.

    Raises
    ------
    UnknownNameError
        If there is no such backbone, weights, preset or pooling.
    WeightsNotFoundError
        If the weights are neither on disk nor within reach.
    WeightsError
        If they do not fit.
    LayerError
        If a layer is not there or cannot be cut at.
    MissingDependencyError
        If the backbone needs a package that is not installed.
    """
    adapter = import_module(_ADAPTERS[request.kind])
    backbone: Backbone = adapter.load(request, progress or Silent())
    return backbone
