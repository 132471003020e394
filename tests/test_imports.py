"""What is heavy is loaded only by who needs it, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TORCH = {"torch", "torchvision", "timm"}
HEAVY = TORCH | {"sklearn", "scipy", "pandas", "pyarrow", "zarr", "tifffile", "PIL", "matplotlib"}


def loaded(*arguments: str) -> set[str]:
    """Run Python and give the top-level modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


def test_importing_featx_loads_nothing_heavy() -> None:
    modules = loaded("-c", "import featx; dir(featx)")
    assert "featx" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize(
    "command", ["", "stats", "plan", "extract", "inspect", "fit", "compare", "predict", "export"]
)
def test_help_loads_nothing_heavy(command: str) -> None:
    assert not loaded("-m", "featx", *command.split(), "--help") & HEAVY


def test_images_are_looked_at_without_torch() -> None:
    code = "import featx, numpy; featx.stats(numpy.zeros((2, 9, 9, 3), dtype='uint8'))"
    assert not loaded("-c", code) & (TORCH | {"sklearn", "scipy", "zarr"})


@pytest.mark.parametrize("command", ["ls", "gc", "verify"])
def test_the_cache_is_kept_without_torch(command: str, tmp_path: Path) -> None:
    assert not loaded("-m", "featx", command, "--cache", str(tmp_path)) & TORCH


def test_a_linear_head_is_fitted_without_torch() -> None:
    assert (
        not loaded("-c", "import featx.fitting, featx.evaluate, featx.features, featx.runs") & TORCH
    )


def test_extracting_loads_no_solvers() -> None:
    """They and their libraries would take most of a second of every extraction's start."""
    modules = loaded("-c", "import featx.extraction, featx.planning, featx.surveying")
    assert not modules & {"sklearn", "scipy", "numba", "joblib"}


WITHOUT_COMPILER = """
import sys
from featx.backbones import BackboneRequest, load_backbone
from torch.nn import init
import torch

load_backbone(BackboneRequest("mobilenet_v2", weights="random"))
assert not any(name.startswith("torch._dynamo") for name in sys.modules), "compiler imported"

from torchvision.models import get_model
from torchvision.ops import roi_align
from featx.backbones.torchvision_models import _without_values

with _without_values():
    model = get_model("mobilenet_v2", weights=None)
assert all(parameter.is_meta for parameter in model.parameters())
assert "torch._dynamo" not in sys.modules, "compiler imported to change nothing"
assert init.ones_(torch.zeros(2)).sum() == 2
box = torch.tensor([[0, 0.0, 0.0, 4.0, 4.0]])
assert roi_align(torch.ones(1, 1, 8, 8), box, output_size=2).tolist() == [[[[1, 1], [1, 1]]]]
import torch._dynamo
assert torch._dynamo.utils.is_compile_supported is not None
"""


def test_a_network_is_loaded_without_torchs_compiler() -> None:
    """It would take a second or two of every start; what needs it still finds it."""
    loaded("-c", WITHOUT_COMPILER)
