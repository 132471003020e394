"""Every kind of damage to a chunk of every array is seen, named and repaired."""

import errno
from pathlib import Path

import numpy as np
import pytest
from helpers_store import ROWS, digest, fill, keys, small_blocks, vector, vectors, writer

from featx.errors import CorruptStoreError
from featx.store import EMPTY, FeatureStore, chunks, layout
from featx.store import check as check_module
from featx.store.chunks import Damage, marked_blocks, read_chunk, read_chunks, write_chunk
from featx.store.index import load_index
from featx.store.repair import delete_values, supersede

N = 3 * ROWS - 2


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)


def truncate(file):
    file.write_bytes(file.read_bytes()[:-5])


def empty(file):
    file.write_bytes(b"")


def delete(file):
    file.unlink()


KINDS = {f.__name__: f for f in (flip, truncate, empty, delete)}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small_blocks(monkeypatch)


@pytest.fixture(params=["zstd", "none"])
def store(tmp_path, request):
    return fill(tmp_path, range(N), compression=request.param)


def read(store, numbers):
    """As a view does: look the keys up, then read."""
    store = FeatureStore.open(store.path)
    return store.read(store.rows(*keys(numbers)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("array", layout.ARRAYS)
@pytest.mark.parametrize("block", [1, 2])
def test_damage_raises_is_named_and_repaired(store, kind, array, block):
    file = store.layout.chunk(array, block)
    before = store.fingerprint(store.rows(*keys(range(N))))
    KINDS[kind](file)
    permuted = np.random.default_rng(0).permutation(N)
    for numbers in ([block * ROWS], permuted, range(N)):
        with pytest.raises(CorruptStoreError, match=f"{array} block {block} of .* is damaged"):
            read(store, numbers)
    damages = FeatureStore.open(store.path).check()
    assert [(d.array, d.block, d.file) for d in damages] == [(array, block, file)]

    repaired = fill(store.path.parent, range(N))
    rows = repaired.rows(*keys(range(N)))
    assert np.array_equal(repaired.read(rows), vectors(range(N)))
    lost = [i for i in range(N) if i // ROWS == block]
    assert (rows[lost] >= 3 * ROWS).all()
    assert np.array_equal(np.delete(rows, lost), np.delete(np.arange(N), lost))
    assert repaired.fingerprint(rows) != before
    assert repaired.check() == []
    assert marked_blocks(repaired.layout) == set()


@pytest.mark.parametrize("kind", ["empty", "delete"])
def test_a_missing_or_empty_chunk_is_repaired_though_nobody_read_it(store, kind):
    for block, array in enumerate(("features", "digest", "item")):
        KINDS[kind](store.layout.chunk(array, block))
    repaired = fill(store.path.parent, range(N))
    assert np.array_equal(read(repaired, range(N)), vectors(range(N)))
    assert repaired.check() == []


def test_a_store_knows_without_its_lock_whether_it_needs_a_repair(store):
    fresh = FeatureStore.open(store.path)
    assert not fresh.needs_repair()
    flip(store.layout.chunk("features", 0))
    assert not fresh.needs_repair()  # features are not read for this
    store.check()
    assert fresh.needs_repair()
    assert not fill(store.path.parent, range(N)).needs_repair()
    for array in layout.ARRAYS:
        delete(store.layout.chunk(array, max(store.layout.chunk_sizes("features"))))
        assert FeatureStore.open(store.path).needs_repair()
        fill(store.path.parent, range(N))


def test_other_rows_of_a_store_with_damaged_features_are_still_served(store):
    flip(store.layout.chunk("features", 1))
    assert np.array_equal(read(store, range(ROWS)), vectors(range(ROWS)))


def test_the_last_state_chunk_of_a_closed_run_is_missed(store):
    """Without the record of where the run stops it would look like a block in flight."""
    delete(store.layout.chunk("state", 2))
    with pytest.raises(CorruptStoreError, match=r"state block 2 .* missing"):
        FeatureStore.open(store.path).rows(*keys([0]))


def test_a_chunk_of_nan_with_a_valid_checksum_is_refused(store):
    values = read_chunk(store.layout, "features", 0).copy()
    values[3, 5] = np.nan
    write_chunk(store.layout, "features", 0, values)
    assert np.array_equal(read(store, [0, 1]), vectors([0, 1]))
    with pytest.raises(CorruptStoreError, match="not finite"):
        read(store, [3])
    [damage] = store.check()
    assert (damage.array, damage.block) == ("features", 0)
    assert np.array_equal(read(fill(store.path.parent, range(N)), range(N)), vectors(range(N)))


@pytest.mark.parametrize("content", [b"no zstd frame", None])
def test_a_valid_checksum_over_something_else_is_refused(store, content):
    import google_crc32c
    from numcodecs.zstd import Zstd

    content = content or Zstd(level=1).encode(b"too short")
    crc = google_crc32c.value(content).to_bytes(4, "little")
    store.layout.chunk("features", 0).write_bytes(content + crc)
    with pytest.raises(CorruptStoreError, match=r"holds .*, expected"):
        read(store, [0])


def test_a_mark_without_damage_costs_nothing(store):
    chunks.mark(store.layout, chunks.Damage("features", 0, Path(), ""))
    chunks.mark(store.layout, chunks.Damage("features", 77, Path(), ""))
    repaired = fill(store.path.parent, range(N))
    assert repaired.rows(*keys(range(N))).tolist() == list(range(N))
    assert marked_blocks(repaired.layout) == set()


def test_a_reader_that_cannot_mark_still_raises(store):
    (store.path.parent / "damaged").write_text("in the way")
    flip(store.layout.chunk("features", 0))
    with pytest.raises(CorruptStoreError, match="checksum"):
        read(store, [0])


def test_an_old_reader_is_told_that_its_rows_moved(store):
    old = FeatureStore.open(store.path)
    rows = old.rows(*keys(range(N)))
    flip(store.layout.chunk("features", 1))
    store.check()
    fill(store.path.parent, range(N))
    with pytest.raises(CorruptStoreError, match=r"moved or repaired.*refresh"):
        old.read(rows)
    assert marked_blocks(store.layout) == set()
    old.refresh()
    assert np.array_equal(old.read(old.rows(*keys(range(N)))), vectors(range(N)))


def test_an_index_that_cannot_be_trusted_says_what_is_lost(store):
    flip(store.layout.chunk("item", 1))
    index, [damage] = load_index(store.layout, store.runs)
    assert (damage.array, damage.block) == ("item", 1)
    assert (index.state[ROWS : 2 * ROWS] == EMPTY).all()


def test_superseding_in_a_damaged_state_chunk_raises(tmp_path):
    with writer(tmp_path) as w:
        w.append_failure(digest(0), 0, "truncated")
        w.flush()
        w.append(digest(0), 0, vector(0))
        flip(w.store.layout.chunk("state", 0))
        with pytest.raises(CorruptStoreError, match="state block 0"):
            w.supersede_shadowed()


def test_a_state_chunk_that_is_lost_while_it_is_changed_raises(tmp_path):
    with writer(tmp_path) as w:
        w.append(digest(0), 0, vector(0))
        w.append_failure(digest(1), 0, "truncated")
        w.flush()
        assert len(w.store.index.state) == ROWS
        flip(w.store.layout.chunk("state", 0))
        with pytest.raises(CorruptStoreError, match="state block 0"):
            supersede(w.store.layout, np.array([1]))


@pytest.mark.parametrize(("code", "error"), [("EIO", CorruptStoreError), ("EACCES", OSError)])
def test_a_disk_error_is_damage_and_a_permission_is_not(store, monkeypatch, code, error):
    fresh = FeatureStore.open(store.path)
    rows = fresh.rows(*keys([0]))

    def fail(self, mode):
        raise OSError(getattr(errno, code), "as simulated")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(error, match="as simulated"):
        fresh.read(rows)
    monkeypatch.undo()
    assert bool(marked_blocks(store.layout)) == (code == "EIO")


@pytest.mark.parametrize("module", [chunks, check_module])
def test_a_block_that_is_retired_while_it_is_read_is_no_damage(store, monkeypatch, module):
    read = module.read_chunk

    def retired_meanwhile(layout, array, block):
        values = read(layout, array, block)
        if (array, block) == ("state", 1) and layout.chunk("digest", 1).exists():
            supersede(layout, np.arange(ROWS, 2 * ROWS))
            delete_values(layout, 1)
        return values

    monkeypatch.setattr(module, "read_chunk", retired_meanwhile)
    fresh = FeatureStore.open(store.path)
    assert fresh.check() == []
    assert fresh.rows(*keys([0, ROWS, 2 * ROWS])).tolist() == [0, -1, 2 * ROWS]
    assert marked_blocks(store.layout) == set()


def test_many_chunks_are_read_in_the_order_they_are_asked_for(tmp_path):
    n_blocks = 3 * chunks._A_TASK + 5  # more than one thread gets
    store = fill(tmp_path, range(n_blocks * ROWS))
    flip(store.layout.chunk("item", 40))
    delete(store.layout.chunk("digest", 70))
    order = [*range(n_blocks - 1, -1, -1), 3]
    read = read_chunks(store.layout, "digest", order)
    for block, values in zip(order, read, strict=True):
        if block == 70:
            assert isinstance(values, Damage)
        else:
            assert values[0].tobytes() == digest(block * ROWS)
    index, damages = load_index(store.layout, store.runs)
    assert [(d.array, d.block) for d in damages] == [("item", 40), ("digest", 70)]
    lost = np.isin(np.arange(n_blocks * ROWS) // ROWS, [40, 70])
    found = index.find(*keys(range(n_blocks * ROWS)))
    assert (found == np.where(lost, -1, np.arange(len(lost)))).all()
    assert not index.digest[lost].any()
