"""Small photographs and a small network for the tests of whole workflows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = {"bird": (200, 40, 40), "cat": (40, 200, 40), "dog": (40, 40, 200)}


def photo(path: Path, color: tuple[int, int, int], seed: int, size: int = 40) -> Path:
    """Write one JPEG of noise around a colour; files end up older than the tokens' patience."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 30, (size, size + 8, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)
    os.utime(path, (1_600_000_000 + seed, 1_600_000_000 + seed))
    return path


def folder(root: Path, per_class: int = 6) -> Path:
    """Write class folders of photographs."""
    for k, (name, color) in enumerate(CLASSES.items()):
        for i in range(per_class):
            photo(root / name / f"{i}.jpg", color, 100 * k + i)
    return root


def tiny() -> object:
    """A network of two convolutions with fixed weights, given as ``helpers_photos:tiny``."""
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, stride=4),
        torch.nn.ReLU(inplace=True),
        torch.nn.Conv2d(8, 16, 5, stride=4),
        torch.nn.ReLU(),
    ).eval()
