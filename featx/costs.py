"""What the vectors of a store took: the passes that computed them, as its runs record them.

A run of a store may hold ``"cost": {"pass": name, "rows": n, "seconds": s}``. Runs that were
killed, or written before there were costs, hold none: what they took is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from featx._types import JsonObject

COST = "cost"
"""Where a run keeps it."""


@dataclass(frozen=True)
class PassCost:
    """What a pass over images took.

    Attributes
    ----------
    name
        Hexadecimal; the same in every store that the pass filled, so that it is counted once.
    rows
        Vectors of a store that the pass computed: images, times their views; of the store that
        lacked most.
    seconds
        Wall time of the pass: the network made ready, images read, vectors written.
    """

    name: str
    rows: int
    seconds: float

    @property
    def row_s(self) -> float:
        """Seconds a vector."""
        return self.seconds / self.rows

    @classmethod
    def of(cls, run: JsonObject) -> PassCost | None:
        """Read the cost of a store's run; None where it is not known."""
        told = run.get(COST)
        if not told or not told["rows"]:
            return None
        return cls(str(told["pass"]), int(told["rows"]), float(told["seconds"]))

    def to_json(self) -> JsonObject:
        """Give it as a store's run keeps it."""
        return {"pass": self.name, "rows": self.rows, "seconds": round(self.seconds, 6)}


def merged(parts: Iterable[tuple[PassCost | None, int]]) -> PassCost | None:
    """Give the cost of rows that are moved together, so many of each pass.

    The same passes give the same name, so that stores that were filled together still tell so.
    None where one of them is not known, or there are no rows.
    """
    names: set[str] = set()
    rows, seconds = 0, 0.0
    for cost, n in parts:
        if not n:
            continue
        if cost is None:
            return None
        names.add(cost.name)
        rows += n
        seconds += n * cost.row_s
    if not rows:
        return None
    name = names.pop() if len(names) == 1 else _joined(names)
    return PassCost(name, rows, seconds)


def _joined(names: Iterable[str]) -> str:
    return blake2b(" ".join(sorted(names)).encode(), digest_size=8).hexdigest()
