"""Ridge for all splits at once: one decomposition of all rows answers every training set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from featx._types import Array
from featx.evaluate.dual import alike, targets
from featx.evaluate.scoring import answer
from featx.evaluate.space import Space
from featx.evaluate.work import Answer, Job, Solver, Stop

if TYPE_CHECKING:
    from featx.solvers import Solution


def can_share(space: Space, jobs: Sequence[Job], solver: Solver) -> bool:
    """Say whether the splits are those of one ridge, most of whose rows each training set has."""
    gram = space.blocks[0].gram
    fused = len(space.blocks) > 1
    if solver.head != "ridge" or fused or gram is None or solver.class_weight is not None:
        return False
    n = len(gram)
    return bool(jobs) and all(2 * len(job.train) >= n for job in jobs)


def run_shared(
    space: Space, values: Array, jobs: Sequence[Job], solver: Solver
) -> tuple[list[list[Answer]], list[Callable[[], Solution]]]:
    """Give what `featx.evaluate.solve.run_job` gives for each of ``jobs``, of equal candidates.

    And, when it is called, each candidate trained on all rows.
    """
    from featx.solvers.left_out import left_out

    gram = space.blocks[0].gram
    if gram is None:
        raise ValueError("ridge of all splits at once needs products that no split decides")
    K = gram.values if gram.exact else gram.values.astype(np.float32)
    Y, params = targets(values, solver.n_classes), jobs[0].params
    sets = [(np.setdiff1d(np.arange(len(K)), job.train), job.test) for job in jobs]
    table: list[list[Answer]] = [[None] * len(params) for _ in jobs]  # type: ignore[list-item]
    whole: dict[int, Callable[[], Solution]] = {}
    for members, made, alphas in alike(solver, params):
        found = left_out(K, Y, alphas, sets, fit_intercept=made.fit_intercept)
        for i, each in zip(members, found, strict=True):
            whole[i] = each.whole
            for row, job, decision in zip(table, jobs, each.predictions, strict=True):
                y = values[job.test]
                row[i] = answer(solver, decision, y, Stop(converged=True))
    return table, [whole[i] for i in range(len(params))]
