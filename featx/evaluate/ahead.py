"""What a fit would take, told before there are any features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from joblib import effective_n_jobs

from featx._types import Array
from featx.errors import UsageError
from featx.evaluate.result import Spec
from featx.evaluate.room import estimate, fitting_jobs
from featx.evaluate.setup import Setup, read_setup
from featx.evaluate.space import Source
from featx.evaluate.tall import is_smooth
from featx.evaluate.viewed import with_images
from featx.gram import ArrayVectors, Gram


@dataclass(frozen=True)
class Foresight:
    """Whether a fit finds the memory that it takes.

    Attributes
    ----------
    jobs
        How many at a time fit into memory; 0 where not even one does.
    size_bytes
        At the peak, with so many (with one where none fits).
    why
        What does not fit, and what would; empty where it fits.
    """

    jobs: int
    size_bytes: int
    why: str


def foresee(
    shape: tuple[int, int], dtype: str, y: Array, spec: Spec, *, free: int | None = None
) -> Foresight:
    """Ask what `featx.evaluate.evaluate` asks before it starts; no feature is needed or made.

    Parameters
    ----------
    shape, dtype
        (n, d) of the features, and how they are stored.
    y
        (m,) labels or numbers; where m is less than n, each image has n / m views.
    free
        Bytes; None: what is free now.

    Raises
    ------
    UsageError, TargetError, HeadTaskError
        If the fit would be refused for another reason than memory.
    """
    nothing = np.broadcast_to(np.zeros((), dtype), shape)  # its strides are zero: one value
    sources = [Source(ArrayVectors(nothing), _no_gram)]
    images = np.repeat(np.arange(len(y)), shape[0] // len(y)) if len(y) < shape[0] else None
    setup = read_setup(len(y), 1, y, spec, None, None, "group", "split")
    setup = with_images(setup, images, shape[0])
    passes = _streams(setup)
    most = int(effective_n_jobs(-1))
    try:
        jobs, why = fitting_jobs(sources, setup, most, streams=passes, free=free), ""
    except UsageError as error:
        jobs, why = 0, str(error)
    room = estimate(sources, setup, streams=passes)
    return Foresight(jobs, room.of(max(jobs, 1)), why)


def _streams(setup: Setup) -> bool:
    return is_smooth(setup.head.name, [setup.solver.make(params) for params in setup.params])


def _no_gram() -> Gram:
    raise AssertionError("an estimate computes nothing")
