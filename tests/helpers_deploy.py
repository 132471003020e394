"""Small networks and pictures, and what somebody without featx does with an exported graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn


class Tokens(nn.Module):
    """Gives (tokens, channels), the class token first."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 8, stride=8)
        self.token = nn.Parameter(torch.randn(1, 1, 12))
        self.mix = nn.TransformerEncoderLayer(12, 2, 24, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        together = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1)
        value: torch.Tensor = self.mix(together)
        return value


def tokens() -> nn.Module:
    torch.manual_seed(1)
    return Tokens().eval()


def other() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.ReLU()).eval()


def run_openvino(path: Path, images: np.ndarray) -> np.ndarray:
    from featx.forward.openvino_engine import openvino

    core = openvino().Core()
    compiled = core.compile_model(
        core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return np.array(compiled({"images": images})[json.loads(about(path))["output"]["name"]])


def run_onnxruntime(path: Path, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = json.loads(about(path))["output"]["name"]
    return np.asarray(session.run([name], {"images": images})[0])


RUNTIMES = {".xml": run_openvino, ".onnx": run_onnxruntime}


def about(path: Path) -> str:
    return path.with_name(f"{path.name}.json").read_text(encoding="utf-8")


def prepared(file: Path, sidecar: dict[str, Any]) -> np.ndarray:
    """(H, W, 3) uint8 by Pillow alone, as the sidecar says."""
    how = sidecar["prepare"]
    height, width = how["image_size"]
    image = Image.open(file).convert("RGB")
    filter_ = Image.Resampling[how["interpolation"].upper()]
    if how["resize"] == "squash":
        return np.asarray(image.resize((width, height), filter_))
    assert how["resize"] == "crop"
    shorter = min(image.size)
    size = [int(how["resize_size"] * side / shorter) for side in image.size]
    image = image.resize((size[0], size[1]), filter_)
    left, top = (round((have - want) / 2) for have, want in zip(size, (width, height), strict=True))
    return np.asarray(image.crop((left, top, left + width, top + height)))


def scores(path: Path, files: list[Path]) -> np.ndarray:
    """What a graph says of image files, three at a time."""
    sidecar = json.loads(about(path))
    images = np.stack([prepared(file, sidecar) for file in files])
    run = RUNTIMES[path.suffix]
    return np.concatenate([run(path, images[i : i + 3]) for i in range(0, len(images), 3)])
