"""Train a backbone on images, or a part of it, with a head on top."""

from featx.tuning.freeze import Frozen, freeze_layers
from featx.tuning.network import TunedNetwork, tensors_of
from featx.tuning.pictures import Part, Pictures
from featx.tuning.train import Trained, outputs, train

__all__ = [
    "Frozen",
    "Part",
    "Pictures",
    "Trained",
    "TunedNetwork",
    "freeze_layers",
    "outputs",
    "tensors_of",
    "train",
]
