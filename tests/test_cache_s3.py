"""The cache in a bucket: over HTTP to a server of the S3 protocol, with faults in between."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers_bucket import SECRET, Faults, Proxy, contents
from helpers_cli import featx
from helpers_photos import folder, photo
from helpers_store import (
    PROVENANCE,
    RECIPE,
    ROWS,
    digest,
    fill,
    keys,
    small_blocks,
    vector,
    vectors,
    writer,
)

from featx import _lease, datasets, manage
from featx._files import take_lock
from featx._objects import ObjectPath
from featx.errors import CacheWriteError, CorruptStoreError, NotFoundError, SourceReadError
from featx.extraction import extract
from featx.features import load
from featx.store import FeatureStore, StoreWriter, compact, list_stores, lock_file
from featx.store.layout import write_runs

CHILD = Path(__file__).with_name("store_child.py")
N = 100
BLOCKS = -(-N // ROWS)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long a lease stands, in seconds."""
    monkeypatch.setattr(_lease, "TTL_S", 1.5)
    monkeypatch.setenv("LEASE_S", "1.5")
    return 1.5


def chunks(place: ObjectPath | Path) -> dict[str, bytes]:
    """Give every chunk of a store."""
    if isinstance(place, ObjectPath):
        return {name: data for name, data in contents(place).items() if "/c/" in name}
    files = (path for path in place.rglob("c/**/*") if path.is_file())
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in files}


def start(cache: ObjectPath, n: int, pause_s: float, log: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), *map(str, (cache, n, pause_s, log))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def say(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def test_a_store_is_what_it_is_on_a_disk(bucket: ObjectPath, tmp_path: Path) -> None:
    near, far = fill(tmp_path / "cache", range(N)), fill(bucket, range(N))
    assert chunks(far.path) == chunks(near.path)
    for name in ("features", "digest", "item", "state"):
        metadata = (far.path / name / "zarr.json").read_bytes()
        assert metadata == (near.path / name / "zarr.json").read_bytes()
    assert far.counts() == near.counts()
    assert far.size_bytes() == near.size_bytes()
    np.testing.assert_array_equal(far.read(far.rows(*keys(range(N)))), vectors(range(N)))
    assert [store.path for store in list_stores(bucket)[0]] == [far.path]
    assert not far.needs_repair()
    assert far.check() == []


def test_other_libraries_read_it(bucket: ObjectPath) -> None:
    import zarr
    from zarr.storage import MemoryStore

    store = fill(bucket, range(N))
    memory: dict[str, object] = {}
    from zarr.core.buffer import cpu

    for name, data in contents(store.path).items():
        memory[name] = cpu.Buffer.from_bytes(data)
    group = zarr.open_group(MemoryStore(memory), mode="r")  # type: ignore[arg-type]
    assert group["state"].shape == (BLOCKS * ROWS,)
    np.testing.assert_array_equal(group["features"][:N], vectors(range(N)))


def test_a_second_writer_adds_what_is_missing(bucket: ObjectPath) -> None:
    fill(bucket, range(30))
    store = fill(bucket, range(50))
    assert store.counts()["done"] == 50
    assert len(store.runs) == 2
    assert all(run["closed"] for run in store.runs)


def test_requests_are_few(bucket: ObjectPath, proxy: Proxy) -> None:
    n_blocks = 20
    with writer(bucket) as w:
        proxy.count()
        for i in range(n_blocks * ROWS):
            w.append(digest(i), 0, vector(i))
        w.flush()
        written = proxy.count()
    own = {f"PUT {array}": n_blocks for array in ("features", "digest", "item", "state")}
    assert {name: written[name] for name in own} == own  # one each a block, and no other of a block
    assert sum(written.values()) - 4 * n_blocks <= 20, written
    store = FeatureStore.open(w.store.path)
    rows = store.rows(*keys(range(n_blocks * ROWS)))
    looked = proxy.count()
    assert {name: looked[name.replace("PUT", "GET")] for name in own} == own | {"PUT features": 0}
    store.read(rows)
    assert proxy.count() == {"GET features": n_blocks}


def test_blocks_are_read_at_once(bucket: ObjectPath, proxy: Proxy) -> None:
    store = fill(bucket, range(24 * ROWS))
    proxy.faults = Faults(slow=1)
    begun = time.perf_counter()
    store.read(store.rows(*keys(range(24 * ROWS))))
    assert time.perf_counter() - begun < 0.05 * 4 * 24 / 2, "as long as one after the other"


def test_one_writes_and_the_other_waits(bucket: ObjectPath) -> None:
    waiting, found = threading.Event(), []

    def second() -> None:
        with writer(bucket, on_wait=waiting.set) as w:
            found.append((w.store.rows(*keys(range(20))) >= 0).sum())

    with writer(bucket) as w:
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(20)
        for i in range(20):
            w.append(digest(i), 0, vector(i))
    thread.join()
    assert found == [20]


def test_a_lease_is_kept_by_renewing_it(bucket: ObjectPath, short: float) -> None:
    lease, waiting = take_lock(bucket / "lock"), threading.Event()
    thread = threading.Thread(target=lambda: take_lock(bucket / "lock", waiting.set).release())
    thread.start()
    assert waiting.wait(20)
    thread.join(2 * short)
    assert thread.is_alive(), "taken over from a holder that is well"
    lease.check()
    lease.release()
    thread.join(20)
    assert not thread.is_alive()


def test_a_renewal_whose_answer_gets_lost_keeps_the_lease(
    bucket: ObjectPath, proxy: Proxy, short: float
) -> None:
    lease = take_lock(bucket / "lock")
    proxy.faults = Faults(lose=0.5, error=0.2)
    until = time.monotonic() + 2 * short
    while time.monotonic() < until:
        lease.check()
        time.sleep(0.05)
    proxy.faults = Faults()
    lease.release()


@pytest.mark.slow
def test_a_killed_writer_holds_up_the_next_for_a_lease(
    bucket: ObjectPath, tmp_path: Path, short: float
) -> None:
    with start(bucket, 10_000, 0.001, tmp_path / "log") as child:
        assert say(child) == "begin"
        time.sleep(0.6)
        child.kill()
    begun = time.monotonic()
    told: list[int] = []
    with writer(bucket, on_wait=lambda: told.append(1)):
        pass
    assert told == [1]
    assert time.monotonic() - begun < 10 * short


@pytest.mark.slow
def test_killed_writers_lose_nothing_that_was_committed(
    bucket: ObjectPath, tmp_path: Path, short: float, proxy: Proxy
) -> None:
    proxy.faults = Faults(error=0.05, slow=0.1, lose=0.02)
    log, rng, path, done = tmp_path / "log", np.random.default_rng(0), None, 0
    for _ in range(8):
        with start(bucket, 400, 0.002, log) as child:
            assert say(child) in {"begin", "waiting"}
            time.sleep(rng.uniform(0.1, 2.5))
            child.kill()
        if path is None:
            path = next(iter(bucket.glob("*.zarr")), None)
        if path is not None:
            now = FeatureStore.open(path).counts()["done"]
            assert now >= done
            done = now
    with start(bucket, 400, 0, log) as child:
        words = child.communicate()[0].split()
    assert child.returncode == 0
    assert words[-2:] == ["done", str(400 - done)], "committed rows were computed again"
    assert path is not None
    store = FeatureStore.open(path)
    np.testing.assert_array_equal(store.read(store.rows(*keys(range(400)))), vectors(range(400)))
    assert store.check() == []


def _nothing(lease: _lease.Lease) -> None:
    """Stand in for a method of a lease."""


@pytest.fixture
def stolen(
    bucket: ObjectPath, short: float, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[StoreWriter, StoreWriter]]:
    """A writer whose lease was taken over while it was stopped, and its successor."""
    with monkeypatch.context() as patch:
        patch.setattr(_lease.Lease, "_keep", _nothing)
        first = writer(bucket, n_writers=1)
    _append(first, range(ROWS))
    first.flush()
    second = writer(bucket)
    yield first, second
    for one in (first, second):
        one.close(abort=True)


def _append(to: StoreWriter, numbers: range) -> None:
    for i in numbers:
        to.append(digest(i), 0, vector(i))


def _judge(store: FeatureStore, numbers: list[int]) -> None:
    store = FeatureStore.open(store.path)
    np.testing.assert_array_equal(store.read(store.rows(*keys(numbers))), vectors(numbers))
    assert store.counts()["done"] == len(numbers)
    assert all(run["closed"] for run in store.runs)
    assert store.check() == []
    assert not store.needs_repair()


def test_who_lost_the_lease_writes_nothing(stolen: tuple[StoreWriter, StoreWriter]) -> None:
    first, second = stolen
    _append(first, range(50, 50 + ROWS))
    with pytest.raises(CacheWriteError, match="has taken over"):
        first.flush()
    first.close()
    _append(second, range(100, 100 + 2 * ROWS))
    second.close()
    _judge(second.store, [*range(ROWS), *range(100, 100 + 2 * ROWS)])


def test_nor_does_it_where_it_does_not_know(
    stolen: tuple[StoreWriter, StoreWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held up for a lease's time between the check and the write: the store refuses it."""
    first, second = stolen
    monkeypatch.setattr(_lease.Lease, "check", _nothing)
    _append(second, range(100, 100 + 2 * ROWS))
    second.flush()
    _append(first, range(50, 50 + ROWS))
    with pytest.raises(CacheWriteError, match="another featx has written it"):
        first.close()
    second.close()
    _judge(second.store, [*range(ROWS), *range(100, 100 + 2 * ROWS)])


def test_what_it_writes_before_its_successor_is_no_part_of_the_store(
    bucket: ObjectPath,
    stolen: tuple[StoreWriter, StoreWriter],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = stolen
    monkeypatch.setattr(_lease.Lease, "check", _nothing)
    _append(first, range(50, 50 + ROWS))
    with pytest.raises(CacheWriteError, match="another featx has changed it"):
        first.close()
    assert FeatureStore.open(first.store.path).counts()["done"] == ROWS
    _append(second, range(100, 100 + ROWS))
    with pytest.raises(CacheWriteError, match="another featx has written it"):
        second.close()
    _judge(fill(bucket, range(2 * ROWS)), [*range(2 * ROWS)])


def test_runs_of_another_writer_are_not_overwritten(bucket: ObjectPath) -> None:
    store = fill(bucket, range(ROWS))
    stale = [run | {"closed": False} for run in store.runs]
    fill(bucket, range(2 * ROWS))
    with pytest.raises(CacheWriteError, match="another featx has changed it"):
        write_runs(store.layout, store.runs)
    manage.remove(store.path.name, str(bucket))
    fill(bucket, range(ROWS))
    with pytest.raises(CacheWriteError, match="another featx has changed it"):
        write_runs(store.layout, stale)


@pytest.mark.parametrize(
    "faults",
    [Faults(error=0.25), Faults(drop=0.15), Faults(lose=0.15), Faults(slow=0.3, lose=0.05)],
    ids=["error", "drop", "lose", "slow"],
)
def test_faults_on_the_way_change_nothing(
    bucket: ObjectPath, proxy: Proxy, tmp_path: Path, faults: Faults
) -> None:
    calm = fill(tmp_path / "cache", range(N))
    proxy.faults = faults
    fill(bucket, range(N // 2))
    store = fill(bucket, range(N))
    np.testing.assert_array_equal(store.read(store.rows(*keys(range(N)))), vectors(range(N)))
    assert store.check() == []
    proxy.faults = Faults()
    assert store.counts()["done"] == calm.counts()["done"]
    assert len(store.runs) == 2
    again = fill(bucket / "again", range(N))
    assert chunks(again.path) == chunks(calm.path)


def test_a_store_that_does_not_answer_is_not_damaged(
    bucket: ObjectPath, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx import _buckets

    monkeypatch.setattr(_buckets, "RETRIES", 1)
    monkeypatch.setattr(_buckets, "RETRY_S", 0.2)
    _buckets.forget()
    store = fill(bucket, range(N))
    rows = store.rows(*keys(range(N)))
    for faults in (Faults(error=1), Faults(drop=1), Faults(deny=1)):
        proxy.faults = faults
        for ask in (
            lambda: store.read(rows),
            store.check,
            lambda: FeatureStore.open(store.path),
            lambda: list_stores(bucket),
            lambda: datasets.load(bucket, "x"),
            lambda: datasets.recall(bucket),
        ):
            with pytest.raises(SourceReadError):
                ask()
    proxy.faults = Faults()
    assert store.check() == []
    assert not (bucket / "damaged").exists()


@pytest.mark.parametrize("array", ["features", "digest", "state"])
def test_damage_is_found_and_repaired(bucket: ObjectPath, array: str) -> None:
    store = fill(bucket, range(N))
    chunk = store.layout.chunk(array, 3)
    flipped = bytearray(chunk.read_bytes())
    flipped[2] ^= 1
    assert isinstance(chunk, ObjectPath)
    chunk.write_bytes(bytes(flipped))
    store = FeatureStore.open(store.path)
    assert [(d.array, d.block) for d in store.check()] == [(array, 3)]
    with pytest.raises(CorruptStoreError, match=f"{array} block 3 .*{chunk}"):
        store.read(store.rows(*keys(range(N))))
    store = fill(bucket, range(N))
    assert store.check() == []
    assert store.counts()["done"] == N
    assert not (bucket / "damaged").exists()


def test_tidying_frees_room(bucket: ObjectPath) -> None:
    for n in range(3, 16, 4):
        fill(bucket, range(n))
    from featx._types import Silent

    [path] = bucket.glob("*.zarr")
    done = compact(bucket, path, Silent())
    assert done.moved_rows
    assert done.freed_bytes > 0
    store = FeatureStore.open(path)
    np.testing.assert_array_equal(store.read(store.rows(*keys(range(15)))), vectors(range(15)))
    assert store.check() == []


def test_a_removal_that_was_killed_leaves_nothing_to_be_taken_for_a_store(
    bucket: ObjectPath,
) -> None:
    store = fill(bucket, range(N))
    (store.path / "zarr.json").unlink()
    [(path, reason)] = list_stores(bucket)[1]
    assert "zarr.json is damaged: it is missing" in reason
    assert path == store.path
    assert fill(bucket, range(8)).counts()["done"] == 8
    manage.remove(store.path.name, str(bucket))
    assert list_stores(bucket) == ([], [])
    assert not store.path.exists()
    with pytest.raises(NotFoundError):
        FeatureStore.open(store.path)


def test_a_store_being_made_is_no_store_yet(bucket: ObjectPath) -> None:
    (bucket / "x.zarr" / "state" / "zarr.json").write_bytes(b"{}")
    assert list_stores(bucket) == ([], [])


def test_a_store_that_ignores_conditions_is_found_out(
    bucket: ObjectPath, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx import _buckets

    proxy.ignores_conditions = True
    with pytest.raises(CacheWriteError, match="AWS_CONDITIONAL_PUT=disabled"):
        writer(bucket)
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    _buckets.forget()
    lock = lock_file(bucket / RECIPE.store_name)
    assert isinstance(lock, ObjectPath)
    lock.unlink()
    fill(bucket, range(30))
    store = fill(bucket, range(N))
    np.testing.assert_array_equal(store.read(store.rows(*keys(range(N)))), vectors(range(N)))


def _is_write(method: str, path: str) -> bool:
    return method in {"PUT", "POST", "DELETE"}


def test_denied_access_is_one_line(bucket: ObjectPath, proxy: Proxy, tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", per_class=1)
    extraction = ("extract", str(photos), "--backbone", "helpers_photos:tiny", "--quiet")
    for words, only in ((("ls",), None), (("fit", "--head", "svm"), None), (extraction, _is_write)):
        proxy.faults = Faults(deny=1, only=only)
        done = featx(*words, "--cache", str(bucket))
        assert done.exit_code == 1
        [line] = [line for line in done.stderr.splitlines() if line.startswith("featx:")]
        assert "access denied; set AWS_ACCESS_KEY_ID" in line
        assert "nobody-may-see-this" not in done.stderr
        assert SECRET not in done.stdout


def _same(a: ObjectPath, b: Path) -> None:
    near, far = load(cache=b), load(cache=str(a))
    np.testing.assert_array_equal(near.manifest.digest, far.manifest.digest)
    np.testing.assert_array_equal(near.raw, far.raw)


@pytest.mark.slow
def test_the_commands_take_a_bucket(bucket: ObjectPath, tmp_path: Path, proxy: Proxy) -> None:
    photos = folder(tmp_path / "photos", per_class=8)
    cache, about = str(bucket), {"backbone": "helpers_photos:tiny", "image_size": 64}
    extract(photos, cache=tmp_path / "near", **about)
    proxy.faults = Faults(error=0.1, lose=0.03, slow=0.05)
    [done] = extract(photos, cache=cache, **about)
    assert done.computed == 24
    [again] = extract(photos, cache=cache, **about)
    assert (again.computed, again.reused) == (0, 24)
    _same(bucket, tmp_path / "near")
    listed = manage.ls(cache)
    assert [row["done"] for row in listed["stores"]] == [24]
    assert listed["unreadable"] == []
    assert manage.info(cache=cache)["path"] == str(done.store)
    assert manage.verify(cache=cache)["damages"] == []
    fit = featx("fit", "--head", "ridge", "--cache", cache, "--out", str(tmp_path / "runs"))
    assert fit.exit_code == 0, fit.stderr
    planned = featx(
        "plan", str(photos), "--backbone", "helpers_photos:tiny", "--image-size", "32",
        "--cache", cache,
    )  # fmt: skip
    assert planned.exit_code == 0, planned.stderr
    assert "in the bucket" in planned.stdout
    manage.export(to="npz", output=tmp_path / "x.npz", cache=cache)
    manage.collect(cache)
    _same(bucket, tmp_path / "near")
    assert manage.remove("photos", cache)["kind"] == "data"
    assert manage.remove(done.store.name, cache)["removed"] == str(done.store)
    proxy.faults = Faults()
    assert {name.split("/")[0] for name in bucket.sizes()} == {"locks"}


_SHORT = """
import sys
from featx import _lease
from featx.cli import main
_lease.TTL_S = 2.0
sys.exit(main())
"""


def _extract(photos: Path, cache: object, seen: Path, errors: Path) -> subprocess.Popen[bytes]:
    here = Path(__file__).parent
    command = [
        sys.executable, "-c", _SHORT, "extract", photos, "--cache", str(cache), "--quiet",
        "--backbone", "helpers_kill:Wide", "--image-size", "128", "--batch-size", "8",
        "--precision", "fp32", "--engine", "torch",
    ]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": f"{here}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "SEEN": str(seen),
        "OMP_NUM_THREADS": "1",
    }
    with errors.open("ab") as file:
        return subprocess.Popen(command, env=environment, stderr=file)


def _wait_for(condition: Callable[[], bool], run: subprocess.Popen[bytes]) -> None:
    while run.poll() is None and not condition():
        time.sleep(0.01)


@pytest.mark.slow
def test_an_extraction_goes_on_after_kills_and_beside_another(
    bucket: ObjectPath, tmp_path: Path, proxy: Proxy
) -> None:
    photos, near = tmp_path / "photos", tmp_path / "near"
    for i in range(600):
        photo(photos / f"{i:04}.jpg", (i % 256, 90, 200), i, size=140)
    seen, errors = tmp_path / "seen", tmp_path / "errors"
    whole = _extract(photos, near, tmp_path / "calm", errors)
    assert whole.wait() == 0, errors.read_text()

    proxy.faults = Faults(error=0.1, drop=0.02, lose=0.02, slow=0.05)
    for kept in (1, 3):
        run = _extract(photos, bucket, seen, errors)

        def committed(at_least: int = kept) -> bool:
            return sum("/state/c/" in name for name in bucket.sizes()) >= at_least

        _wait_for(committed, run)
        run.kill()
        run.wait()
    proxy.faults = Faults(slow=0.05)
    [path] = bucket.glob("*.zarr")
    done = FeatureStore.open(path).counts()["done"]
    assert 0 < done < 600
    before = seen.stat().st_size
    runs = [_extract(photos, bucket, seen, errors) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0], errors.read_text()
    computed = (seen.stat().st_size - before) * 8
    left = 600 - done
    assert left <= computed <= left + 2 * (8 + 32), "committed images were computed again"
    _same(bucket, near)
    assert manage.verify(cache=str(bucket))["damages"] == []


def test_a_writer_takes_the_url_as_text(bucket: ObjectPath) -> None:
    with StoreWriter(str(bucket), RECIPE, (3, 2, 2), 12, provenance=PROVENANCE) as w:  # type: ignore[arg-type]
        w.append(digest(1), 0, vector(1))
    assert FeatureStore.open(w.store.path).counts()["done"] == 1
