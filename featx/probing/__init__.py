"""Probe the layers of a backbone with one head: where to cut it.

The best of several layers is a choice made by the very scores that it is shown with. How good a
choice like that is, is told by making it anew inside the training rows of each split, together with
the head's other parameters (nested cross-validation).
"""

from featx.probing.make import probe_layers
from featx.probing.result import Probe

__all__ = ["Probe", "probe_layers"]
