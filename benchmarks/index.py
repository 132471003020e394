"""What the index of a store and a manifest of many rows cost, on made-up digests.

    python benchmarks/index.py [--rows 10000000] [--peer-rows 1000000] [--files 100000]

Makes a store of vectors of four values, chunk file by chunk file, and a manifest of the same rows,
in a temporary folder. Each step then runs in a process of its own, which prints its seconds and
the most memory it held. ``no-op rerun`` is what an extraction asks of both where nothing is new:
read the manifest and the index, look every row up, find none missing. The peers are dicts, pandas,
pyarrow and SQLite from 18-byte keys to rows, at ``--peer-rows``. With ``--files``, so many files
of one byte are laid into a folder, their tokens and vectors are made up, and ``featx extract`` of
the folder is timed: it finds nothing to do.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from machine import machine
from PIL import Image

from featx import datasets
from featx.manifest import Manifest
from featx.recipe import Recipe
from featx.sources.folder import open_folder
from featx.store import DONE, FeatureStore, StoreWriter
from featx.store.chunks import write_chunk
from featx.store.layout import Layout, grow, read_layout, write_runs
from featx.store.making import create
from featx.tokens import TokenIndex

DIM = 4
RECIPE = Recipe("vgg16", "00" * 16, "features", "avg")
NAME = "made-up"
CLASSES = 100


def digests(n: int, seed: int = 0) -> np.ndarray:
    """(n, 16) uint8, as uniform as real ones."""
    return np.frombuffer(np.random.default_rng(seed).bytes(16 * n), np.uint8).reshape(-1, 16)


def fill(layout: Layout, digest: np.ndarray) -> None:
    """Write the four chunk files of every block, and one closed run."""
    size = layout.block_rows
    n_blocks = -(-len(digest) // size)

    def one(block: int) -> None:
        part = digest[block * size : (block + 1) * size]
        rest = size - len(part)
        whole = np.concatenate([part, np.zeros((rest, 16), np.uint8)])
        write_chunk(layout, "features", block, np.ones((size, layout.dim), np.float16))
        write_chunk(layout, "digest", block, whole)
        write_chunk(layout, "item", block, np.zeros(size, np.uint16))
        write_chunk(layout, "state", block, np.repeat([DONE, 0], [len(part), rest]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(n_blocks)))
    grow(layout, n_blocks)
    run = {"blocks": [[0, n_blocks]], "provenance": {}, "closed": True, "failed": {}}
    write_runs(layout, [run])


def manifest(digest: np.ndarray, start: int = 0) -> Manifest:
    number = range(start, start + len(digest))
    return Manifest(
        name=NAME,
        source="made up",
        path=np.array([f"class{i % CLASSES:02}/{i:08}.jpg" for i in number], object),
        digest=digest,
        item=np.zeros(len(digest), np.uint16),
        failure=np.full(len(digest), None, object),
        frame=pd.DataFrame({"label": np.array([f"class{i % CLASSES:02}" for i in number], object)}),
    )


class Steps:
    """Each gives the seconds of its parts."""

    def __init__(self, cache: Path, rows: int) -> None:
        self.cache = cache
        self.rows = rows
        self.path = cache / RECIPE.store_name
        self.times: dict[str, tuple[float, float]] = {}

    def timed(self, name: str, do: Callable[[], Any]) -> Any:
        start, worked = time.perf_counter(), sum(os.times()[:4])  # of subprocesses, too
        result = do()
        self.times[name] = time.perf_counter() - start, sum(os.times()[:4]) - worked
        return result

    def make_store(self) -> None:
        create(self.path, RECIPE, (DIM, 1, 1), DIM)
        layout, _ = read_layout(self.path)
        self.timed("write the blocks", lambda: fill(layout, digests(self.rows)))

    def make_manifest(self) -> None:
        made = manifest(digests(self.rows))
        self.timed("save", lambda: datasets.save(self.cache, made))
        self.timed("save again", lambda: datasets.save(self.cache, made))

    def noop(self) -> None:
        made = self.timed("load the manifest", lambda: datasets.load(self.cache, NAME))
        store = FeatureStore.open(self.path)
        self.timed("read the index", lambda: store.index)
        self.timed("sort it", lambda: store.rows(made.digest[:1], made.item[:1]))
        rows = self.timed("look all rows up", lambda: store.rows(made.digest, made.item))
        if (rows[: self.rows] < 0).any():
            raise SystemExit("a row is missing")

    def lookup(self) -> None:
        store = FeatureStore.open(self.path)
        known, item = digests(self.rows), np.zeros(1000, np.uint16)
        some = known[np.random.default_rng(1).integers(0, self.rows, 1000)]
        self.timed("first lookup, the index unread", lambda: store.rows(some[:1], item[:1]))
        found = self.timed("1,000 digests", lambda: store.rows(some, item))
        new = self.timed("1,000 that are not there", lambda: store.rows(digests(1000, 1), item))
        if (found < 0).any() or (new >= 0).any():
            raise SystemExit("a lookup is wrong")
        self.timed(
            "1,000 one by one", lambda: [store.index.states_of(d.tobytes(), 1) for d in some]
        )

    def append_block(self) -> None:
        new = [(d.tobytes(), 0) for d in digests(1024, 2)]
        writer = self.timed(
            "open", lambda: StoreWriter(self.cache, RECIPE, (DIM, 1, 1), DIM, provenance={})
        )
        self.timed("append", lambda: writer.extend(new, np.ones((1024, DIM), np.float16)))
        self.timed("close", writer.close)

    def append_manifest(self) -> None:
        new = manifest(digests(1000, 3), self.rows)
        self.timed("append 1,000 rows", lambda: datasets.append(self.cache, new))

    def make_files(self) -> None:
        """A folder of as many files, and a cache that knows all of them."""
        photos = self.cache / "photos"
        old = time.time_ns() - 10**10  # younger files are not trusted
        for i in range(self.rows):
            path = photos / f"class{i % CLASSES:02}" / f"{i:08}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
            os.utime(path, ns=(old, old))
        first = self.cache / "first"
        first.mkdir()
        Image.new("RGB", (32, 32)).save(first / "one.png")
        subprocess.run(self.extract(first), check=True, capture_output=True)
        entries, digest = open_folder(photos).entries, digests(self.rows)
        with TokenIndex(self.cache) as tokens:
            found = zip(entries, digest, strict=True)
            tokens.put({e.token: (d.tobytes(), 1) for e, d in found if e.token is not None})
        [path] = self.cache.glob("squeezenet*.zarr")
        fill(read_layout(path)[0], digest)

    def extract(self, folder: Path) -> list[str]:
        return [
            sys.executable, "-m", "featx", "extract", str(folder), "--backbone", "squeezenet1_1",
            "--weights", "random", "--image-size", "32", "--pool", "avg", "--precision", "fp32",
            "--cache", str(self.cache), "--name", NAME,
        ]  # fmt: skip

    def rerun(self) -> None:
        command = self.extract(self.cache / "photos")
        self.timed("first", lambda: subprocess.run(command, check=True, capture_output=True))
        again = self.timed(
            "again", lambda: subprocess.run(command, check=True, capture_output=True)
        )
        if b"reused" not in again.stdout + again.stderr:
            raise SystemExit("something was computed")

    def peer_dict(self) -> None:
        keys = [d.tobytes() + bytes(2) for d in digests(self.rows)]
        table = self.timed("make", lambda: dict(zip(keys, range(self.rows), strict=True)))
        self.timed("look all up", lambda: [table.get(key, -1) for key in keys])

    def peer_pandas(self) -> None:
        keys = [d.tobytes() + bytes(2) for d in digests(self.rows)]
        index = self.timed("make", lambda: pd.Index(keys))
        self.timed("look all up", lambda: index.get_indexer(keys))

    def peer_pyarrow(self) -> None:
        buffer = pa.py_buffer(digests(self.rows))
        keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), self.rows, [None, buffer])
        self.timed("look all up", lambda: pc.index_in(keys, value_set=keys))

    def peer_sqlite(self) -> None:
        keys = [(d.tobytes() + bytes(2), i) for i, d in enumerate(digests(self.rows))]
        with closing(sqlite3.connect(self.cache / "peer.sqlite")) as db, db:
            db.execute("CREATE TABLE rows (key BLOB PRIMARY KEY, row INTEGER) WITHOUT ROWID")
            self.timed("make", lambda: db.executemany("INSERT INTO rows VALUES (?, ?)", keys))
            ask = "SELECT row FROM rows WHERE key = ?"
            self.timed("look all up", lambda: [db.execute(ask, key[:1]).fetchone() for key in keys])


def fresh(step: str, cache: Path, rows: int) -> None:
    """Run one step in a process of its own, and print what it took."""
    command = [sys.executable, __file__, "--step", step, "--cache", str(cache), "--rows", str(rows)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    answer = json.loads(told)
    times = answer["s"]
    wall, cpu = (sum(one[side] for one in times.values()) for side in (0, 1))
    parts = ", ".join(f"{name} {one[0]:.3g} ({one[1]:.3g})" for name, one in times.items())
    print(
        f"| {step} | {rows:,} | {wall:.2f} | {cpu:.2f} | {answer['peak_mib']:,} | {parts} |",
        flush=True,
    )


def one_step(step: str, cache: Path, rows: int) -> None:
    import resource

    steps = Steps(cache, rows)
    getattr(steps, step)()
    who = resource.RUSAGE_CHILDREN if step == "rerun" else resource.RUSAGE_SELF
    peak = resource.getrusage(who).ru_maxrss // 1024
    print(json.dumps({"s": steps.times, "peak_mib": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--peer-rows", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names of steps")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help="keep what is made here")
    given = parser.parse_args()
    if given.step:
        one_step(given.step, given.cache, given.rows)
        return
    print(machine("numpy", "pandas", "pyarrow"))
    print("\n| step | rows | seconds | of the CPU | peak MiB | parts, seconds (CPU) |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        cache = given.cache or Path(folder)
        steps = dict.fromkeys(
            ["make_store", "make_manifest", "noop", "lookup", "append_block", "append_manifest"],
            given.rows,
        )
        peers = [name for name in vars(Steps) if name.startswith("peer_")]
        steps |= dict.fromkeys(peers, given.peer_rows)
        steps |= dict.fromkeys(["make_files", "rerun"] if given.files else [], given.files)
        for step in given.only or steps:
            fresh(step, cache, steps[step])


if __name__ == "__main__":
    main()
