"""Compaction: the same data in fewer blocks, whenever it is stopped."""

import shutil
import sys
import threading

import numpy as np
import pytest
from helpers_store import ROWS, digest, fill, keys, small_blocks, vector, vectors, writer

from featx._types import Silent
from featx.errors import CorruptStoreError
from featx.store import FeatureStore, committing, compact
from featx.store import repair as repair_module
from featx.store import writer as writer_module
from featx.store.chunks import read_chunk

N = 20


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small_blocks(monkeypatch)


def fragmented(cache, pieces=N // 2, **options):
    """Some blocks of two rows, a block of three failures, and a whole block."""
    for start in range(0, 2 * pieces, 2):
        fill(cache, range(start, start + 2), **options)
    with writer(cache) as w:
        for i in range(3):
            w.append_failure(digest(100 + i), i, f"reason {i}")
    fill(cache, range(200, 200 + ROWS))
    return FeatureStore.open(w.store.path)


def content(store, n=N):
    numbers = [*range(n), *range(200, 200 + ROWS)]
    failures = keys(range(100, 103))[0], np.arange(3, dtype=np.uint16)
    rows = store.rows(*failures)
    vectors_ = store.read(store.rows(*keys(numbers)))
    return vectors_.tobytes(), store.states(rows).tolist(), store.reasons(rows)


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_compact_keeps_the_data_and_frees_room(tmp_path, compression):
    store = fragmented(tmp_path, compression=compression)
    before, size, last = content(store), store.size_bytes(), len(store.index.state)
    result = compact(tmp_path, store.path, Silent())
    assert (result.moved_rows, result.freed_blocks) == (N + 3, 11)
    assert result.freed_bytes == size - store.size_bytes()
    new = FeatureStore.open(store.path)
    assert content(new) == before
    assert new.counts() == {
        "done": N + ROWS,
        "undecodable": 3,
        "superseded": N + 3,
        "blocks": 12 + 3,
    }
    moved = new.rows(*keys(range(N)))
    assert (moved >= last).all()
    assert new.rows(*keys(range(200, 200 + ROWS))).tolist() == list(range(88, 96))
    assert new.check() == []
    assert np.array_equal(new.read(moved), vectors(range(N)))
    assert new.layout.compression == compression


def test_compact_has_nothing_to_do_twice(tmp_path):
    store = fragmented(tmp_path)
    compact(tmp_path, store.path, Silent())
    again = compact(tmp_path, store.path, Silent())
    assert (again.moved_rows, again.freed_blocks, again.freed_bytes) == (0, 0, 0)
    assert compact(tmp_path, fill(tmp_path, []).path, Silent()).moved_rows == 0


def test_compact_of_an_empty_store(tmp_path):
    store = fill(tmp_path, [])
    assert compact(tmp_path, store.path, Silent()).moved_rows == 0


def test_rows_of_different_provenance_stay_apart(tmp_path):
    for i in range(6):
        fill(tmp_path, [i], provenance={"engine": "ab"[i % 2]})
    store = fill(tmp_path, [])
    compact(tmp_path, store.path, Silent())
    store.refresh()
    rows = store.rows(*keys(range(6)))
    by_block = {
        block: run["provenance"]["engine"]
        for run in store.runs
        for start, stop in run["blocks"]
        for block in range(start, stop)
    }
    assert [by_block[row // ROWS] for row in rows] == list("ababab")
    assert len(set(rows // ROWS)) == 2


class KilledError(BaseException):
    """Stands for the kill."""


def stopping(patch, after):
    """Kill before change number ``after`` to the disk; other threads make no change then either."""
    done, counting = [0], threading.Lock()

    def counted(function):
        def change(*args):
            with counting:
                if done[0] == after:
                    raise KilledError
                done[0] += 1
            function(*args)

        return change

    for module, names in (
        (committing, ("write_chunk", "grow")),
        (writer_module, ("write_runs",)),
        (repair_module, ("write_chunk", "delete_values", "write_runs")),
    ):
        for name in names:
            patch.setattr(module, name, counted(getattr(module, name)))
    patch.setattr(sys.modules["featx.store.compact"], "delete_values", repair_module.delete_values)
    return done


def test_compact_killed_before_each_of_its_changes_loses_nothing(tmp_path):
    original = fragmented(tmp_path / "original", pieces=4)
    before = content(original, 8)
    for after in range(10**6):
        cache = tmp_path / str(after)
        shutil.copytree(tmp_path / "original", cache)
        path = cache / original.path.name
        with pytest.MonkeyPatch.context() as patch:
            stopping(patch, after)
            try:
                compact(cache, path, Silent())
            except KilledError:
                killed = FeatureStore.open(path)
                assert content(killed, 8) == before
                assert killed.check() == []
            else:
                break
        compact(cache, path, Silent())
        final = FeatureStore.open(path)
        assert content(final, 8) == before
        assert final.check() == []
        assert final.counts()["done"] == 8 + ROWS
        assert len(final.layout.chunk_sizes("features")) <= 4
    assert after > 20


def test_compact_refuses_to_move_what_is_damaged(tmp_path):
    store = fragmented(tmp_path)
    file = store.layout.chunk("features", 3)
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.write_bytes(data)
    with pytest.raises(CorruptStoreError, match="features block 3"):
        compact(tmp_path, store.path, Silent())
    repaired = fill(tmp_path, range(N))
    assert np.array_equal(repaired.read(repaired.rows(*keys(range(N)))), vectors(range(N)))
    compact(tmp_path, store.path, Silent())
    repaired.refresh()
    assert np.array_equal(repaired.read(repaired.rows(*keys(range(N)))), vectors(range(N)))
    assert repaired.check() == []


def test_compact_says_that_it_waits(tmp_path):
    store = fragmented(tmp_path)
    said = []

    class Saying(Silent):
        def say(self, message):
            said.append(message)

    with writer(tmp_path):
        thread = threading.Thread(target=compact, args=(tmp_path, store.path, Saying()))
        thread.start()
        while not said:
            thread.join(0.01)
    thread.join()
    assert "waiting for another featx" in said[0]


def test_dead_blocks_keep_their_state_only(tmp_path):
    store = fragmented(tmp_path)
    compact(tmp_path, store.path, Silent())
    assert set(store.layout.chunk_sizes("state")) == set(range(15))
    for array in ("features", "digest", "item"):
        assert set(store.layout.chunk_sizes(array)) == {11, 12, 13, 14}
    assert read_chunk(store.layout, "state", 0).shape == (ROWS,)
    with writer(tmp_path) as w:
        w.append(digest(999), 0, vector(999))
    assert w.store.rows(*keys([999])).tolist() == [15 * ROWS]
