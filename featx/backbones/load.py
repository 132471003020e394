"""Load a backbone by the adapter of its kind."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from featx._types import Progress, Silent
from featx.backbones.base import Backbone
from featx.backbones.quick_import import import_torchvision
from featx.backbones.request import BackboneRequest

if TYPE_CHECKING:
    from featx.backbones.listing import BackboneRow

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
    # Before torch is imported: its threads would spin while they wait, and keep the threads that
    # decode, and everything else on the machine, from the cores (docs/decisions/threads.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import_torchvision()
    adapter = import_module(_ADAPTERS[request.kind])
    backbone: Backbone = adapter.load(request, progress or Silent())
    return backbone


def list_backbones(pattern: str | None = None) -> list[BackboneRow]:
    """List torchvision's backbones, or those of timm whose names match ``pattern``.

    Parameters
    ----------
    pattern
        For example ``timm/*clip*``; needs timm.

    Raises
    ------
    MissingDependencyError
        If a pattern is given and timm is not installed.
    """
    from featx.backbones.listing import list_timm, list_torchvision

    return list_torchvision() if pattern is None else list_timm(pattern)
