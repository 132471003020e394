"""Workers of a Dask cluster: reach or start them, and have every part of some work done once.

Dask brings the processes, finds out which are lost, and gives what they had to others. What is
added here: parts are handed out as workers become free, so that their size can follow the speed;
and near the end a part that takes far longer than the others is given to a second worker, whose
result counts if it is the first (Dean and Ghemawat, MapReduce, OSDI 2004, section 3.6).
"""

from __future__ import annotations

import logging
import os
import socket
import statistics
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from featx._cores import usable_cores
from featx.errors import ClusterError, MissingDependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

C = TypeVar("C")
P = TypeVar("P")
R = TypeVar("R")

PARTS_A_WORKER = 2
"""One that is being done, and one that waits at the worker."""
STRAGGLER_S = 60.0
"""A part that takes no longer than this is no straggler."""
STRAGGLER_TIMES = 4.0
"""And neither is one that takes no longer than so often the median of the others."""
_LOOK_S = 1.0
_START_S = 60.0
_CORES = "FEATX_WORKER_CORES"
_SILENT = logging.CRITICAL


@dataclass(frozen=True)
class Worker:
    """What a worker is.

    Attributes
    ----------
    host
        The name of its machine.
    featx
        The version that is installed there.
    n_gpus
        CUDA devices that it sees.
    missing
        Those of the paths asked for that are not there.
    """

    host: str
    featx: str
    n_gpus: int
    missing: tuple[str, ...] = ()


@dataclass
class _Attempt:
    """One worker's try at a part."""

    number: int
    part: Any
    begun: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Cluster:
    """Workers that are there.

    Attributes
    ----------
    address
        As it was asked for.
    """

    address: str
    client: Any
    say: Callable[[str], None]

    def workers(self, paths: Sequence[str] = ()) -> dict[str, Worker]:
        """Ask every worker what it is; those that do not answer within a minute are left out.

        Parameters
        ----------
        paths
            Which a worker should find where this process finds them.

        Raises
        ------
        ClusterError
            If no worker answers, or one has another version of featx, or none.
        """
        from distributed import wait

        asked = {
            address: self.client.submit(look_around, tuple(paths), workers=[address], pure=False)
            for address in self.client.nthreads()
        }
        with _scheduler_lost(self.address), suppress(TimeoutError):
            wait(list(asked.values()), timeout=_START_S)
        silent = [address for address, future in asked.items() if not future.done()]
        found = {a: _answer(a, future) for a, future in asked.items() if a not in silent}
        for address in silent:
            self.say(f"worker {address} does not answer, and is left out")
        if not found:
            raise ClusterError(f"no worker of {self.address} answers; see what its log says")
        return found

    def run(
        self,
        function: Callable[[C, P], R],
        common: C,
        parts: Iterator[P],
        without: Sequence[str] = (),
    ) -> Iterator[R]:
        """Give ``function(common, part)`` of every part, as they come; of each part once.

        Parameters
        ----------
        parts
            Asked for one as soon as a worker is about to be free.
        without
            The addresses of workers that are to be left alone; all others may, also those that come
            later or take the place of one that was lost.

        Raises
        ------
        ClusterError
            If the scheduler is lost, or a part ends one worker after another.
        Exception
            What ``function`` raises.
        """
        run = _Run(self, function, common, parts, without)
        try:
            with _scheduler_lost(self.address):
                yield from run.results()
        finally:
            run.cancel()


@dataclass
class _Run:
    """The parts that are out, and those that are done."""

    cluster: Cluster
    function: Callable[[Any, Any], Any]
    common: Any
    parts: Iterator[Any]
    without: Sequence[str]
    out: dict[Any, _Attempt] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    took_s: list[float] = field(default_factory=list)
    n_begun: int = 0
    exhausted: bool = False

    def results(self) -> Iterator[Any]:
        """Hand out and collect."""
        from distributed import wait

        while True:
            self._hand_out()
            if not self.out:
                return
            try:
                finished = wait(list(self.out), _LOOK_S, "FIRST_COMPLETED").done
            except TimeoutError:
                finished = set()
            for future in finished:
                attempt = self.out.pop(future)
                if attempt.number in self.done or self._may_yet(future, attempt):
                    continue
                result = _result(future)
                self.done.add(attempt.number)
                self.took_s.append(time.monotonic() - attempt.begun)
                self._forget(attempt.number)
                yield result

    def cancel(self) -> None:
        """Give up what is still out."""
        if self.out and self.cluster.client.status == "running":
            self.cluster.client.cancel(list(self.out), force=True)

    def _addresses(self) -> list[str]:
        return [a for a in self.cluster.client.nthreads() if a not in self.without]

    def _hand_out(self) -> None:
        addresses = self._addresses()
        room = PARTS_A_WORKER * max(1, len(addresses))
        while not self.exhausted and len(self.out) < room:
            try:
                part = next(self.parts)
            except StopIteration:
                self.exhausted = True
            else:
                self._submit(_Attempt(self.n_begun, part), addresses if self.without else None)
                self.n_begun += 1
        if self.exhausted:
            self._help_stragglers()

    def _submit(self, attempt: _Attempt, workers: Sequence[str] | None) -> None:
        future = self.cluster.client.submit(
            _on_worker,
            self.function,
            self.common,
            attempt.part,
            workers=workers,
            allow_other_workers=workers is not None and not self.without,
            pure=False,
        )
        self.out[future] = attempt

    def _help_stragglers(self) -> None:
        median = statistics.median(self.took_s) if self.took_s else 0.0
        limit = max(STRAGGLER_S, STRAGGLER_TIMES * median)
        now = time.monotonic()
        late = {f: a for f, a in self.out.items() if now - a.begun > limit}
        tried = [a.number for a in self.out.values()]
        alone = {f: a for f, a in late.items() if tried.count(a.number) == 1}
        if not alone:
            return
        processing = self.cluster.client.processing()
        for future, attempt in alone.items():
            others = [a for a in self._addresses() if future.key not in processing.get(a, ())]
            if others:
                self.cluster.say(
                    f"a part has taken {now - attempt.begun:.0f} s: another worker does it too"
                )
                self._submit(_Attempt(attempt.number, attempt.part), others)

    def _may_yet(self, future: Any, attempt: _Attempt) -> bool:
        """Whether an attempt failed while another worker is at the same part."""
        others = any(a.number == attempt.number for a in self.out.values())
        return bool(others and future.status != "finished")

    def _forget(self, number: int) -> None:
        """Cancel what is still at a part that is done; what it writes belongs to nobody."""
        late = [future for future, attempt in self.out.items() if attempt.number == number]
        for future in late:
            del self.out[future]
        if late:
            self.cluster.client.cancel(late, force=True)


@contextmanager
def connect(address: str, say: Callable[[str], None]) -> Iterator[Cluster]:
    """Reach the scheduler at ``tcp://HOST:PORT``, or start ``local:N`` workers for a while.

    Local workers share the cores, and the CUDA devices, one to each in turn.

    Raises
    ------
    UsageError
        If ``address`` is neither.
    MissingDependencyError
        If Dask is not installed.
    ClusterError
        If there is no scheduler there, or it has no workers.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "--dask needs Dask, which is not installed; pip install 'featx[dask]'"
        ) from error
    kind, _, rest = address.partition(":")
    if kind == "local" and rest.isdigit() and int(rest) > 0:
        with _quiet(), _local(int(rest)) as started, _client(started.scheduler_address) as client:
            yield Cluster(address, client, say)
    elif rest.startswith("//"):
        with _quiet(), _client(address) as client:
            yield Cluster(address, client, say)
    else:
        raise UsageError(
            f"--dask {address}; expected local:N, so many workers on this machine, or a "
            "scheduler's address as tcp://HOST:8786"
        )


@contextmanager
def fits(address: str | None, say: Callable[[str], None]) -> Iterator[None]:
    """Have joblib's fits done by the workers of a cluster, by joblib's own Dask backend.

    Parameters
    ----------
    address
        As for `connect`; None to leave them where they are.

    Raises
    ------
    FeatxError
        As `connect`.
    """
    if address is None:
        yield
        return
    from joblib import parallel_config

    with connect(address, say) as cluster:
        found = cluster.workers()
        say(f"fitting on {len(found)} workers of {address}")
        with parallel_config(backend="dask"), _scheduler_lost(address):
            yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own log of lost workers and closed connections off the terminal."""
    import dask

    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(_SILENT)
    try:
        with dask.config.set({"logging": {"distributed": "critical"}}):
            yield
    finally:
        logger.setLevel(before)


@contextmanager
def _local(n: int) -> Iterator[Any]:
    from distributed import Nanny, Scheduler, SpecCluster

    where = {"host": "127.0.0.1", "port": 0, "dashboard": False}
    where["dashboard_address"] = "127.0.0.1:0"  # else 8787, which one alone can have
    workers = {
        i: {
            "cls": Nanny,
            "options": {"nthreads": 1, "memory_limit": 0, "env": env, "silence_logs": _SILENT},
        }
        for i, env in enumerate(local_environments(n))
    }
    with SpecCluster(workers, {"cls": Scheduler, "options": where}) as cluster:
        yield cluster


def local_environments(n: int) -> list[dict[str, str]]:
    """Divide the cores and CUDA devices of this machine among ``n`` workers."""
    cores = usable_cores()
    shares = [cores[i::n] or [cores[i % len(cores)]] for i in range(n)]
    gpus = _visible_gpus()
    found = []
    for i, share in enumerate(shares):
        env = {_CORES: ",".join(map(str, share)), "OMP_NUM_THREADS": str(len(share))}
        if gpus:
            env["CUDA_VISIBLE_DEVICES"] = gpus[i % len(gpus)]
        found.append(env)
    return found


def _visible_gpus() -> list[str]:
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is not None:
        return [name for name in said.split(",") if name]
    found = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted(found, key=int)


@contextmanager
def _client(address: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"no scheduler at {address} ({error}); start one with `dask scheduler`, and workers "
            f"with `dask worker {address} --nthreads 1`"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_START_S)
        except TimeoutError as error:
            raise ClusterError(
                f"the scheduler at {address} has no worker; start some with "
                f"`dask worker {address} --nthreads 1`"
            ) from error
        yield client


@contextmanager
def _scheduler_lost(address: str) -> Iterator[None]:
    from distributed.comm.core import CommClosedError

    try:
        yield
    except CommClosedError as error:
        raise ClusterError(
            f"the scheduler at {address} is lost ({error}); run it again: what is done is kept"
        ) from error


def _result(future: Any) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise ClusterError(
            "a part of the work ended several workers, one after the other, most likely for want "
            "of memory; give each worker more, or take fewer of them"
        ) from error


def _answer(address: str, future: Any) -> Worker:
    try:
        worker = future.result()
    except Exception as error:
        raise ClusterError(
            f"worker {address} cannot run featx: {type(error).__name__}: {error}; install featx "
            f"{version('featx')} there, with the same version of Python"
        ) from error
    assert isinstance(worker, Worker)  # noqa: S101
    if worker.featx != version("featx"):
        raise ClusterError(
            f"worker {address} has featx {worker.featx}, here is {version('featx')}: install the "
            "same on both"
        )
    return worker


def look_around(paths: Sequence[str]) -> Worker:
    """Say what the worker is that this runs on."""
    missing = tuple(path for path in paths if not Path(path).exists())
    return Worker(socket.gethostname(), version("featx"), len(_visible_gpus()), missing)


def _on_worker(function: Callable[[Any, Any], Any], common: Any, part: Any) -> Any:
    """Call it on the cores of this worker: threads that it makes inherit them."""
    share = os.environ.get(_CORES)
    if share and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in share.split(",")})
    return function(common, part)


def gpu_workers(workers: Mapping[str, Worker]) -> list[str]:
    """Give the addresses of those that see a CUDA device."""
    return [address for address, worker in workers.items() if worker.n_gpus]
