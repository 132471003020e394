"""What to do about classes and groups that are too few to be split."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx.folds.rows import Rows

NO_SEARCH = "--no-search"
"""How to do without inner splits, where nothing else needs them."""
NO_VALIDATION = "--val 0"
"""How to do without where inner splits are a validation part."""

_MOST = 3
"""Classes to be left out that are named."""


def for_folds(rows: Rows, k: int, without_inner: str | None) -> str:
    """Say what to do where a class, or the groups, are fewer than ``k``.

    Two of a class can be split once, not twice: one is left to train on, none to choose by.

    Parameters
    ----------
    without_inner
        How to do without inner splits; None where there are none.
    """
    least = int(rows.units_per_class().min())
    if least < 2:
        return f"it needs 2 at least: {others(rows, k).removeprefix('or ')}"
    inside = f" {without_inner}" if least == 2 and without_inner else ""
    return f"{others(rows, k).removeprefix('or ')} or use --cv {least}{inside}"


def others(rows: Rows, k: int) -> str:
    """Say what helps in any case: to leave out the classes that have fewer than ``k``, to label."""
    few = np.flatnonzero(rows.units_per_class() < k)
    if not rows.names:
        return "or take more rows" if rows.groups is None else "or take more groups"
    if len(rows.names) - len(few) < 2:
        return "or label more of it" if len(few) == 1 else "or label more of such classes"
    listed = ",".join(rows.names[i].replace(",", r"\,") for i in few[:_MOST])
    listed += ",..." if len(few) > _MOST else ""
    what = "that class" if len(few) == 1 else f"the {len(few)} classes that have fewer"
    return f"or leave {what} out: --missing {shlex.quote(listed)}"
