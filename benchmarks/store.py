"""How fast features are written and read, beside np.save and np.load.

    python benchmarks/store.py                   (made up: 2,344 x 25,088, 86 % zeros)
    python benchmarks/store.py FEATURES.npy      (as ``np.save`` writes ``featx.load(...).raw``)

One process does everything, in rounds (``--rounds``) after one that is not counted. A second table
is of the same values with four rows side by side. A figure is the median over rounds, and the ratio
is taken in each round before its median. Writing begins with a folder that is not there and ends
with the writer closed; reading begins with opening the store and looking the rows up. Both are of
the page cache: nothing is synced, and what was written a moment ago is read. Deleting is not timed.
MB/s are of float16 values, whatever they are compressed to or given as. Values are made up as the
positive part of a normal variate less 1.08.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from itertools import count, product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from machine import machine

from featx.recipe import Recipe
from featx.store import FeatureStore, StoreWriter, block_rows
from featx.store.chunks import write_chunk
from featx.store.layout import Layout

SHAPE, BIAS = (2_344, 25_088), 1.08
SIDE_BY_SIDE = 4
RECIPE = Recipe("vgg16", "00" * 16, "features", "flatten")
BATCH = 8
"""Rows that are handed over at once, as an extraction on a processor does."""
WRITERS = max(2, min(4, os.cpu_count() or 1))


def made_up() -> np.ndarray:
    draw, X = np.random.default_rng(0), np.empty(SHAPE, np.float16)
    for row in X:
        row[:] = np.maximum(draw.standard_normal(len(row), np.float32) - BIAS, 0)
    return X


class Sides:
    """What is timed, on one array and in one folder.

    Attributes
    ----------
    X : (n, d) float16
    """

    def __init__(self, X: np.ndarray, folder: Path) -> None:
        self.X = X
        self.X32 = X.astype(np.float32)
        self.folder = folder
        self.digests = [blake2b(b"%d" % i, digest_size=16).digest() for i in range(len(X))]
        size = block_rows(X.shape[1], "float16")
        tail = np.full((-len(X) % size, X.shape[1]), np.nan, np.float16)
        self.blocks = np.split(np.concatenate([X, tail]), range(size, len(X), size))
        permuted = np.random.default_rng(0).permutation(len(X))
        self.orders = {"in order": np.arange(len(X)), "permuted": permuted}

    def save(self) -> None:
        (self.folder / "numpy").mkdir()
        np.save(self.folder / "numpy" / "X.npy", self.X)

    def save_rounded(self) -> None:
        (self.folder / "rounded").mkdir()
        np.save(self.folder / "rounded" / "X.npy", self.X32.astype(np.float16))

    def load(self) -> Any:
        return np.load(self.folder / "numpy" / "X.npy")

    def load_widened(self) -> Any:
        return self.load().astype(np.float32)

    def write_blocks(self, n_threads: int) -> None:
        """The chunk files of the features, of blocks that are full: checksum and disk alone."""
        d, path = self.X.shape[1], self.folder / f"blocks-{n_threads}"
        layout = Layout(path, RECIPE, (d,), d, "", block_rows(d, "float16"), "none")
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(partial(write_chunk, layout, "features"), count(), self.blocks))

    def write(self, compression: Any, n_writers: int, rows: str = "X") -> None:
        X = getattr(self, rows)
        name = f"{compression}-{n_writers}-{rows}"
        with StoreWriter(
            self.folder / name,
            RECIPE,
            X.shape[1:],
            X.shape[1],
            provenance={},
            compression=compression,
            n_writers=n_writers,
        ) as writer:
            for start in range(0, len(X), BATCH):
                digests = self.digests[start : start + BATCH]
                writer.extend([(digest, 0) for digest in digests], X[start : start + BATCH])

    def read(self, compression: str, order: str, dtype: Any) -> np.ndarray:
        path = self.folder / f"{compression}-{WRITERS}-X" / RECIPE.store_name
        digests = np.frombuffer(b"".join(self.digests), np.uint8).reshape(-1, 16)
        wanted = digests[self.orders[order]]
        store = FeatureStore.open(path)
        return store.read(store.rows(wanted, np.zeros(len(wanted), np.uint16)), dtype)

    def size_bytes(self, compression: str) -> int:
        return FeatureStore.open(
            self.folder / f"{compression}-{WRITERS}-X" / RECIPE.store_name
        ).size_bytes()

    def cases(self) -> dict[str, tuple[Callable[[], Any], str]]:
        """What each row of the table does, and the row that it is compared with."""
        found: dict[str, tuple[Callable[[], Any], str]] = {"np.save": (self.save, "np.save")}
        for n in (1, WRITERS):
            name = f"blocks alone, none, {n} thread{'s' * (n > 1)}"
            found[name] = partial(self.write_blocks, n), "np.save"
        for kind in ("none", "zstd"):
            for n in (1, WRITERS):
                name = f"write, {kind}, {n} writer{'s' * (n > 1)}"
                found[name] = partial(self.write, kind, n), "np.save"
        found["np.save of astype(float16)"] = self.save_rounded, "np.save of astype(float16)"
        for kind in ("none", "zstd"):
            name = f"write, {kind}, {WRITERS} writers, float32 rows"
            found[name] = partial(self.write, kind, WRITERS, "X32"), "np.save of astype(float16)"
        for peer, load, dtype in (
            ("np.load", self.load, np.float16),
            ("np.load, astype(float32)", self.load_widened, np.float32),
        ):
            found[peer] = load, peer
            for kind, order in product(("none", "zstd"), self.orders):
                name = f"read, {kind}, {np.dtype(dtype)}, {order}"
                found[name] = partial(self.read, kind, order, dtype), peer
        return found


def check(sides: Sides) -> None:
    """A figure of something else than the same values would be worth nothing."""
    for kind in ("none", "zstd"):
        permuted = sides.read(kind, "permuted", np.float16)
        same = np.array_equal(permuted, sides.X[sides.orders["permuted"]])
        if not same or not np.array_equal(sides.read(kind, "in order", np.float32), sides.X32):
            raise SystemExit(f"{kind}: what was read is not what was written")


def measure(sides: Sides, rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in sides.cases()}
    for number in range(rounds + 1):
        for path in sides.folder.iterdir():
            shutil.rmtree(path)
        for name, (do, _) in sides.cases().items():
            start = time.perf_counter()
            result = do()
            taken = time.perf_counter() - start
            del result  # to give an array back takes time too
            if number:
                seconds[name].append(taken)
    return seconds


def report(sides: Sides, seconds: dict[str, list[float]]) -> None:
    n, d = sides.X.shape
    print(f"\n| {n:,} x {d:,} | seconds | MB/s | of the peer's rate |\n|---|---|---|---|")
    for name, (_, peer) in sides.cases().items():
        rate = median(a / b for a, b in zip(seconds[peer], seconds[name], strict=True))
        taken = median(seconds[name])
        print(f"| {name} | {taken:.3f} | {sides.X.nbytes / 1e6 / taken:.0f} | {rate:.2f} |")
    sizes = [sides.size_bytes(kind) / sides.X.nbytes for kind in ("none", "zstd")]
    print(f"\nSize, of the array's: none {sizes[0]:.2f}, zstd {sizes[1]:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("features", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    given = parser.parse_args()
    X = made_up() if given.features is None else np.load(given.features).astype(np.float16)
    X = X[: len(X) // SIDE_BY_SIDE * SIDE_BY_SIDE]
    print(f"{machine('numpy', 'numcodecs', 'zarr')}; {np.mean(X == 0):.0%} zeros")
    for values in (X, X.reshape(len(X) // SIDE_BY_SIDE, -1)):
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            sides = Sides(values, Path(folder))
            seconds = measure(sides, given.rounds)
            check(sides)
            report(sides, seconds)


if __name__ == "__main__":
    main()
