"""Extractions killed with SIGKILL: what is done stays, and is what it would have been."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers_photos import photo

from featx.features import load
from featx.store.writer import MAX_WRITERS

N = 900
BATCH = 8
KILLS = 10


def start(photos: Path, cache: Path, seen: Path) -> subprocess.Popen[bytes]:
    here = Path(__file__).parent
    command = [
        sys.executable, "-m", "featx", "extract", photos, "--backbone", "helpers_kill:Wide",
        "--image-size", "128", "--precision", "fp32", "--cache", cache, "--quiet",
        "--batch-size", str(BATCH), "--engine", "torch",
    ]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": f"{here}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "SEEN": str(seen),
        "OMP_NUM_THREADS": "1",
    }
    with (cache.parent / f"{cache.name}.err").open("ab") as errors:
        return subprocess.Popen(command, env=environment, stderr=errors)


@pytest.mark.slow
def test_ten_kills_lose_nothing_that_was_committed(tmp_path: Path) -> None:
    photos, calm, stormy = (tmp_path / name for name in ("photos", "calm", "stormy"))
    for i in range(N):
        photo(photos / f"{i:04}.jpg", (i % 256, 90, 200), i, size=140)
    whole = start(photos, calm, tmp_path / "calm.log")
    assert whole.wait() == 0, (tmp_path / "calm.err").read_text()

    rng = np.random.default_rng(0)
    seen = tmp_path / "stormy.log"
    kills = 0
    while kills < KILLS:
        batches = seen.stat().st_size if seen.exists() else 0
        run = start(photos, stormy, seen)
        patience = rng.uniform(0, 40)
        while run.poll() is None:
            if seen.exists() and seen.stat().st_size - batches > patience:
                run.kill()
            time.sleep(0.002)
        if run.wait() == 0:
            break
        kills += 1
    last = start(photos, stormy, seen)
    assert last.wait() == 0, (tmp_path / "stormy.err").read_text()

    a, b = (load(cache=cache) for cache in (calm, stormy))
    assert len(a) == len(b) == N
    np.testing.assert_array_equal(a.manifest.digest, b.manifest.digest)
    np.testing.assert_array_equal(a.raw, b.raw)
    redone = seen.stat().st_size * BATCH - N
    rows = a.store.block_rows
    assert kills >= KILLS // 2
    blocks = 1 + min(MAX_WRITERS, os.cpu_count() or 1)  # being filled, and being written
    lost = kills * (blocks * rows + 3 * BATCH)
    assert redone <= lost, f"{kills} kills, {redone} images computed again"
