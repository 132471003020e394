"""A cluster reached at its address, or started on this machine for a while."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from featx.cluster.dispatch import Dispatch
from featx.cluster.workers import Worker, local_environments, look_around, on_worker
from featx.errors import ClusterError, MissingDependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

C = TypeVar("C")
P = TypeVar("P")
R = TypeVar("R")

_START_S = 60.0
_SILENT = logging.CRITICAL


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
        run = Dispatch(self.client, self.say, function, common, parts, without)
        try:
            with _scheduler_lost(self.address):
                yield from run.results()
        finally:
            run.cancel()

    def everywhere(
        self, function: Callable[[C], None], common: C, without: Sequence[str] = ()
    ) -> list[Any]:
        """Have every worker call ``function(common)`` when it would otherwise wait.

        Nobody waits for it, and what it raises is not seen.

        Returns
        -------
        wanted
            While this is kept, workers that have not begun will do so.
        """
        chosen = [address for address in self.client.nthreads() if address not in without]
        return [
            self.client.submit(
                on_worker, function, common, workers=[address], pure=False, priority=-1
            )
            for address in chosen
        ]


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
