"""OpenVINO beside torch, and what happens where it is not there."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers_backbones import noise, small

from featx.backbones import BackboneRequest, load_backbone
from featx.errors import DeviceError
from featx.forward import OpenVINOEngine, TorchEngine
from featx.forward import openvino_engine as module
from featx.forward.base import UnrunnableError
from featx.forward.openvino_engine import openvino


@pytest.mark.parametrize(
    "name",
    [
        "squeezenet1_1",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("resnet18", "mobilenet_v2", "googlenet", "regnet_y_400mf", "vit_b_16")
        ),
    ],
)
def test_fp32_is_torchs(name):
    size = 64 if name == "squeezenet1_1" else 224
    backbone = load_backbone(BackboneRequest(name, weights="random", image_size=size))
    x = noise(5, size)
    for got, expected in zip(OpenVINOEngine(backbone)(x), TorchEngine(backbone)(x), strict=True):
        assert np.linalg.norm(got - expected) < 1e-4 * np.linalg.norm(expected)


def test_several_layers_come_in_their_order():
    backbone = load_backbone(small(layers=("features.3", "features"), poolings=("flatten",)))
    first, last = OpenVINOEngine(backbone)(noise(3))
    assert first.shape == (3, *backbone.outputs[0].map_shape)
    assert last.shape == (3, *backbone.outputs[1].map_shape)


def test_results_are_arrays_of_their_own():
    engine = OpenVINOEngine(load_backbone(small()), batch_size=2)
    x = noise(4)
    (first,) = engine.batch(x[:2])
    kept = first.copy()
    engine.batch(x[2:])
    assert np.array_equal(first, kept)


def test_its_telemetry_is_never_loaded(tmp_path):
    """Its own import asks for it and reports the import; nor is its folder made in the home."""
    code = (
        "import sys\n"
        "from featx.forward.openvino_engine import openvino\n"
        "ov = openvino()\n"
        "assert callable(ov.convert_model)\n"
        "assert not [m for m in sys.modules if m.partition('.')[0] == 'openvino_telemetry']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**__import__("os").environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_where_it_is_not_installed(monkeypatch):
    openvino.cache_clear()
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(UnrunnableError, match="pip install openvino"):
        openvino()


def test_a_network_that_cannot_be_traced():
    backbone = load_backbone(small())

    class Fussy(torch.nn.Module):
        def forward(self, _x):
            raise ValueError("only on Sundays\nand then in the rain")

    backbone.module = Fussy()
    with pytest.raises(UnrunnableError, match=r"only on Sundays$"):
        OpenVINOEngine(backbone)


def test_running_out_of_memory_names_the_batch_size():
    engine = OpenVINOEngine(load_backbone(small()), batch_size=3)

    class Full:
        def infer(self, *_args, **_kwargs):
            raise RuntimeError("bad allocation")

    queue = engine._requests[np.dtype(np.uint8)]
    for _ in range(engine.lanes):
        queue.get()
        queue.put(Full())
    with pytest.raises(DeviceError, match="with 3 images in a batch"):
        engine.batch(noise(1))
    assert queue.qsize() == engine.lanes


def test_fp16_is_not_for_a_processor():
    with pytest.raises(DeviceError, match="fp16 needs a GPU"):
        OpenVINOEngine(load_backbone(small()), "fp16")
