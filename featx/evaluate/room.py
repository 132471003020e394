"""The memory that a fit takes, against what there is, before anything is computed.

What is estimated are the large arrays: inner products and their copies in every thread, features
that are held, decision values. An estimate that does not fit takes fewer threads, then refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featx._memory import GIB, available
from featx.errors import UsageError
from featx.evaluate.dual import PATHS
from featx.evaluate.setup import Setup
from featx.evaluate.space import HELD_BYTES, Source, is_tall
from featx.evaluate.tall import BATCH_BYTES, HELD_MOMENTS, has_moments
from featx.gram.build import PANEL_BYTES
from featx.gram.vectors import READ_BYTES
from featx.products import is_exact
from featx.solvers.finish import MOST_ROWS

_BASE_BYTES = 2**28
"""The libraries and small arrays."""


@dataclass(frozen=True)
class Room:
    """An estimate in bytes.

    Attributes
    ----------
    first
        At the peak of what is done once: products made, or the final fit.
    shared
        What all jobs share.
    each
        What each job takes.
    what
        What takes the most, in words.
    """

    first: int
    shared: int
    each: int
    what: str

    def of(self, n_jobs: int) -> int:
        """Give the peak with that many jobs at a time."""
        return _BASE_BYTES + max(self.first, self.shared + n_jobs * self.each)


def fitting_jobs(
    sources: Sequence[Source], setup: Setup, n_jobs: int, *, streams: bool, free: int | None = None
) -> int:
    """Give how many jobs at a time fit into memory, at most ``n_jobs``.

    Parameters
    ----------
    streams
        As `featx.evaluate.space.make_space` takes it.
    free
        Bytes; None: `available`.

    Raises
    ------
    UsageError
        If not even one fits.
    """
    free = available() if free is None else free
    room = estimate(sources, setup, streams=streams)
    for jobs in range(n_jobs, 0, -1):
        if room.of(jobs) <= free:
            return jobs
    n, d = sources[0].vectors.shape
    what = room.what if room.of(1) > 2 * _BASE_BYTES else "the libraries"
    raise UsageError(
        f"fitting {setup.head.name} on {n:,} x {d:,} features takes about "
        f"{room.of(1) / GIB:.1f} GiB of memory, most of it for {what}, and "
        f"{free / GIB:.1f} GiB are free: {_advice(setup, streams=streams)}; or say how much may "
        "be used with FEATX_MEMORY_GIB"
    )


def _advice(setup: Setup, *, streams: bool) -> str:
    fewer = "use fewer rows, or pooled features"
    if streams:
        return fewer
    if setup.head.name == "svr":
        return f"{fewer}, or --set loss=squared_epsilon_insensitive, or --head ridge"
    if setup.head.name == "svm":
        return f"{fewer}, or --set loss=squared_hinge"
    others = "svm, ridge or logreg" if setup.target.classes is not None else "ridge"
    return f"{fewer}, or --head {others}"


def estimate(sources: Sequence[Source], setup: Setup, *, streams: bool) -> Room:
    """Estimate the memory of a fit."""
    if not is_tall(sources, few_features=setup.head.axes > 0):
        return _of_products(sources, setup)
    n, d = sources[0].vectors.shape
    size = sources[0].vectors.dtype.itemsize
    if not streams:
        # a split's rows in float64, and 16 bytes a value in liblinear
        return Room(0, 12 * n * d, 24 * n * d, "features as scikit-learn takes them")
    k, sets = max(setup.solver.n_classes, 1), _training_sets(setup)
    held = n * d * size if n * d * size <= HELD_BYTES else 0
    passing = min(n * d * size, READ_BYTES) * (1 if setup.spec.scale == "none" else 3)
    weights = 8 * d * k * sets * (len(setup.params) + 8)
    if setup.head.name == "ridge" and has_moments(d):
        each, solving = 2 * passing, min(8 * d * d * sets, HELD_MOMENTS) + 5 * 8 * d * d + weights
    else:
        # F and the step's, of all the training sets that are solved together
        each, solving = 2 * passing + 2**26, max(min(8 * k * n * sets, BATCH_BYTES), 8 * k * n)
        solving += 2 * 8 * d * min(d, 1024) + weights
    return Room(2 * held, held + solving + n * sets, each, "features and decision values")


def _training_sets(setup: Setup) -> int:
    return sum(1 + len(fold.inner) for fold in setup.plan.folds)


def _of_products(sources: Sequence[Source], setup: Setup) -> Room:
    n = sources[0].vectors.shape[0]
    d = max(source.vectors.shape[1] for source in sources)
    size = sources[0].vectors.dtype.itemsize
    m = max(len(fold.train) for fold in setup.plan.folds) * n // setup.rows.n
    one = 8 * n * n
    kernel = (8 if is_exact(n, n, d) else 4) * m * m
    built = 5 * one // 2 + 2 * min(n * d * size, PANEL_BYTES)
    each = (2 * kernel if setup.head.name in PATHS else 24 * m * m) + 16 * m * (n - m)
    if setup.head.name in ("svm", "svr"):
        each += max(3 * 8 * min(m, MOST_ROWS) ** 2, kernel)  # Newton's, or narrowed
    fused = len(sources) * 8 * n * n
    if setup.spec.scale == "standard":
        return Room(0, min(n * d * size, HELD_BYTES), built + each, "inner products of each split")
    last = fused + (4 * one if setup.head.name == "ridge" or setup.head.axes else 0)
    return Room(max(fused - one + built, last), fused, each, "inner products of rows")
