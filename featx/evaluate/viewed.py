"""Heads are trained on every view of an image, and scored by the mean of what they say of them.

All that plans, chooses and scores counts images; rows of features are views only here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from featx._types import Array, Ints
from featx.errors import TargetError, UsageError
from featx.evaluate.scoring import rescored
from featx.evaluate.work import Answer, Job, Solver
from featx.metrics import Outcome
from featx.views import Views

if TYPE_CHECKING:
    from featx.evaluate.setup import Setup


@dataclass(frozen=True, eq=False)
class Viewed:
    """Turns jobs on images into jobs on rows, and answers on rows into answers on images.

    Attributes
    ----------
    views
        Of the rows; None where each row is an image.
    """

    views: Views | None

    def values(self, values: Array) -> Array:
        """Give the rows' target values, of those of the images."""
        return values if self.views is None else values[self.views.image]

    def rows(self, images: Ints) -> Ints:
        """Give the rows of images."""
        return images if self.views is None else self.views.rows(images)

    def jobs(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Give the jobs with rows in place of images."""
        if self.views is None:
            return jobs
        return [replace(job, train=self.rows(job.train), test=self.rows(job.test)) for job in jobs]

    def answers(
        self, answers: Sequence[Answer], job: Job, values: Array, solver: Solver
    ) -> list[Answer]:
        """Average what each candidate says of the views of the job's test images, and score it.

        Parameters
        ----------
        values
            Target values of all images.
        """
        if self.views is None:
            return list(answers)
        shown = self.views.of(job.test)
        outcomes = [_mean(answer.outcome, values[job.test], shown) for answer in answers]
        return [
            rescored(solver, outcome, answer.stop)
            for outcome, answer in zip(outcomes, answers, strict=True)
        ]


def _mean(outcome: Outcome, y: Array, shown: Views) -> Outcome:
    """Average scores and choose the class where they are highest, or average the numbers."""
    if outcome.scores is None:
        return Outcome(y, shown.mean(outcome.prediction))
    scores = shown.mean(outcome.scores)
    return Outcome(y, scores.argmax(axis=1), scores)


def with_images(setup: Setup, images: Array | None, n_rows: int) -> Setup:
    """Give a fit on images whose rows of features are views of them.

    Raises
    ------
    TargetError
        If the numbers of images are not those of the target values, or of the rows.
    UsageError
        If what is asked for cannot be done on views.
    """
    if images is None:
        return setup
    views = Views(np.asarray(images, dtype=np.int64))
    present = np.array_equal(np.unique(views.image), np.arange(setup.rows.n))
    if len(views.image) != n_rows or not present:
        raise TargetError(
            f"{len(views.image)} numbers of images up to {views.n_images - 1} for {n_rows} rows of "
            f"features and {setup.rows.n} target values; expected one a row, from 0 on"
        )
    if setup.spec.calibrate is not None:
        raise UsageError(
            "calibrate is not for features with several views of an image: what is calibrated is "
            "the mean over the views, which a saved head does not see; take --head logreg, or "
            "features extracted without --views"
        )
    groups = setup.rows.groups
    numbers = views.image if groups is None else groups[views.image]
    return replace(setup, views=views, solver=replace(setup.solver, groups=numbers))
