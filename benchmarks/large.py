"""Seconds and peak memory of heads on large sets of synthetic features.

    python benchmarks/large.py rows        # 70,000 x 2,048
    python benchmarks/large.py products    # 12,500 x 25,088
    python benchmarks/large.py both        # 40,000 x 25,088
    python benchmarks/large.py streamed    # 5,000,000 x 768: 7.7 GB in a file, read as it is needed

Each head runs in a process of its own, since a peak of memory can be read once a process. Features
are not negative and have a few long directions, as those of networks do. ``--fixed`` fits one
value of the strength, without a search.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from featx.evaluate import Source, Spec, evaluate
from featx.gram import ArrayVectors, build_gram

SHAPES = {
    "rows": (70_000, 2_048),
    "products": (12_500, 25_088),
    "both": (40_000, 25_088),
    "streamed": (5_000_000, 768),
}
HEADS = ("svm", "ridge", "logreg")
STRENGTH = {"svm": {"C": 1e-4}, "ridge": {"alpha": 1e4}, "logreg": {"C": 1e-3}}
CLASSES, DIRECTIONS, ROWS = 10, 64, 5_000


def write(path: Path, n: int, d: int) -> None:
    """Write (n, d) float16 features and their classes, some rows at a time."""
    draw = np.random.default_rng(0)
    codes = draw.integers(0, CLASSES, n)
    long = draw.normal(size=(DIRECTIONS, d)).astype(np.float32)
    long /= np.sqrt(np.arange(1, DIRECTIONS + 1, dtype=np.float32))[:, None]
    X = np.lib.format.open_memmap(path / "X.npy", "w+", np.float16, (n, d))
    for start in range(0, n, ROWS):
        some = codes[start : start + ROWS]
        Z = draw.standard_normal((len(some), DIRECTIONS), np.float32)
        Z[np.arange(len(some)), some] += 2
        noise = draw.standard_normal((len(some), d), np.float32)
        X[start : start + ROWS] = np.maximum(Z @ long + noise, 0)
    X.flush()
    np.save(path / "y.npy", codes)


def measure(path: Path, head: str, fixed: bool, n_jobs: int) -> None:
    """Fit one head and print what it took."""
    X, y = np.load(path / "X.npy", mmap_mode="r"), np.load(path / "y.npy")
    vectors = ArrayVectors(X)
    spec = Spec(head, fixed=STRENGTH[head] if fixed else {}, cv="5")
    start = time.perf_counter()
    found = evaluate([Source(vectors, lambda: build_gram(vectors))], y, spec, n_jobs=n_jobs)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
    print(
        f"{head:7} {seconds:7.0f} s, peak {peak:.1f} GiB, accuracy "
        f"{found.metrics['accuracy'].mean:.3f}, {found.measure} {found.reached:.0e}; "
        + json.dumps({k: round(v, 1) for k, v in found.seconds.items()}),
        flush=True,
    )


def main() -> None:
    """Read the options and run the heads, each in a process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("--head", choices=HEADS, action="append")
    parser.add_argument("--fixed", action="store_true")
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--data", type=Path, help="a folder that another run wrote")
    given = parser.parse_args()
    if given.data is not None:
        measure(given.data, given.head[0], given.fixed, given.n_jobs)
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), *SHAPES[given.shape])
        for head in given.head or HEADS:
            more = ["--fixed"] if given.fixed else []
            more += ["--head", head, "--n-jobs", str(given.n_jobs), "--data", folder]
            subprocess.run([sys.executable, __file__, given.shape, *more], check=True)


if __name__ == "__main__":
    main()
