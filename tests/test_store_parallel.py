"""Several blocks in flight: written at once, committed in order, whatever fails."""

import contextlib
import itertools
import math
import threading

import numpy as np
import pytest
from helpers_store import ROWS, digest, fill, keys, small_blocks, vector, vectors, writer

from featx.errors import UsageError
from featx.store import FeatureStore, committing

WAIT_S = 60.0
"""Where a test would hang otherwise."""


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small_blocks(monkeypatch)


def append_blocks(w, n_blocks):
    for i in range(n_blocks * ROWS):
        w.append(digest(i), 0, vector(i))


def patch(monkeypatch, before=lambda *_: None, after=lambda *_: None):
    """Call ``before`` and ``after`` with (step, block) around each step of a commit."""
    write_chunk, grow = committing.write_chunk, committing.grow

    def patched_write(layout, array, block, values):
        before(array, block)
        write_chunk(layout, array, block, values)
        after(array, block)

    def patched_grow(layout, n_blocks):
        before("grow", n_blocks - 1)
        grow(layout, n_blocks)
        after("grow", n_blocks - 1)

    monkeypatch.setattr(committing, "write_chunk", patched_write)
    monkeypatch.setattr(committing, "grow", patched_grow)


def reopened(monkeypatch, w):
    """Give what a reader finds, and the store after another writer has finished the rest."""
    monkeypatch.undo()
    small_blocks(monkeypatch)
    reader = FeatureStore.open(w.store.path)
    assert reader.check() == []
    n_found = int((reader.rows(*keys(range(6 * ROWS))) >= 0).sum())
    store = fill(w.store.path.parent, range(6 * ROWS))
    rows = store.rows(*keys(range(6 * ROWS)))
    assert np.array_equal(store.read(rows), vectors(range(6 * ROWS)))
    assert store.check() == []
    assert all(run["closed"] for run in store.runs)
    return n_found, rows


def test_as_many_blocks_as_threads_are_written_at_once(tmp_path, monkeypatch):
    together = threading.Barrier(3)

    def before(step, block):
        if step == "features":
            together.wait(WAIT_S)  # raises if they do not come together

    patch(monkeypatch, before)
    with writer(tmp_path, n_writers=3) as w:
        append_blocks(w, 6)
    assert w.store.rows(*keys(range(6 * ROWS))).tolist() == list(range(6 * ROWS))


@pytest.mark.parametrize("n_writers", [1, 3])
def test_no_more_blocks_are_in_flight_than_threads(tmp_path, n_writers):
    with writer(tmp_path, n_writers=n_writers) as w:
        for i in range(20 * ROWS):
            w.append(digest(i), 0, vector(i))
            assert w._number - w._committer.next <= n_writers
    assert w.store.counts()["blocks"] == 20


def test_blocks_become_visible_in_their_order(tmp_path, monkeypatch):
    written, steps, seen = threading.Semaphore(0), [], []

    def before(step, block):
        if (step, block) == ("features", 0):
            for _ in range(2):
                assert written.acquire(timeout=WAIT_S)
            seen.append(int((FeatureStore.open(w.store.path).index.state != 0).sum()))

    def after(step, block):
        if step == "item":
            written.release()
        if step in ("grow", "state"):
            steps.append((step, block))

    patch(monkeypatch, before, after)
    with writer(tmp_path, n_writers=3) as w:
        append_blocks(w, 5)
    assert seen == [0]
    assert steps == [(step, block) for block in range(5) for step in ("grow", "state")]
    assert np.array_equal(w.store.read(np.arange(5 * ROWS)), vectors(range(5 * ROWS)))


@pytest.mark.parametrize("step", ["features", "digest", "item", "grow", "state"])
@pytest.mark.parametrize("block", [0, 1, 3])
def test_a_block_after_one_that_failed_is_not_committed(tmp_path, monkeypatch, step, block):
    beside = threading.Event()

    def after(done, number):
        if (done, number) == ("item", block + 1):
            beside.set()
        if (done, number) == (step, block):
            assert beside.wait(WAIT_S)
            raise RuntimeError("boom")

    patch(monkeypatch, after=after)
    w = writer(tmp_path, n_writers=3)
    with pytest.raises(RuntimeError, match="boom"), w:
        append_blocks(w, 6)
    w.close()  # said once is enough
    n_found, rows = reopened(monkeypatch, w)
    committed = block + (step == "state")
    assert n_found == committed * ROWS
    assert rows[: committed * ROWS].tolist() == list(range(committed * ROWS))
    assert rows[committed * ROWS :].min() >= (block + 2) * ROWS  # no number comes twice


def test_blocks_before_one_that_failed_are_committed(tmp_path, monkeypatch):
    """The first is still being written then, the second waits for its turn."""
    beside = threading.Event()

    def before(step, block):
        if (step, block) == ("features", 0):
            committer = w._committer
            with committer._turn:
                assert committer._turn.wait_for(lambda: committer._failed < math.inf, WAIT_S)
        if (step, block) == ("features", 2):
            assert beside.wait(WAIT_S)
            raise RuntimeError("boom")

    def after(step, block):
        if (step, block) == ("item", 1):
            beside.set()

    patch(monkeypatch, before, after)
    w = writer(tmp_path, n_writers=3)
    with pytest.raises(RuntimeError, match="boom"), w:
        append_blocks(w, 3)
    assert reopened(monkeypatch, w)[0] == 2 * ROWS


def test_of_several_errors_the_first_block_s_is_raised_once(tmp_path, monkeypatch):
    together = threading.Barrier(3)

    def before(step, block):
        together.wait(WAIT_S)
        raise RuntimeError(f"boom {block}")

    patch(monkeypatch, before)
    w = writer(tmp_path, n_writers=3)
    with pytest.raises(RuntimeError, match="boom 0"):
        append_blocks(w, 4)
    w.flush()
    w.start_run({"engine": "other"})
    with pytest.raises(UsageError, match="could not be written"):
        w.append(digest(0), 0, vector(0))
    w.close()
    assert reopened(monkeypatch, w)[0] == 0


def test_a_flush_waits_for_all_blocks_and_a_run_begins_after_them(tmp_path):
    with writer(tmp_path, n_writers=3) as w:
        append_blocks(w, 3)
        w.start_run({"engine": "other"})
        assert w.store.counts()["done"] == 3 * ROWS
        w.append(digest(99), 0, vector(99))
    assert [run["blocks"] for run in w.store.runs] == [[[0, 3]], [[3, 4]]]


def test_a_block_handed_over_again_after_an_interrupt_is_there_once(tmp_path, monkeypatch):
    submit, reserve = committing.Committer.submit, committing.reserve
    both = threading.Barrier(2)

    def together(*args):  # where both threads would reserve it, both have found it free
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        return reserve(*args)

    def interrupted(self, block):
        submit(self, block)
        monkeypatch.undo()
        monkeypatch.setattr(committing, "reserve", together)
        raise KeyboardInterrupt

    with writer(tmp_path, n_writers=3) as w:
        monkeypatch.setattr(committing.Committer, "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            append_blocks(w, 1)
        small_blocks(monkeypatch)
    assert w.store.counts() == {"done": ROWS, "undecodable": 0, "superseded": 0, "blocks": 1}
    assert np.array_equal(w.store.read(np.arange(ROWS)), vectors(range(ROWS)))


def test_what_the_threads_took_is_added_up(tmp_path, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(committing, "perf_counter", lambda: float(next(clock)))
    with writer(tmp_path, n_writers=1) as w:
        assert (w.busy_s, w.n_writers) == (0.0, 1)
        append_blocks(w, 4)
    assert w.busy_s == 4.0


def test_a_writer_has_at_least_one_thread(tmp_path):
    assert 1 <= writer(tmp_path / "a").n_writers <= 4
    with pytest.raises(UsageError, match="at least 1"):
        writer(tmp_path, n_writers=0)
