"""The reference path equals torchvision's documented code, for every backbone of the reports."""

from __future__ import annotations

import numpy as np
import pytest
import torchvision
from helpers_backbones import literal, photos, seeded_model

from featx import images
from featx.backbones import BackboneRequest, load_backbone
from featx.backbones.families import REPORTED, family_of
from featx.forward import TorchEngine

BATCHES = (1, 3, 32)
HUGE = {"regnet_y_128gf"}
"""A batch of 32, whatever is in it, takes it a minute."""
FAST = {"squeezenet1_1"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in sorted(REPORTED)],
)
def test_reference_path(name):
    pictures = photos(2 if name in HUGE else 7)
    member = torchvision.models.get_model_weights(name).DEFAULT
    layer = family_of(name).layer
    expected = literal(seeded_model(name), layer, member, pictures)
    backbone = load_backbone(BackboneRequest(name, weights="random", numerics="reference"))
    prepared = np.stack([images.load(p, backbone.preprocess)[0] for p in pictures])
    for batch_size in BATCHES[:2] if name in HUGE else BATCHES:
        (maps,) = TorchEngine(backbone, "cpu", "fp32", batch_size)(prepared)
        error = np.linalg.norm(maps.reshape(len(maps), -1) - expected, axis=1)
        assert (error <= 1e-4 * np.linalg.norm(expected, axis=1)).all()
