"""What a worker is, what it may use of its machine, and the machine of local ones divided."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx._cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CORES = "FEATX_WORKER_CORES"


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


def look_around(paths: Sequence[str]) -> Worker:
    """Say what the worker is that this runs on."""
    missing = tuple(path for path in paths if not Path(path).exists())
    return Worker(socket.gethostname(), version("featx"), len(_visible_gpus()), missing)


def gpu_workers(workers: Mapping[str, Worker]) -> list[str]:
    """Give the addresses of those that see a CUDA device."""
    return [address for address, worker in workers.items() if worker.n_gpus]


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


def on_worker(function: Callable[..., Any], *args: Any) -> Any:
    """Call it in a process that keeps to the cores of this worker."""
    share = os.environ.get(_CORES)
    if share and hasattr(os, "sched_setaffinity"):
        _keep_to({int(core) for core in share.split(",")})
    return function(*args)


def _keep_to(cores: set[int]) -> None:
    """Keep every thread to them: OpenVINO counts the cores of the process, not of its thread."""
    if os.sched_getaffinity(0) == os.sched_getaffinity(os.getpid()) == cores:
        return
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has just ended
            os.sched_setaffinity(int(thread.name), cores)
