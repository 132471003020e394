"""What splitting needs to know of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx._types import Ints
from featx._words import count


@dataclass(frozen=True)
class Rows:
    """What splitting needs to know of n rows.

    Attributes
    ----------
    codes
        (n,) class numbers; None for regression.
    names
        Of the classes.
    groups
        (n,) rows that must stay together have the same value; None where every row is alone.
    group_name
        What a group is called.
    """

    n: int
    codes: Ints | None
    names: tuple[str, ...] = ()
    groups: Ints | None = None
    group_name: str = "image"

    def take(self, rows: Ints) -> Rows:
        """Give the same for some of the rows."""
        return Rows(
            len(rows),
            None if self.codes is None else self.codes[rows],
            self.names,
            None if self.groups is None else self.groups[rows],
            self.group_name,
        )

    @property
    def units(self) -> Ints:
        """(n,) groups, or row numbers where there are none."""
        return np.arange(self.n) if self.groups is None else self.groups

    def units_per_class(self) -> Ints:
        """Give (k,) how many groups (rows, where there are none) each class has."""
        if self.codes is None:
            return np.array([len(np.unique(self.units))])
        pairs = np.unique(np.stack([self.codes, self.units]), axis=1)
        return np.bincount(pairs[0], minlength=len(self.names))

    def words(self) -> str:
        """Say how rows are kept apart: ``, stratified, grouped by patient``."""
        stratified = ", stratified" if self.codes is not None else ""
        return stratified + (f", grouped by {self.group_name}" if self.groups is not None else "")

    def said(self, n: int) -> str:
        """Say a number of what is counted: ``1 row``, ``3 groups (patient)``."""
        if self.groups is None:
            return count(n, "row")
        if self.group_name == "image":  # some images are there more than once
            return count(n, "image")
        return f"{count(n, 'group')} ({self.group_name})"
