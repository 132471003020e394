"""Where several fits run: threads, processes, or whatever workers joblib was told to use."""

from __future__ import annotations

from typing import Any

from joblib import Parallel
from joblib.parallel import get_active_backend

from featx.evaluate.space import Space


def pool(n_jobs: int, threads: bool) -> Parallel:
    """Give what runs fits, in order, and as they come.

    Threads where the fits leave Python alone, else processes; inside
    ``joblib.parallel_config("dask")`` the workers of that cluster, in either case.
    """
    here = "threading" if threads else "loky"
    backend = None if _is_dask() else here
    return Parallel(n_jobs=n_jobs, backend=backend, return_as="generator", max_nbytes="1M")


def _is_dask() -> bool:
    backend, _ = get_active_backend()
    if type(backend).__name__ != "DaskDistributedBackend":
        return False
    from dask.sizeof import sizeof

    # joblib sends what is large once, and asks Dask how large: of a dataclass it sees the shell
    sizeof.register(Space, _size_bytes)
    return True


def _size_bytes(space: Any) -> int:
    n = space.blocks[0].vectors.shape[0]
    return int(8 * n * n if space.X is None else space.X.nbytes)
