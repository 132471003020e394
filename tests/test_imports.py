"""What is heavy is loaded only by who needs it, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TORCH = {"torch", "torchvision", "timm"}
HEAVY = TORCH | {"sklearn", "scipy", "pandas", "pyarrow", "zarr", "tifffile", "PIL"}


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


@pytest.mark.parametrize("command", ["", "plan", "extract", "fit", "compare", "predict", "export"])
def test_help_loads_nothing_heavy(command: str) -> None:
    assert not loaded("-m", "featx", *command.split(), "--help") & HEAVY


@pytest.mark.parametrize("command", ["ls", "gc", "verify"])
def test_the_cache_is_kept_without_torch(command: str, tmp_path: Path) -> None:
    assert not loaded("-m", "featx", command, "--cache", str(tmp_path)) & TORCH


def test_a_linear_head_is_fitted_without_torch() -> None:
    assert (
        not loaded("-c", "import featx.fitting, featx.evaluate, featx.features, featx.runs") & TORCH
    )


def test_extracting_loads_no_solvers() -> None:
    """They and their libraries would take most of a second of every extraction's start."""
    modules = loaded("-c", "import featx.extraction, featx.planning")
    assert not modules & {"sklearn", "scipy", "numba", "joblib"}
