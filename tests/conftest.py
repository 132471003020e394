"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core runs tests: a thread each is enough
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs and weights beside the project; skips where it is missing."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs {SHARED}")
    return SHARED
