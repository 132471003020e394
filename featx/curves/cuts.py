"""Which training sets a learning curve is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count, takewhile

import numpy as np

from featx._types import Ints
from featx.errors import TargetError, UsageError
from featx.evaluate import Setup, with_plan
from featx.folds import cut_plan

MOST_DRAWS = 10
LEAST_FITS = 5
"""Of a size, over folds and draws."""
_NEAR = 0.75
"""Share of the training rows above which a size tells little more than all of them."""
_FIRST = {"classification": 5, "regression": 25}

Size = int | None
"""Rows of each class (of all for a regression); None for all there are."""


@dataclass(frozen=True)
class Cut:
    """One draw of one size: the fit on the cut folds."""

    size: Size
    draw: int
    setup: Setup


def read_sizes(sizes: Sequence[int | str] | str | None) -> tuple[Size, ...] | None:
    """Read ``"5,10,all"`` or a list; rising, ``all`` last. None stays None.

    Raises
    ------
    UsageError
        If one is neither a whole number from 1 up nor ``all``, or there is none.
    """
    if sizes is None:
        return None
    texts = sizes.split(",") if isinstance(sizes, str) else [str(size) for size in sizes]
    texts = [text.strip().lower() for text in texts if text.strip()]
    bad = [t for t in texts if t != "all" and not (t.isdecimal() and int(t) > 0)]
    if bad or not texts:
        raise UsageError(
            f"sizes is {','.join(map(str, texts))!r}; expected whole numbers from 1 up, and all "
            "for every training row: --sizes 5,10,100,all"
        )
    numbers = sorted({int(text) for text in texts if text != "all"})
    return (*numbers, *([None] if "all" in texts else []))


def make_cuts(
    setup: Setup, sizes: Sequence[Size] | None, draws: int | None
) -> tuple[list[Cut], list[str]]:
    """Draw the training sets, the smallest first, and say what could not be drawn as asked.

    Of sizes that take the same rows, as groups or small classes may make them do, the largest is
    kept; where these are all rows, ``all`` alone tells of them.

    Parameters
    ----------
    sizes
        None: as large as the training sets allow, in steps of 2 to 2.5.
    draws
        Of each size; None: as many as the training rows hold, up to `MOST_DRAWS`, and enough for
        `LEAST_FITS`.

    Raises
    ------
    UsageError
        If no size can be drawn.
    """
    cuts: list[Cut] = []
    notes: list[str] = []
    above = n_rows(setup)
    for size in reversed(default_sizes(setup) if sizes is None else sizes):
        try:
            drawn = _draw(setup, size, draws, above)
        except (TargetError, UsageError) as error:
            notes.append(f"size {size} is left out: {error}")
        else:
            if not drawn and sizes is not None:
                notes.append(f"size {size} is left out: {_same_rows(cuts)}")
            cuts = [*drawn, *cuts]
            above = n_rows(cuts[0].setup) if cuts else above
    if not cuts:
        raise UsageError(f"no size can be drawn: {'; '.join(notes)}")
    return cuts, notes + _about_small_classes(setup, [cut.size for cut in cuts])


def _same_rows(larger: Sequence[Cut]) -> str:
    """Say which rows a size takes that is not drawn."""
    if not larger:
        return "every class has fewer training rows: name all, too"
    size = larger[0].size
    return f"it takes the same training rows as {'all' if size is None else size}"


def default_sizes(setup: Setup) -> tuple[Size, ...]:
    """Give 5, 10, 25, 50, 100, 250 ... that take at most 3/4 of the training rows, and all."""
    counts = np.array(_counts(setup))
    steps = chain((5,), (step * 10**power for power in count() for step in (10, 25, 50)))
    few = takewhile(lambda size: np.minimum(counts, size).sum() <= _NEAR * counts.sum(), steps)
    first = _FIRST[setup.target.task]
    return (*(size for size in few if size >= first), None)


def _draw(setup: Setup, size: Size, draws: int | None, above: int) -> list[Cut]:
    """Give the draws of one size; none where it takes the ``above`` rows of the next larger one."""
    if size is None:
        return [Cut(None, 0, setup)]
    first = _cut(setup, size, 0)
    rows = n_rows(first.setup)
    if rows == above:
        return []
    least = -(-LEAST_FITS // len(setup.plan.folds))
    times = draws or int(np.clip(n_rows(setup) // rows, least, MOST_DRAWS))
    return [first, *(_cut(setup, size, draw) for draw in range(1, times))]


def _cut(setup: Setup, size: int, draw: int) -> Cut:
    plan = cut_plan(setup.rows, setup.plan, size, draw, setup.spec.seed)
    return Cut(size, draw, with_plan(setup, plan))


def n_rows(setup: Setup) -> int:
    """Count the training rows of all folds."""
    return sum(len(fold.train) for fold in setup.plan.folds)


def _counts(setup: Setup) -> list[Ints]:
    """Give (k,) training rows of each class, or their number for a regression, for each fold."""
    codes, k = setup.rows.codes, len(setup.rows.names)
    if codes is None:
        return [np.array([len(fold.train)]) for fold in setup.plan.folds]
    return [np.bincount(codes[fold.train], minlength=k) for fold in setup.plan.folds]


def _about_small_classes(setup: Setup, sizes: Sequence[Size]) -> list[str]:
    """Say which classes have fewer rows than a size that is shown."""
    if setup.rows.codes is None:
        return []
    fewest = np.min(_counts(setup), axis=0)
    largest = max((size for size in sizes if size is not None), default=0)
    short = [i for i in np.argsort(fewest, kind="stable") if fewest[i] < largest]
    if not short:
        return []
    named = ", ".join(f"{setup.rows.names[i]!r} {fewest[i]}" for i in short[:3])
    more = f" and {len(short) - 3} more" if len(short) > 3 else ""
    note = f"classes with fewer training rows than a size give all they have: {named}{more}"
    return [note]
