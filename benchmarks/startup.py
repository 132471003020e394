"""How long featx takes where nothing is to be computed.

    python benchmarks/startup.py [--images 10000] [--runs 5]

Makes a folder of small photographs, embeds it once with an untrained SqueezeNet, and then times
whole processes: the second extraction, ``featx --help``, and a Python that imports nothing, which
is what the others are to be compared with.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image


def photographs(folder: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    for i in range(n):
        path = folder / f"class{i % 10}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)


def seconds(command: list[str], runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    featx = [sys.executable, "-m", "featx"]
    with tempfile.TemporaryDirectory() as work:
        photos, cache = Path(work, "photos"), Path(work, "cache")
        photographs(photos, options.images)
        extract = [
            *featx, "extract", str(photos), "--backbone", "squeezenet1_1", "--weights", "random",
            "--image-size", "64", "--pool", "avg", "--cache", str(cache), "--dtype", "float32",
        ]  # fmt: skip
        first = seconds(extract, 1)
        rows = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "featx --help": [*featx, "--help"],
            f"featx extract, {options.images} images cached": extract,
        }
        print(f"first extraction of {options.images} images: {first:.1f} s")
        for name, command in rows.items():
            print(f"{name}: median {seconds(command, options.runs):.2f} s of {options.runs} runs")


if __name__ == "__main__":
    main()
