"""Frozen networks: found by name, loaded with their weights, cut at a layer.

Importing this imports no torch; loading a backbone does.
"""

from featx.backbones.base import Backbone, Output
from featx.backbones.load import list_backbones, load_backbone
from featx.backbones.memo import Resolved, resolve
from featx.backbones.request import BackboneRequest

__all__ = [
    "Backbone",
    "BackboneRequest",
    "Output",
    "Resolved",
    "list_backbones",
    "load_backbone",
    "resolve",
]
