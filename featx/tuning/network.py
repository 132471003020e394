"""A backbone and a head as one network that can be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from featx.forward.graph import Prepared
from featx.forward.torch_pooling import POOLINGS

if TYPE_CHECKING:
    from featx.backbones import Backbone
    from featx.tuning.freeze import Frozen


class TunedNetwork(nn.Module):
    """Takes images as they are decoded, or vectors, and gives what the head says of them.

    Parameters
    ----------
    backbone
        Cut at one layer; it is trained in place.
    pooling
        What is made of its map.
    head
        Takes (B, d), gives (B, k).
    frozen
        What stays as it is.
    """

    def __init__(self, backbone: Backbone, pooling: str, head: nn.Module, frozen: Frozen) -> None:
        super().__init__()
        pre = backbone.preprocess
        # Channels last: ResNet18 is trained more than twice as fast so on a processor.
        layout = torch.channels_last
        self.body = Prepared(backbone.module, pre.mean, pre.std, layout=layout)
        self.pool = POOLINGS[pooling]
        self.head = head
        model = backbone.cutter.model
        needed = backbone.cutter.tensors(backbone.outputs[0].layer)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in needed - frozen.tensors)
        self.to(memory_format=layout)
        # In a tuple, not as submodules: they are the backbone's own already.
        self._still = tuple(model.get_submodule(name) for name in frozen.modules)

    def train(self, mode: bool = True) -> TunedNetwork:
        """Switch to training, all but what is frozen."""
        super().train(mode)
        for module in self._still:
            module.eval()
        return self

    def vectors(self, images: torch.Tensor) -> torch.Tensor:
        """Give the pooled (B, d) of (B, H, W, 3) images."""
        return self.pool(self.body(images)[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give (B, k) for images (B, H, W, 3), or for vectors (B, d) that were made before."""
        out: torch.Tensor = self.head(x if x.ndim == 2 else self.vectors(x))
        return out


def tensors_of(backbone: Backbone) -> dict[str, torch.Tensor]:
    """Give the tensors up to the cut, named as in the model's own state dict, on the processor.

    Counters of batches come along, for torchvision's loading wants them beside each norm.
    """
    needed = backbone.cutter.tensors(backbone.outputs[0].layer)
    norms = {name.rpartition(".")[0] for name in needed}
    return {
        name: value.detach().cpu().contiguous().clone()
        for name, value in backbone.cutter.model.state_dict().items()
        if name in needed or (name.endswith("num_batches_tracked") and name[:-20] in norms)
    }
