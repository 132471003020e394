"""Extraction from photographs to a view: what is computed, what is not, and what is said."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers_photos import CLASSES, folder, photo, tiny

import featx.extract as extraction
from featx.errors import ImageError, TooManyFailedError, UsageError
from featx.extract import extract, parse_max_failed
from featx.load import load

BACKBONE = "helpers_photos:tiny"
OPTIONS = {"backbone": BACKBONE, "image_size": 32, "precision": "fp32"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def run(data: object, cache: Path, **more: object) -> list[extraction.Extraction]:
    return extract(data, cache=cache, **(OPTIONS | more))  # type: ignore[arg-type]


def test_vectors_are_the_networks_own(photos: Path, cache: Path) -> None:
    import torch
    from PIL import Image
    from torchvision.transforms import v2

    (done,) = run(photos, cache, dtype="float32")
    found = load(cache=cache)
    assert (done.rows, done.dim, done.computed, done.failed) == (18, 16, 18, ())
    transform = v2.Compose(
        [
            v2.Resize(round(256 * 32 / 224)),
            v2.CenterCrop(32),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    paths = [photos / p for p in found.frame["path"]]
    batch = torch.stack([transform(Image.open(p).convert("RGB")) for p in paths])
    with torch.inference_mode():
        expected = torch.flatten(tiny()(batch), 1).numpy()  # type: ignore[operator]
    error = np.linalg.norm(found.X - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert error.max() < 1e-4
    assert found.frame["label"].tolist() == [name for name in CLASSES for _ in range(6)]
