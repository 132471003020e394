"""Small networks, and torchvision's own way to get features, written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from featx.backbones import BackboneRequest


def small(**fields: Any) -> BackboneRequest:
    """A backbone that is built and run in no time."""
    return BackboneRequest(
        **({"name": "squeezenet1_1", "weights": "random", "image_size": 64} | fields)
    )


def noise(n: int, size: int = 64, seed: int = 0) -> np.ndarray:
    """(n, size, size, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def photos(n: int) -> list[Image.Image]:
    """Smooth colours with noise on them, none of them square."""
    out = []
    for i in range(n):
        rng = np.random.default_rng([7, i])
        coarse = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((310 + i, 260), Image.Resampling.BICUBIC)
        grain = rng.integers(-25, 26, (*image.size[::-1], 3))
        out.append(Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)))
    return out


def literal(model: nn.Module, layer: str, weights: Any, images: list[Image.Image]) -> np.ndarray:
    """(n, d) as torchvision's documentation does it: transforms at 224 px, extractor, flatten."""
    whole = weights.transforms()
    resize = round(whole.resize_size[0] * 224 / whole.crop_size[0])
    transforms = weights.transforms(crop_size=224, resize_size=resize)
    extractor = create_feature_extractor(model.eval(), {layer: "out"}, suppress_diff_warning=True)
    with torch.inference_mode():
        batch = torch.stack([transforms(image) for image in images])
        return torch.flatten(extractor(batch)["out"], 1).numpy()


def seeded_model(name: str, seed: int = 0) -> nn.Module:
    """torchvision's own untrained model, as two lines of anyone's notebook make it."""
    more = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torchvision.models.get_model(name, weights=None, **more).eval()


class Net(nn.Module):
    """A convolution, then an activation that overwrites its input."""

    def __init__(self, scale: float = 2.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=4)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.late = nn.Conv2d(4, 5, 1)
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.late(self.relu(self.bn(self.conv(x)))) * self.scale


def make_net() -> Net:
    return Net()


NOT_CALLABLE = 3


def make_nothing() -> None:
    return None
