"""Efficiency of N workers against one, a core each, and against one process on all these cores.

    python benchmarks/cluster.py IMAGES --backbone mobilenet_v2 [--weights FILE] [--workers 2]

Each run is a process of its own with an empty cache; start counts. The parts' own time says what is
lost in them: two workers share memory bandwidth, and the first part is done by one of them alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time


def run(args: argparse.Namespace, cores: list[int], dask: str | None) -> dict[str, float]:
    """Extract into an empty cache on ``cores`` alone; give seconds and rates."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "featx", "extract", args.images, "--json", "--quiet"]
        command += ["--backbone", args.backbone, "--pool", "avg", "--cache", cache]
        command += ["--weights", args.weights] if args.weights else []
        command += ["--dask", dask] if dask else []
        begun = time.perf_counter()
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
            env=os.environ | {"OMP_NUM_THREADS": str(len(cores))},
        )
        seconds = time.perf_counter() - begun
    found = json.loads(done.stdout)
    timing = found["timing"]
    return {
        "seconds": seconds,
        "start_s": timing["start_s"],
        "run_s": timing["run_s"],
        "forward_s": timing["busy_s"].get("forward", 0.0),
        "rate": found["computed"] / timing["run_s"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: args.workers]
    asked = {
        "1 worker, 1 core": (cores[:1], "local:1"),
        f"{len(cores)} workers, {len(cores)} cores": (cores, f"local:{len(cores)}"),
        f"no workers, {len(cores)} cores": (cores, None),
    }
    for number in range(args.rounds):
        found = {name: run(args, *how) for name, how in asked.items()}
        for name, one in found.items():
            print(f"{number + 1} {name}: " + ", ".join(f"{k} {v:.1f}" for k, v in one.items()))
        one, several, alone = found.values()
        n = len(cores)
        steady = several["rate"] / one["rate"] / n
        whole = one["seconds"] / several["seconds"] / n
        beside = several["rate"] / alone["rate"]
        print(
            f"{number + 1} efficiency of {n} workers: {steady:.0%} steady, {whole:.0%} with start; "
            f"against one process on {n} cores: {beside:.0%} steady",
            flush=True,
        )


if __name__ == "__main__":
    main()
