"""The whole of one pass as one graph: from an image's bytes to the maps of the backbone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Prepared(nn.Module):
    """A backbone that takes images as they are decoded.

    Normalises as torchvision's transforms do, ``(x / 255 - mean) / std``, in float32, whatever the
    backbone computes in.

    Parameters
    ----------
    backbone
        Takes (B, 3, H, W), normalised; gives a tensor an output.
    mean, std
        Of each channel, in units of full intensity.
    dtype, layout
        What the backbone computes in, and how it wants its input in memory.
    given
        What its maps are given in.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        backbone: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        dtype: torch.dtype = torch.float32,
        layout: torch.memory_format = torch.contiguous_format,
        given: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.dtype = dtype
        self.layout = layout
        self.given = given
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(tuple(values)).view(1, 3, 1, 1))

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Give (B, 3, H, W) in ``dtype`` for images as `forward` takes them."""
        x = images.permute(0, 3, 1, 2)
        x = x.to(torch.float32) / 255 if images.dtype == torch.uint8 else x.to(torch.float32)
        x = (x - self.mean) / self.std
        return x.to(self.dtype).contiguous(memory_format=self.layout)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the maps of (B, H, W, 3) images, uint8 or float32 in 0..1, in ``given``."""
        return tuple(value.to(self.given) for value in self.backbone(self.normalised(images)))
