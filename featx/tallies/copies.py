"""The same image more than once: in groups, with other values in a column beside it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from featx._types import JsonObject


@dataclass(frozen=True)
class Clash:
    """One image that occurs with several values of a column.

    Attributes
    ----------
    rows
        That show it, of all that have a value.
    values
        The different ones, in the order of the rows.
    """

    rows: tuple[int, ...]
    values: tuple[str, ...]

    def to_json(self, paths: Sequence[str]) -> JsonObject:
        """Give it as a JSON object; ``paths`` are those of all rows."""
        return {"paths": paths_of(self.rows, paths), "values": list(self.values)}


def groups_of(keys: Iterable[Hashable | None]) -> list[tuple[int, ...]]:
    """Give the positions that share a key, where two or more do: the largest group first.

    None is no key: what has it is in no group.
    """
    members: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        if key is not None:
            members.setdefault(key, []).append(position)
    groups = [tuple(group) for group in members.values() if len(group) > 1]
    return sorted(groups, key=lambda group: (-len(group), group[0]))


def rows_of(group: Iterable[int], rows: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Give the rows of the files of a group, in order."""
    return tuple(sorted(row for position in group for row in rows[position]))


def clashes(groups: Iterable[Sequence[int]], values: Sequence[str | None]) -> list[Clash]:
    """Find the images whose rows do not agree.

    Parameters
    ----------
    groups
        Rows of each image.
    values
        (n,) of all rows; a row with None says nothing.
    """
    found = []
    for group in groups:
        rows = [row for row in group if values[row] is not None]
        different = dict.fromkeys(str(values[row]) for row in rows)
        if len(different) > 1:
            found.append(Clash(tuple(rows), tuple(different)))
    return found


def paths_of(rows: Iterable[int], paths: Sequence[str]) -> list[str]:
    """Give the paths of rows, each once."""
    return list(dict.fromkeys(paths[row] for row in rows))
