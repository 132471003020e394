"""Workers of a Dask cluster: reach or start them, and have every part of some work done once.

Dask brings the processes, finds out which are lost, and gives what they had to others. What is
added here: parts are handed out as workers become free, so that their size can follow the speed;
and near the end a part that takes far longer than the others is given to a second worker.
"""

from featx.cluster.reaching import Cluster, connect, fits
from featx.cluster.workers import Worker, gpu_workers, local_environments

__all__ = ["Cluster", "Worker", "connect", "fits", "gpu_workers", "local_environments"]
