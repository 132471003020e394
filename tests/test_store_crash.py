"""A writer killed at any moment, and two writers at once."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import wait
from pathlib import Path

import numpy as np
import pytest
from helpers_store import ROWS, digest, fill, keys, small_blocks, vector, vectors, writer

from featx.errors import UsageError
from featx.store import SUPERSEDED, FeatureStore, committing
from featx.store import writer as writer_module

CHILD = Path(__file__).with_name("store_child.py")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small_blocks(monkeypatch)


N_WRITERS = 4
"""Of the child."""


def start(cache, n, pause_s, log, *stop):
    command = [sys.executable, str(CHILD), *map(str, (cache, n, pause_s, log, *stop))]
    env = {**os.environ, "PYTHONPATH": str(CHILD.parents[1])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def kill_at_random_moments(tmp_path, n_kills, n, seed):
    """Kill -9 ``n_kills`` times, let the last one finish, and judge the result."""
    cache, log, rng = tmp_path / "cache", tmp_path / "log", np.random.default_rng(seed)
    for _ in range(n_kills):
        with start(cache, n, 0.0005, log) as child:
            assert child.stdout.readline() == "begin\n"
            time.sleep(rng.uniform(0.0, 0.15))
            child.kill()
    with start(cache, n, 0.0, log) as child:
        last = child.communicate()[0].split()
    assert child.returncode == 0
    assert last[:2] == ["begin", "done"]
    appended = [int(line) for line in log.read_text().split()]
    redone = len(appended) - n
    # of each kill, the block being filled and the blocks being written at most
    assert redone <= n_kills * (1 + N_WRITERS) * ROWS
    assert max(Counter(appended).values()) <= n_kills + 1
    return cache


def compare(cache, undisturbed, n):
    [path] = cache.glob("*.zarr")
    store = FeatureStore.open(path)
    rows = store.rows(*keys(range(n)))
    expected = undisturbed.read(undisturbed.rows(*keys(range(n))))
    assert store.read(rows).tobytes() == expected.tobytes()
    assert store.counts()["done"] == n
    assert store.check() == []
    assert not list(store.path.rglob(".*"))


def test_killed_twice_equals_undisturbed(tmp_path):
    cache = kill_at_random_moments(tmp_path, 2, 120, seed=1)
    compare(cache, fill(tmp_path / "calm", range(120)), 120)


@pytest.mark.parametrize("step", ["features", "item", "grow", "state"])
@pytest.mark.parametrize("block", [0, 2])
def test_killed_while_several_blocks_are_in_flight(tmp_path, step, block):
    """Those after the stopped block have all but their state, and none of them is there."""
    cache, n = tmp_path / "cache", 10 * ROWS
    with start(cache, n, 0.0, tmp_path / "log", step, block) as child:
        assert [child.stdout.readline() for _ in "12"] == ["begin\n", "stopped\n"]
        child.kill()
    [path] = cache.glob("*.zarr")
    reader = FeatureStore.open(path)
    in_flight = range(block, block + N_WRITERS)
    assert set(in_flight[1:]) <= set(reader.layout.chunk_sizes("item"))
    assert set(reader.layout.chunk_sizes("state")) == set(range(block))
    found = reader.rows(*keys(range(n)))
    assert found.tolist() == [*range(block * ROWS), *[-1] * (n - block * ROWS)]
    assert reader.check() == []
    rows = fill(cache, range(n)).rows(*keys(range(n)))
    assert rows[block * ROWS :].min() == in_flight.stop * ROWS
    compare(cache, fill(tmp_path / "calm", range(n)), n)


@pytest.mark.slow
def test_killed_ten_times_equals_undisturbed(tmp_path):
    cache = kill_at_random_moments(tmp_path, 10, 1500, seed=2)
    compare(cache, fill(tmp_path / "calm", range(1500)), 1500)


class KilledError(BaseException):
    """Stands for the kill, at a chosen step."""


def append_slowly(w, numbers):
    for i in numbers:
        w.append(digest(i), 0, vector(i))
        w._committer.wait()
    w.close()


STEPS = ["features", "digest", "item", "grow", "runs", "state"]


@pytest.mark.parametrize("after", STEPS)
@pytest.mark.parametrize("block", [0, 1])
def test_stopped_after_each_step_of_a_block(tmp_path, monkeypatch, after, block):
    """The exact moments that a random kill may miss."""

    def stopping(function, step):
        def stop(layout, *args):
            function(layout, *args)
            if step == after or (args and args[0] == after):
                number = args[0] if step == "grow" else args[1] if len(args) > 1 else None
                if number is None or number == (block + 1 if step == "grow" else block):
                    raise KilledError

        return stop

    monkeypatch.setattr(committing, "write_chunk", stopping(committing.write_chunk, ""))
    monkeypatch.setattr(committing, "grow", stopping(committing.grow, "grow"))
    monkeypatch.setattr(writer_module, "write_runs", stopping(writer_module.write_runs, "runs"))
    w = writer(tmp_path)
    with pytest.raises(KilledError):
        append_slowly(w, range(3 * ROWS))
    w._lock.release()
    monkeypatch.undo()
    small_blocks(monkeypatch)
    done = ROWS * (block + (after == "state")) if after != "runs" else 0
    reader = FeatureStore.open(w.store.path)
    assert (reader.rows(*keys(range(3 * ROWS))) >= 0).sum() == done
    assert reader.check() == []
    store = fill(tmp_path, range(3 * ROWS))
    assert np.array_equal(store.read(store.rows(*keys(range(3 * ROWS)))), vectors(range(3 * ROWS)))
    assert store.check() == []
    assert all(run["closed"] for run in store.runs)


def test_the_number_of_an_unfinished_block_is_not_given_again(tmp_path, monkeypatch):
    def stop(*args):
        if args[1] == "state":
            raise KilledError
        original(*args)

    original = committing.write_chunk
    monkeypatch.setattr(committing, "write_chunk", stop)
    w = writer(tmp_path)
    w.append(digest(0), 0, vector(0))
    with pytest.raises(KilledError):
        w.close()
    monkeypatch.setattr(committing, "write_chunk", original)
    store = fill(tmp_path, [0])
    assert store.rows(*keys([0])).tolist() == [ROWS]
    assert (store.states(np.arange(ROWS)) == SUPERSEDED).all()
    assert not store.layout.chunk("features", 0).exists()


def test_half_written_files_of_a_kill_are_deleted(tmp_path):
    store = fill(tmp_path, range(3))
    leftover = store.layout.chunk("features", 1).with_name(".0.abc.tmp")
    leftover.parent.mkdir()
    leftover.write_bytes(b"half a chunk")
    fill(tmp_path, [])
    assert not leftover.exists()


def test_second_writer_waits_and_then_sees_the_rows_of_the_first(tmp_path):
    said = []
    with writer(tmp_path) as first:
        second = start(tmp_path, 20, 0.0, tmp_path / "log")
        assert second.stdout.readline() == "waiting\n"
        for i in range(12):
            first.append(digest(i), 0, vector(i))
    assert second.communicate(timeout=60)[0].split() == ["begin", "done", "8"]
    with writer(tmp_path, on_wait=lambda: said.append(1)) as third:
        assert (third.store.rows(*keys(range(20))) >= 0).all()
    assert said == []


def test_two_writers_of_one_process_take_turns(tmp_path):
    said, order = [], []

    def second():
        with writer(tmp_path, on_wait=lambda: said.append(1)) as w:
            order.append(int((w.store.rows(*keys(range(5))) >= 0).sum()))

    thread = threading.Thread(target=second)
    with writer(tmp_path) as w:
        thread.start()
        while not said:
            time.sleep(0.01)
        for i in range(5):
            w.append(digest(i), 0, vector(i))
    thread.join()
    assert (said, order) == ([1], [5])


def append_block(w):
    for i in range(ROWS):
        w.append(digest(i), 0, vector(i))


def test_errors_of_the_writing_thread_reach_the_next_append(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr(committing, "write_chunk", fail)
    w = writer(tmp_path)
    append_block(w)
    assert wait(w._committer._pending, timeout=60).done
    with pytest.raises(RuntimeError, match="boom"):
        w.append(digest(0), 0, vector(0))
    with pytest.raises(UsageError, match="open another"):
        w.append(digest(0), 0, vector(0))
    w.close()  # said once is enough; the lock is free
    monkeypatch.undo()
    small_blocks(monkeypatch)
    assert fill(tmp_path, range(5)).counts()["done"] == 5


def test_errors_of_the_last_block_reach_close(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr(committing, "write_chunk", fail)
    w = writer(tmp_path)
    w.append(digest(0), 0, vector(0))
    with pytest.raises(RuntimeError, match="boom"):
        w.close()
    monkeypatch.undo()
    small_blocks(monkeypatch)
    fill(tmp_path, range(1))
