"""A full disk and a read-only one: said clearly, and nothing that was done is lost."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers_store import RECIPE, ROWS, digest, fill, keys, small_blocks, vector, vectors, writer

from featx import _files
from featx.errors import CacheWriteError
from featx.store import FeatureStore, StoreWriter


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small_blocks(monkeypatch)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB; yields (folder, remount)."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if sys.platform != "linux" or os.geteuid() != 0 or not mount("size=1m"):
        pytest.skip("needs the right to mount a tmpfs")
    yield folder, lambda *options: mount("remount", *options)
    subprocess.run(["umount", str(folder)], check=True)


def big(i):
    return np.random.default_rng(i).random(4096, dtype=np.float32)


def test_a_disk_that_fills_up_keeps_what_is_done(small_disk):
    folder, remount = small_disk
    n = 200

    def extract():
        with StoreWriter(folder, RECIPE, (4096,), 4096, provenance={}) as w:
            missing = np.flatnonzero(w.store.rows(*keys(range(n))) < 0)
            for i in missing.tolist():
                w.append(digest(i), 0, big(i))

    with pytest.raises(CacheWriteError, match=r"disk is full.*what is done is kept"):
        extract()
    store = FeatureStore.open(folder / RECIPE.store_name)
    rows = store.rows(*keys(range(n)))
    done = np.flatnonzero(rows >= 0)
    assert 0 < len(done) < n
    expected = np.stack([big(i) for i in done]).astype(np.float16)
    assert np.array_equal(store.read(rows[done]), expected)
    assert store.check() == []
    with pytest.raises(CacheWriteError, match="disk is full"):
        extract()
    assert remount("size=8m")
    extract()
    store.refresh()
    again = store.rows(*keys(range(n)))
    assert np.array_equal(again[done], rows[done])
    expected = np.stack([big(i) for i in range(n)]).astype(np.float16)
    assert np.array_equal(store.read(again), expected)


def test_a_read_only_disk_can_be_read_and_not_written(small_disk, tmp_path):
    folder, remount = small_disk
    store = fill(folder, range(ROWS))
    broken = store.layout.chunk("features", 0)
    assert remount("ro")
    assert np.array_equal(store.read(store.rows(*keys(range(ROWS)))), vectors(range(ROWS)))
    with pytest.raises(CacheWriteError, match=r"(read-only|denied).*--cache"):
        writer(folder)
    assert remount("rw")
    broken.write_bytes(b"x")
    assert remount("ro")
    with pytest.raises(OSError, match="features block 0"):
        store.read(np.arange(2))


def append(w, numbers):
    for i in numbers:
        w.append(digest(i), 0, vector(i))
    w.flush()


REASONS = {errno.ENOSPC: "disk is full", errno.EROFS: "read-only", errno.EDQUOT: "quota"}


@pytest.mark.parametrize("code", REASONS)
def test_a_write_that_fails_says_why_and_can_be_resumed(tmp_path, monkeypatch, code):
    store = fill(tmp_path, range(ROWS))

    def fail(*_):
        raise OSError(code, "as simulated")

    w = writer(tmp_path)
    monkeypatch.setattr(_files, "_take_place", fail)
    with pytest.raises(CacheWriteError, match=REASONS[code]):
        append(w, range(ROWS, 3 * ROWS))
    w.close()
    assert np.array_equal(store.read(np.arange(ROWS)), vectors(range(ROWS)))
    monkeypatch.undo()
    small_blocks(monkeypatch)
    store = fill(tmp_path, range(3 * ROWS))
    assert np.array_equal(store.read(store.rows(*keys(range(3 * ROWS)))), vectors(range(3 * ROWS)))


def test_a_store_that_cannot_be_made_says_why(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EACCES, "as simulated")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(CacheWriteError, match="permission denied"):
        writer(tmp_path)


def test_what_cannot_be_tidied_up_does_not_hide_the_reason(tmp_path, monkeypatch):
    """On a read-only file system deleting even what is not there is refused."""

    def refuse(*_args, **_options):
        raise OSError(errno.EROFS, "as simulated")

    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(CacheWriteError, match="read-only"):
        _files.write_text(tmp_path / "a", "text")


def test_windows_readers_are_waited_for(tmp_path, monkeypatch):
    """There a file cannot be replaced while somebody has it open."""
    replace, refusals = Path.replace, [PermissionError(), PermissionError()]

    def busy(self, target):
        if refusals:
            raise refusals.pop()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", busy)
    with pytest.raises(CacheWriteError):
        _files.write_text(tmp_path / "a", "posix does not wait")
    refusals.append(PermissionError())
    monkeypatch.setattr(_files.os, "name", "nt")
    _files.write_text(tmp_path / "a", "later")
    monkeypatch.undo()
    assert (tmp_path / "a").read_text() == "later"


def test_files_of_a_shared_cache_have_the_usual_permissions(tmp_path):
    if os.name != "posix":
        pytest.skip("permissions of POSIX")
    (tmp_path / "usual").touch()
    store = fill(tmp_path, range(3))
    usual = (tmp_path / "usual").stat().st_mode
    for array in ("features", "state"):
        assert store.layout.chunk(array, 0).stat().st_mode == usual
