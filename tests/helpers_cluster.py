"""A scheduler and workers as their own processes, and a network that takes its time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from distributed import Client
from helpers_photos import tiny


class Slow(torch.nn.Module):
    """The tiny network, and a pause for every image, so that there is time to kill a worker."""

    def __init__(self) -> None:
        super().__init__()
        self.network = tiny()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Wait, and compute."""
        time.sleep(0.02 * len(x))
        return self.network(x)  # type: ignore[no-any-return, operator]


@contextmanager
def scheduler(tmp_path: Path, n_workers: int) -> Iterator[str]:
    """Start ``dask scheduler`` and so many ``dask worker``; give the address."""
    here = Path(__file__).parent
    environment = os.environ | {
        "PYTHONPATH": f"{here}{os.pathsep}{here.parent}{os.pathsep}"
        + os.environ.get("PYTHONPATH", ""),
        "OMP_NUM_THREADS": "1",
    }
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    where = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    one = [*dask, "worker", *where, "--nthreads", "1", "--memory-limit", "0"]
    commands = [
        [*dask, "scheduler", *where, "--port", "0", "--dashboard-address", "127.0.0.1:0"],
        *[[*one, "--local-directory", str(tmp_path / f"worker{i}")] for i in range(n_workers)],
    ]
    started = []
    try:
        for command in commands:
            started.append(subprocess.Popen(command, env=environment, **quiet))  # type: ignore[call-overload]
            while not (file.exists() and "}" in file.read_text()):
                assert started[0].poll() is None
                time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        with Client(address) as client:
            client.wait_for_workers(n_workers, timeout=120)
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
