"""Extraction on the workers of a cluster: the serial store's rows, whatever happens to a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_cluster import scheduler
from helpers_photos import folder, photo

from featx._cores import usable_cores
from featx._objects import ObjectPath, Place
from featx._types import Silent
from featx.cluster import (
    Cluster,
    Worker,
    connect,
    dispatch,
    fits,
    gpu_workers,
    local_environments,
    workers,
)
from featx.embedding.distributed import Parts
from featx.errors import ClusterError, ImageError, MissingDependencyError, UsageError
from featx.extraction import extract
from featx.features import load
from featx.store import DONE, FeatureStore

TINY = {"backbone": "helpers_photos:tiny", "image_size": 32, "precision": "fp32"}
SLOW = TINY | {"backbone": "helpers_cluster:Slow"}


class Lines(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def rows(cache: Place) -> dict[tuple[bytes, int], bytes]:
    """Give the bits of every live vector of the one store, by image."""
    [path] = cache.glob("*.zarr")
    store = FeatureStore.open(path)
    done = np.flatnonzero(store.index.state == DONE)
    keys = [(store.index.digest[i].tobytes(), int(store.index.item[i])) for i in done]
    assert len(set(keys)) == len(keys), "an image is there twice"
    assert store.check() == []
    return dict(zip(keys, (v.tobytes() for v in store.read(done)), strict=True))


def many(root: Path, n: int) -> Path:
    for i in range(n):
        photo(root / f"{i:04}.jpg", (i % 256, 90, 200), i)
    return root


def test_an_address_says_what_it_should_be() -> None:
    for address in ("local", "local:0", "local:x", "8786", "localhost:8786"):
        with pytest.raises(UsageError, match="local:N"), connect(address, print):
            pass


def test_no_scheduler_is_one_clear_error() -> None:
    told = r"no scheduler at tcp://127.0.0.1:9 .*dask scheduler"
    with pytest.raises(ClusterError, match=told), connect("tcp://127.0.0.1:9", print):
        pass


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r"featx\[dask\]"), connect("local:2", print):
        pass


def test_cores_and_gpus_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "usable_cores", lambda: [0, 1, 2, 5])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-7")
    found = local_environments(3)
    assert [env["FEATX_WORKER_CORES"] for env in found] == ["0,5", "1", "2"]
    assert [env["CUDA_VISIBLE_DEVICES"] for env in found] == ["3", "GPU-7", "3"]
    assert [env["FEATX_WORKER_CORES"] for env in local_environments(5)][-1] == "0"


def test_parts_shrink_towards_the_end() -> None:
    parts = Parts([None] * 1000, range(1000), most=200, n_workers=2)  # type: ignore[list-item]
    sizes = [len(parts.first().places)] + [len(part.places) for part in parts]
    assert sum(sizes) == 1000
    assert sizes[:3] == [32, 200, 192]
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    assert sizes[-2] == 32


def test_gpu_workers_alone_compute_where_there_are_some() -> None:
    found = {"a": Worker("h", "1", 0), "b": Worker("h", "1", 1)}
    assert gpu_workers(found) == ["b"]


@pytest.fixture
def threads() -> Any:
    """Two workers that are threads of this process, quickly there."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as local,
        Client(local) as client,
    ):
        yield Cluster("threads", client, print)


def _double(offset: int, x: int) -> int:
    return offset + 2 * x


def test_every_part_is_done_once(threads: Cluster) -> None:
    assert sorted(threads.run(_double, 1, iter(range(50)))) == [1 + 2 * x for x in range(50)]


def _slow_first_time(marks: Path, x: int) -> int:
    """Hang where ``x`` is 0, but for the second try."""
    try:
        (marks / str(x)).touch(exist_ok=False)
    except FileExistsError:
        return x
    if x == 0:
        time.sleep(6)
    return x


def test_a_straggler_is_done_by_another_worker(
    threads: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "STRAGGLER_S", 0.5)
    begun = time.monotonic()
    assert sorted(threads.run(_slow_first_time, tmp_path, iter(range(8)))) == list(range(8))
    assert time.monotonic() - begun < 5.5


def _leave_a_mark(marks: Path) -> None:
    from distributed import get_worker

    (marks / get_worker().address.rpartition("/")[2]).touch()


def test_everywhere_is_once_on_each_worker(threads: Cluster, tmp_path: Path) -> None:
    from distributed import wait

    first, second = sorted(threads.client.nthreads())
    wait(threads.everywhere(_leave_a_mark, tmp_path, without=[first]))
    assert [mark.name for mark in tmp_path.iterdir()] == [second.rpartition("/")[2]]


def _what_is_seen(_: object, __: int) -> tuple[list[int], list[int], tuple[int, ...]]:
    """The cores of this thread and of its process, and how OpenVINO would use them."""
    core = pytest.importorskip("openvino").Core()
    process = sorted(os.sched_getaffinity(os.getpid()))
    return usable_cores(), process, core.get_property("CPU", "RANGE_FOR_STREAMS")


@pytest.mark.slow
@pytest.mark.skipif(len(usable_cores()) < 2, reason="needs two cores")
def test_a_local_worker_keeps_to_its_cores() -> None:
    shares = [usable_cores()[0::2], usable_cores()[1::2]]
    with connect("local:2", print) as cluster:
        for cores, process, streams in cluster.run(_what_is_seen, None, iter(range(6))):
            assert cores == process
            assert cores in shares
            assert streams == (1, len(cores))


def _refuse(_: object, x: int) -> int:
    raise ImageError(f"{x} is bad")


def test_an_error_of_a_part_is_the_callers(threads: Cluster) -> None:
    with pytest.raises(ImageError, match="0 is bad"):
        list(threads.run(_refuse, None, iter([0])))


@pytest.mark.slow
def test_workers_fill_the_serial_store_bit_for_bit(tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", per_class=60)
    (photos / "bird" / "copy.jpg").write_bytes((photos / "cat" / "0.jpg").read_bytes())
    (photos / "bird" / "bad.jpg").write_bytes(b"no image")
    kinds = TINY | {"pools": ["flatten", "avg"], "views": 2, "augment": "light"}
    serial = extract(photos, cache=tmp_path / "serial", **kinds)
    said = Lines()
    spread = extract(photos, cache=tmp_path / "spread", dask="local:2", progress=said, **kinds)
    for a, b in zip(serial, spread, strict=True):
        assert (a.rows, a.failed, a.label) == (b.rows, b.failed, b.label)
        one, other = (
            load(features=a.label, cache=tmp_path / "serial"),
            load(features=b.label, cache=tmp_path / "spread"),
        )
        assert np.array_equal(one.raw, other.raw)
        assert one.manifest.path.tolist() == other.manifest.path.tolist()
        assert other.store.counts()["done"] == one.store.counts()["done"]
    assert "computing on 2 workers of local:2" in said.said
    again = extract(photos, cache=tmp_path / "spread", dask="local:2", **kinds)
    assert [e.computed for e in again] == [0, 0]


@pytest.mark.slow
def test_workers_fill_a_store_in_a_bucket(tmp_path: Path, bucket: ObjectPath) -> None:
    photos = folder(tmp_path / "photos", per_class=30)
    extract(photos, cache=tmp_path / "serial", **TINY)
    here = Path(__file__).parent
    command = [sys.executable, "-m", "featx", "extract", str(photos), "--cache", str(bucket)]
    command += ["--backbone", "helpers_photos:tiny", "--image-size", "32", "--precision", "fp32"]
    command += ["--dask", "local:2", "--json", "--quiet"]
    environment = os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
    computed = []
    for _ in range(2):
        done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE)
        computed.append(json.loads(done.stdout)["computed"])
    assert computed == [90, 0]
    assert rows(bucket) == rows(tmp_path / "serial")


@pytest.mark.slow
@pytest.mark.shared
def test_cartoons_on_two_workers_are_those_of_one(shared: Path, tmp_path: Path) -> None:
    how = {
        "backbone": "mobilenet_v2", "pools": ["avg"], "limit_per_class": 30, "precision": "fp32",
        "weights": shared / "weights" / "mobilenet_v2-b0353104.pth",
    }  # fmt: skip
    data = shared / "data" / "pacs_cartoon"
    extract(data, cache=tmp_path / "serial", **how)
    extract(data, cache=tmp_path / "spread", dask="local:2", **how)
    assert rows(tmp_path / "spread") == rows(tmp_path / "serial")


@pytest.mark.slow
def test_a_worker_killed_and_one_stopped_cost_nothing_that_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    monkeypatch.setattr(dispatch, "STRAGGLER_S", 8.0)
    photos, n = many(tmp_path / "photos", 700), 700
    extract(photos, cache=tmp_path / "serial", **TINY)
    stormy = tmp_path / "stormy"
    committed: dict[bytes, int] = {}
    stopped: list[int] = []

    def disturb(address: str) -> None:
        with Client(address) as client:
            pids = list(client.run(os.getpid).values())
            while not (paths := list(stormy.glob("*.zarr"))) or _done(paths[0]) < 100:
                time.sleep(0.1)
            store = FeatureStore.open(paths[0])
            live = np.flatnonzero(store.index.state == DONE)
            committed.update((store.index.digest[i].tobytes(), int(i)) for i in live)
            os.kill(pids[0], signal.SIGKILL)
            os.kill(pids[1], signal.SIGSTOP)
            stopped.append(pids[1])

    with scheduler(tmp_path, 2) as address:
        storm = threading.Thread(target=disturb, args=(address,))
        storm.start()
        (done,) = extract(photos, cache=stormy, dask=address, **SLOW)
        storm.join()
        assert (done.rows, done.failed) == (n, ())
        os.kill(stopped[0], signal.SIGCONT)  # what it wrote, or still writes, belongs to nobody
        time.sleep(3)
    [path] = stormy.glob("*.zarr")
    store = FeatureStore.open(path)
    assert len(committed) >= 100
    after = {store.index.digest[i].tobytes(): int(i) for i in np.flatnonzero(store.index.live)}
    assert {digest: after[digest] for digest in committed} == committed
    serial = {digest: vector for (digest, _), vector in rows(tmp_path / "serial").items()}
    assert {digest: v for (digest, _), v in rows(stormy).items()} == serial
    assert [e.computed for e in extract(photos, cache=stormy, **SLOW)] == [0]


def _done(path: Path) -> int:
    return FeatureStore.open(path).counts()["done"]


def test_a_worker_that_does_not_see_the_images_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = many(tmp_path / "photos", 3)
    found = {"tcp://w": Worker("elsewhere", "1", 0, missing=("/photos/0.jpg",))}
    monkeypatch.setattr(Cluster, "workers", lambda *_: found)
    there = Cluster("tcp://s", None, print)
    monkeypatch.setattr("featx.extraction.connect", lambda *_: nullcontext(there))
    with pytest.raises(ClusterError, match=r"elsewhere does not find /photos/0\.jpg"):
        extract(photos, cache=tmp_path / "cache", dask="tcp://s", **TINY)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["svm", "mlp"])
def test_fits_on_workers_are_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    from featx.evaluate import run
    from featx.fitting import fit

    monkeypatch.setattr(run, "_SMALL_WORK", 0)
    extract(folder(tmp_path / "photos", per_class=20), cache=tmp_path / "cache", **TINY)
    how = {"cache": tmp_path / "cache", "out": tmp_path / "runs", "twins": "off"}
    here = fit(None, head, **how)
    said: list[str] = []
    with fits("local:2", said.append):
        there = fit(None, head, **how)
    assert said == ["fitting on 2 workers of local:2"]
    for name in ("predictions.csv", "suspects.csv"):
        files = [Path(one.record["path"]) / name for one in (here, there)]
        assert [f.exists() for f in files] in ([True, True], [False, False])
        if files[0].exists():
            assert files[0].read_bytes() == files[1].read_bytes()
