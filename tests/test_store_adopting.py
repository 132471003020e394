"""Blocks that workers write and the holder of the lock commits, in any order, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers_store import DIM, PROVENANCE, RECIPE, ROWS, digest, fill, keys, small_blocks, vectors

from featx.costs import PassCost
from featx.errors import CacheWriteError
from featx.store import (
    DONE,
    SUPERSEDED,
    Adopter,
    Block,
    FeatureStore,
    StoreWriter,
    Written,
    write_reserved,
)
from featx.store.adopting import _include


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch)


def adopter(cache: Path) -> Adopter:
    return Adopter(cache, RECIPE, (3, 2, 2), DIM)


def work(store: FeatureStore, numbers: range, hint: int) -> Written:
    """Do what a worker does: fill a block, and write it under a number that is free."""
    block = Block.empty(store.layout, -1)
    block.put([(digest(i), 0) for i in numbers], vectors(numbers))
    return write_reserved(store.layout, block, hint)


def states(store: FeatureStore, numbers: range) -> list[int]:
    return store.states(store.rows(*keys(numbers))).tolist()


def holds(path: Path, numbers: range) -> bool:
    store = FeatureStore.open(path)
    rows = store.rows(*keys(numbers))
    same = np.array_equal(store.read(rows), vectors(numbers))
    return same and store.check() == [] and not store.needs_repair()


def test_blocks_are_committed_in_any_order(tmp_path: Path) -> None:
    with adopter(tmp_path) as lead:
        first = work(lead.store, range(8), lead.first)
        second = work(lead.store, range(8, 16), lead.first)
        assert (first.number, second.number) == (0, 1)
        lead.adopt(second, PROVENANCE)
        meanwhile = FeatureStore.open(lead.store.path)
        assert (meanwhile.rows(*keys(range(16))) >= 0).tolist() == [False] * 8 + [True] * 8
        assert meanwhile.check() == []
        lead.adopt(first, PROVENANCE)
    assert holds(lead.store.path, range(16))
    [run] = FeatureStore.open(lead.store.path).runs
    assert (run["blocks"], run["closed"], run["provenance"]) == ([[1, 2], [0, 1]], True, PROVENANCE)


def test_of_workers_at_once_each_gets_its_own_number(tmp_path: Path) -> None:
    with adopter(tmp_path) as lead, ThreadPoolExecutor(8) as pool:
        parts = [range(i, i + 5) for i in range(0, 200, 5)]
        written = list(pool.map(lambda part: work(lead.store, part, 0), parts))
        assert sorted(one.number for one in written) == list(range(40))
        for one in written:
            lead.adopt(one, PROVENANCE)
    assert holds(lead.store.path, range(200))


def test_a_block_that_nobody_adopts_is_buried(tmp_path: Path) -> None:
    with adopter(tmp_path) as lead:
        lost = work(lead.store, range(8), 0)
        again = work(lead.store, range(8), 0)
        lead.adopt(again, PROVENANCE)
        lead.record_cost(PassCost("aa", 8, 2.0))
    store = FeatureStore.open(lead.store.path)
    assert (lost.number, again.number) == (0, 1)
    assert store.index.state[:ROWS].tolist() == [SUPERSEDED] * ROWS
    assert not store.layout.chunk("features", 0).exists()
    assert store.counts()["done"] == 8
    assert holds(store.path, range(8))
    assert store.runs[0]["cost"]["rows"] == 8
    fill(tmp_path, range(16))  # and a writer goes on behind it
    assert holds(store.path, range(16))


def test_an_image_that_two_workers_brought_is_there_once(tmp_path: Path) -> None:
    with adopter(tmp_path) as lead:
        for part in (range(8), range(4, 12)):
            lead.adopt(work(lead.store, part, 0), PROVENANCE)
    store = FeatureStore.open(lead.store.path)
    assert store.counts()["done"] == 12
    assert states(store, range(12)) == [DONE] * 12
    assert holds(store.path, range(12))


def test_blocks_of_several_provenances_are_several_runs(tmp_path: Path) -> None:
    with adopter(tmp_path) as lead:
        for i, name in enumerate("abba"):
            lead.adopt(work(lead.store, range(8 * i, 8 * i + 8), 0), {"engine": name})
    runs = FeatureStore.open(lead.store.path).runs
    assert [(r["provenance"]["engine"], r["blocks"]) for r in runs] == [
        ("a", [[0, 1], [3, 4]]),
        ("b", [[1, 3]]),
    ]


def test_ranges_keep_the_first_block_in_front() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        ranges: list[list[int]] = []
        numbers = rng.permutation(12)[:9].tolist()
        for i, number in enumerate(numbers):
            _include(ranges, number)
            told = [block for start, stop in ranges for block in range(start, stop)]
            assert sorted(told) == sorted(numbers[: i + 1])
            assert ranges[0][0] == numbers[0]
    assert ranges[1:] == sorted(ranges[1:])


def test_a_leader_that_dies_leaves_what_it_committed(tmp_path: Path) -> None:
    lead = adopter(tmp_path)
    written = [work(lead.store, range(8 * i, 8 * i + 8), 0) for i in range(4)]
    for i in (3, 1):
        lead.adopt(written[i], PROVENANCE)
    lead._lock.release()  # as the system does for a process that is killed
    store = FeatureStore.open(lead.store.path)
    assert store.counts()["done"] == 16
    assert store.check() == []
    fill(tmp_path, range(32))
    assert holds(store.path, range(32))
    store = FeatureStore.open(lead.store.path)
    assert store.counts() == {"done": 32, "undecodable": 0, "superseded": 16, "blocks": 6}
    assert all(run["closed"] for run in store.runs)


def test_a_worker_that_outlives_its_leader_harms_nobody(tmp_path: Path) -> None:
    with adopter(tmp_path) as lead:
        lead.adopt(work(lead.store, range(8), 0), PROVENANCE)
    work(lead.store, range(8, 16), 0)  # nobody is there to adopt it
    assert holds(lead.store.path, range(8))
    assert FeatureStore.open(lead.store.path).counts()["done"] == 8
    fill(tmp_path, range(24))
    assert holds(lead.store.path, range(24))


def test_a_writer_stops_before_a_number_that_somebody_took(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, RECIPE, (3, 2, 2), DIM, provenance=PROVENANCE) as writer:
        work(writer.store, range(90, 98), 0)  # a worker of a run that is over
        writer.extend([(digest(i), 0) for i in range(4)], vectors(range(4)))
        with pytest.raises(CacheWriteError, match="does not hold the lock"):
            writer.flush()
    fill(tmp_path, range(16))
    assert holds(writer.store.path, range(16))
