"""The index of unchanged files: what it remembers, what it must not, and how it fails."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from featx.tokens import RACY_NS, TokenIndex

LONG_AGO = 1_600_000_000_123_456_789


def token(name: str, size: int = 3, mtime: int = LONG_AGO, inode: int = 7):
    return (name.encode(), size, mtime, inode)


def found(n: int, start: int = 0):
    return {token(f"/a/{i}"): (i.to_bytes(16, "big"), 1) for i in range(start, start + n)}


def test_remembers_across_openings(tmp_path):
    rows = found(1234)
    with TokenIndex(tmp_path / "deep" / "cache") as index:
        assert index.get(rows) == {}
        index.put(rows)
    with TokenIndex(tmp_path / "deep" / "cache") as index:
        assert index.get([*rows, token("/other")]) == rows


@pytest.mark.parametrize(
    "changed",
    [
        token("/a/0", size=4),
        token("/a/0", mtime=LONG_AGO + 1),
        token("/a/0", inode=8),
        token("/a/0 "),
    ],
)
def test_a_changed_file_is_not_known(tmp_path, changed):
    with TokenIndex(tmp_path) as index:
        index.put(found(1))
        assert index.get([changed]) == {}
        index.put({changed: (b"x" * 16, 2)})
        assert index.get([changed]) == {changed: (b"x" * 16, 2)}


def test_names_of_any_bytes_and_inodes_beyond_63_bits(tmp_path):
    odd = (b"/\xff\xfe \n\xf0\x9f\x90\xa3", 1, LONG_AGO, 2**64 - 1)
    with TokenIndex(tmp_path) as index:
        index.put({odd: (b"d" * 16, 1)})
        assert index.get([odd]) == {odd: (b"d" * 16, 1)}


def test_counts_belong_to_the_options_they_were_counted_under(tmp_path):
    with TokenIndex(tmp_path, how="page all") as index:
        index.put({token("/a"): (b"d" * 16, 12)})
    with TokenIndex(tmp_path) as index:
        assert index.get([token("/a")]) == {}
        index.put({token("/a"): (b"d" * 16, 1)})
    with TokenIndex(tmp_path, how="page all") as index:
        assert index.get([token("/a")]) == {token("/a"): (b"d" * 16, 12)}


def test_a_file_changed_just_now_is_not_trusted(tmp_path):
    now = time.time_ns()
    fresh, future = token("/fresh", mtime=now - RACY_NS // 2), token("/f", mtime=now + 10**12)
    settled = token("/settled", mtime=now - RACY_NS - 10**9)
    with TokenIndex(tmp_path) as index:
        index.put(dict.fromkeys((fresh, future, settled), (b"d" * 16, 1)))
        assert set(index.get([fresh, future, settled])) == {settled}


def test_a_file_rewritten_within_one_time_stamp_is_read_again(tmp_path):
    """Same size, same mtime, same inode, other bytes: only distrust of young files helps."""
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    status = path.stat()
    mine = (os.fsencode(path), status.st_size, status.st_mtime_ns, status.st_ino)
    with TokenIndex(tmp_path / "cache") as index:
        index.put({mine: (b"1" * 16, 1)})
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    with TokenIndex(tmp_path / "cache") as index:
        assert index.get([mine]) == {}


@pytest.mark.parametrize("damage", ["text", "flip", "truncate"])
def test_a_damaged_file_is_put_aside_and_said(tmp_path, damage):
    with TokenIndex(tmp_path) as index:
        index.put(found(5000))
    path = tmp_path / "tokens.sqlite"
    data = bytearray(path.read_bytes())
    if damage == "text":
        data = bytearray(b"this is no database at all, not even the first page of it" * 100)
    elif damage == "flip":
        data[4096:] = bytes(255 - b for b in data[4096:])
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    said: list[str] = []
    with TokenIndex(tmp_path, say=said.append) as index:
        assert index.get(found(5000)) == {}
        index.put(found(10))
    assert len(said) == 1
    assert "damaged" in said[0]
    assert len(list(tmp_path.glob("tokens.damaged-*.sqlite"))) == 1
    with TokenIndex(tmp_path, say=said.append) as index:
        index.put(found(10))
        assert index.get(found(10)) == found(10)
    assert len(said) == 1


def test_a_damaged_file_that_cannot_be_put_aside(tmp_path, monkeypatch):
    (tmp_path / "tokens.sqlite").write_bytes(b"no database" * 500)

    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    said: list[str] = []
    with TokenIndex(tmp_path, say=said.append) as index:
        assert index.get(found(1)) == {}
    assert "cannot be put aside (Permission denied)" in said[0]


def test_a_locked_file_is_said_and_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr("featx.tokens._WAIT_S", 0.05)
    said: list[str] = []
    with TokenIndex(tmp_path) as first:
        first.put(found(3))
    with TokenIndex(tmp_path, say=said.append) as index:
        other = sqlite3.connect(tmp_path / "tokens.sqlite")
        other.execute("BEGIN IMMEDIATE")
        index.put(found(5))
        index.put(found(5))
        assert index.get(found(5)) == found(3)  # reading goes on
        other.rollback()
        other.close()
    assert len(said) == 1
    assert "locked" in said[0]


def test_a_wholly_locked_file_is_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setattr("featx.tokens._WAIT_S", 0.05)
    TokenIndex(tmp_path).close()
    other = sqlite3.connect(tmp_path / "tokens.sqlite")
    other.execute("BEGIN EXCLUSIVE")
    said: list[str] = []
    with TokenIndex(tmp_path, say=said.append) as index:
        index.put(found(1))
        assert index.get(found(1)) == {}
    other.rollback()
    other.close()
    assert said


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    said: list[str] = []
    with TokenIndex(tmp_path / "file" / "cache", say=said.append) as index:
        index.put(found(1))
        assert index.get(found(1)) == {}
    assert len(said) == 1


def test_a_read_only_file_serves_reading(tmp_path, monkeypatch):
    with TokenIndex(tmp_path) as index:
        index.put(found(3))
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options),
    )
    said: list[str] = []
    with TokenIndex(tmp_path, say=said.append) as index:
        assert index.get(found(3)) == found(3)
        index.put(found(9))
        assert index.get(found(9)) == found(3)
    assert len(said) == 1
    assert said[0].startswith(f"{tmp_path / 'tokens.sqlite'}: it is read-only; files that are read")


def test_a_file_of_a_newer_featx_is_left_alone(tmp_path):
    with TokenIndex(tmp_path) as index:
        index.put(found(3))
    with sqlite3.connect(tmp_path / "tokens.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    said: list[str] = []
    with TokenIndex(tmp_path, say=said.append) as index:
        assert index.get(found(3)) == {}
    assert "newer featx" in said[0]
    assert (tmp_path / "tokens.sqlite").exists()


def write_some(cache: Path, start: int) -> None:
    with TokenIndex(cache) as index:
        for i in range(10):
            index.put(found(100, start + 100 * i))


def test_processes_write_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_some, args=(tmp_path, 1000 * i)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with TokenIndex(tmp_path) as index:
        assert index.get(found(3000)) == found(3000)


def test_threads_share_one_index(tmp_path):
    with TokenIndex(tmp_path) as index:
        threads = [
            threading.Thread(target=lambda i=i: index.put(found(100, 100 * i))) for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(index.get(found(800))) == 800


def test_ten_thousand_are_fast(tmp_path):
    rows = found(10_000)
    with TokenIndex(tmp_path) as index:
        index.put(rows)
        start = time.perf_counter()
        assert len(index.get(rows)) == 10_000
        assert time.perf_counter() - start < 1.0


@pytest.mark.parametrize("asked", [1, 2, 7, 100])
def test_files_that_lie_far_apart_are_found_as_those_side_by_side(tmp_path, asked):
    rows = found(3000)
    some = list(rows)[:: 3000 // asked]
    with TokenIndex(tmp_path) as index:
        index.put(rows)
        assert index.get([*some, token("/zzz")]) == {one: rows[one] for one in some}


def test_other_options_between_two_files_are_passed_over(tmp_path):
    rows = found(50)
    for how in (f"page={page}" for page in range(9)):
        with TokenIndex(tmp_path, how) as index:
            index.put(dict.fromkeys(rows, (b"x" * 16, 2)))
    with TokenIndex(tmp_path) as index:
        index.put(rows)
        assert index.get(rows) == rows


def test_only_what_was_not_known_is_asked_again(tmp_path):
    rows, tokens = found(3), [None, *found(4), token("/a/0")]
    with TokenIndex(tmp_path) as index:
        index.put(dict.fromkeys(rows, (b"1" * 16, 2)))
        before = index.find(tokens)
        assert before.items.tolist() == [0, 2, 2, 2, 0, 2]
        index.put(found(4))
        after = index.find(tokens, before)
    assert before.items.tolist() == [0, 2, 2, 2, 0, 2]
    assert after.items.tolist() == [0, 2, 2, 2, 1, 2]
    assert after.digest[4].tobytes() == (3).to_bytes(16, "big")
    assert after.digest[5].tobytes() == b"1" * 16
