"""Poolings in torch are those of NumPy, and so they are in a written graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from featx.errors import DeviceError, MissingDependencyError, UsageError
from featx.forward import run_graph, write_graph
from featx.forward.run_graph import load_graph
from featx.forward.torch_pooling import POOLINGS
from featx.pooling import POOLINGS as LITERAL
from featx.pooling import pool

MAPS = {"map": (5, 4, 3), "tokens": (6, 5), "vector": (5,)}


def test_every_pooling_is_there() -> None:
    assert set(POOLINGS) == set(LITERAL)


@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("name", POOLINGS)
def test_poolings_are_numpys(name: str, shape: str) -> None:
    x = np.random.default_rng(0).normal(size=(4, *MAPS[shape])).astype(np.float32)
    if name in ("cls", "tokens-avg") and shape != "tokens":
        with pytest.raises(UsageError):
            pool(x, name)
        return
    value = POOLINGS[name](torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(value, pool(x, name), rtol=1e-5, atol=1e-6)


class Pooled(nn.Module):
    """Every pooling of a map and of tokens, side by side."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.permute(0, 3, 1, 2).float() / 64 - 1
        maps = [POOLINGS[n](x) for n in ("flatten", "avg", "max", "std", "gem")]
        tokens = x.flatten(2).transpose(1, 2)
        return torch.cat([*maps, *(POOLINGS[n](tokens) for n in ("cls", "tokens-avg", "std"))], 1)


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_poolings_in_a_written_graph(tmp_path: Path, to: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 4, 3), dtype=np.uint8)
    path = tmp_path / f"pooled{write_graph.WRITERS[to].ending}"
    write_graph.write_graph(Pooled().eval(), images, to, path, "vectors")
    expected = Pooled()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(load_graph(path).batches(images), expected, rtol=1e-5, atol=1e-5)


def test_onnx_without_onnxruntime_is_run_by_openvino(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 4, 3), dtype=np.uint8)
    write_graph.write_graph(Pooled().eval(), images, "onnx", tmp_path / "a.onnx", "vectors")
    by_default = load_graph(tmp_path / "a.onnx")
    monkeypatch.setattr(run_graph, "find_spec", lambda _: None)
    other = load_graph(tmp_path / "a.onnx")
    assert [r.name.split()[0] for r in (by_default, other)] == ["onnxruntime", "OpenVINO"]
    a, b = by_default.batches(images), other.batches(images)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_large_weights_lie_beside_an_onnx_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_graph, "_PROTOBUF_BYTES", 100)

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(72, 400)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            value: torch.Tensor = self.linear(images.float().flatten(1))
            return value

    images = np.random.default_rng(0).integers(0, 256, (3, 6, 4, 3), dtype=np.uint8)
    graph = Wide().eval()
    write_graph.write_graph(graph, images, "onnx", tmp_path / "a.onnx", "scores")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.onnx", "a.onnx.data"]
    (tmp_path / "moved").mkdir()
    for file in (tmp_path / "a.onnx", tmp_path / "a.onnx.data"):
        file.rename(tmp_path / "moved" / file.name)
    value = load_graph(tmp_path / "moved" / "a.onnx").batches(images)
    expected = graph(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-3)


class Undecided(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.float()
        return x.mean((1, 2, 3)) if x.mean() > 3 else x.sum((1, 2, 3))


def test_what_cannot_be_written_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    images = np.zeros((1, 6, 4, 3), np.uint8)
    with pytest.raises(UsageError, match=r"written as onnx \(.*data-dependent.*--to openvino"):
        write_graph.write_graph(Undecided(), images, "onnx", tmp_path / "a.onnx", "scores")
    assert "def forward" not in "".join(capfd.readouterr())


class Fixed(nn.Module):
    """Takes as many images as it was traced with."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = images.float().mean((1, 2)) + torch.ones(1, 3).expand(len(images), -1)
        return torch.cat([value, torch.ones(1, 3).expand(len(images), -1)], 1)


def test_a_network_that_fixes_its_batch_is_told(tmp_path: Path) -> None:
    images = np.zeros((9, 6, 4, 3), np.uint8)
    for name in ("a.onnx", "a.xml"):
        to = "onnx" if name == "a.onnx" else "openvino"
        write_graph.write_graph(Fixed().eval(), images, to, tmp_path / name, "scores")
        with pytest.raises(DeviceError, match=r"does not take 8 images at once .*x\.shape\[0\]"):
            load_graph(tmp_path / name).batches(images)


def test_what_does_not_run_says_why(tmp_path: Path) -> None:
    for name in ("a.onnx", "a.xml"):
        (tmp_path / name).write_bytes(b"no graph")
        with pytest.raises(DeviceError, match=f"{name} was written, but does not run here"):
            load_graph(tmp_path / name)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_graph, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'featx\[onnx\]'"):
        write_graph.WRITERS["onnx"].check()
    monkeypatch.setattr(write_graph, "openvino", _absent)
    with pytest.raises(MissingDependencyError, match="pip install openvino"):
        write_graph.WRITERS["openvino"].check()


def _absent() -> None:
    raise write_graph.UnrunnableError("OpenVINO is not installed; `pip install openvino`")
