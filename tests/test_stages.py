"""Where the time of a pass goes, and that its memory does not grow with the number of images."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers_photos import folder

from featx.embedding.stages import STAGES, Stages, Timing
from featx.extraction import extract

THREADS = {"read": 2, "decode": 2, "forward": 1, "write": 4}


def test_nothing_computed_is_bound_by_nothing():
    timing = Stages().timing(THREADS)
    assert (timing.bound_by, timing.describe(), timing.run_s) == ("", "", 0.0)
    assert timing.to_json()["busy"] == {}


def test_shares_are_of_the_threads_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    stages = Stages()
    now[0] += 5
    stages.start_running()
    now[0] += 10
    stages.start_running()  # says nothing new
    for stage, seconds in (("forward", 7.1), ("decode", 4.4), ("write", 2.8), ("read", 0.2)):
        stages.add(stage, seconds)
    timing = stages.timing(THREADS)
    assert (timing.start_s, timing.run_s) == (5, 10)
    assert timing.busy == pytest.approx(
        {"read": 0.01, "decode": 0.22, "forward": 0.71, "write": 0.07}
    )
    expected = (
        "forward 71 % busy, decode 22 % busy, write 7 % busy, read 1 % busy: bound by forward"
    )
    assert timing.describe() == expected
    assert json.loads(json.dumps(timing.to_json()))["bound_by"] == "forward"


def test_no_stage_is_more_than_busy():
    stages = Stages()
    stages.start_running()
    stages.add("decode", 1e6)
    assert stages.timing(THREADS).busy["decode"] == 1


def test_decoding_counts_computation_alone_and_reading_the_wait():
    stages = Stages()
    stages.start_running()
    done = threading.Event()

    for stage in ("read", "decode"):
        with stages.timed(stage, waits=stage == "read"):
            done.wait(0.05)
    timing = stages.timing(THREADS)
    assert timing.busy_s["read"] >= 0.05
    assert timing.busy_s["decode"] < 0.04


def test_an_extraction_says_it(tmp_path: Path):
    options = {"backbone": "helpers_photos:tiny", "image_size": 32, "cache": tmp_path / "c"}
    (done,) = extract(folder(tmp_path / "photos"), **options)
    assert isinstance(done.timing, Timing)
    assert set(done.timing.busy) == set(STAGES)
    assert all(0 < done.timing.busy[stage] <= 1 for stage in STAGES)
    assert 0 < done.timing.run_s < done.seconds
    value = done.to_json()
    assert value["where_time_goes"].endswith(f": bound by {done.timing.bound_by}")
    (again,) = extract(tmp_path / "photos", **options)
    assert (again.computed, again.timing.describe()) == (0, "")


PEAK = """
import resource, sys
from pathlib import Path
import numpy as np
from featx.extraction import extract
n, cache = int(sys.argv[1]), sys.argv[2]
images = np.random.default_rng(0).integers(0, 256, (8, 40, 40, 3), dtype=np.uint8)
def image(i):
    one = images[i % 8].copy()
    one[0, 0] = i % 256, i // 256 % 256, i // 65536
    return one
import pandas as pd
from PIL import Image
folder = Path(cache, "images")
folder.mkdir(parents=True)
for i in range(n):
    Image.fromarray(image(i)).save(folder / f"{i:06}.bmp")
(done,) = extract(folder, backbone="helpers_photos:tiny", image_size=32, cache=cache)
assert done.rows == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path):
    """But for what is known of each image: a path, a token, a digest, a row of the manifest."""
    peaks = []
    for n in (500, 20_500):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(n), str(tmp_path / str(n))],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        peaks.append(int(done.stdout))
    grown_bytes = (peaks[1] - peaks[0]) * 2**20 / 20_000
    assert grown_bytes < 5_000, peaks  # a decoded image of 224 pixels would be 150,528


def test_vectors_come_in_the_order_of_their_images(tmp_path: Path):
    """Batches run in several lanes; rows are written in order all the same."""
    from featx.features import load

    options = {"backbone": "helpers_photos:tiny", "image_size": 32, "batch_size": 2}
    (done,) = extract(folder(tmp_path / "photos"), **options, cache=tmp_path / "c")
    rows = load(cache=tmp_path / "c").rows
    assert done.computed == 18
    assert np.array_equal(rows, np.arange(18))
