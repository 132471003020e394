"""Several devices of one machine, each with an engine of its own, as one engine."""

from __future__ import annotations

import copy
from queue import SimpleQueue
from typing import TYPE_CHECKING

from featx.errors import DeviceError
from featx.forward.base import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import Array


class EngineGroup(Engine):
    """Gives each batch to whichever engine has a free lane.

    Parameters
    ----------
    engines
        Alike, on devices of one kind; at least one.

    Raises
    ------
    DeviceError
        If the devices are not of one kind.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        first = engines[0]
        self.precision = first.precision
        self.batch_size = first.batch_size
        kinds = dict.fromkeys(str(engine.provenance["device"]) for engine in engines)
        if len(kinds) > 1:
            raise DeviceError(
                f"cuda:all needs devices of one kind, got {' and '.join(kinds)}: what proves the "
                "vectors of one holds for no other; give --device cuda:0"
            )
        self.provenance = first.provenance
        self._take(engines)

    def _take(self, engines: Sequence[Engine]) -> None:
        self._engines = tuple(engines)
        self.lanes = sum(engine.lanes for engine in engines)
        self._free: SimpleQueue[Engine] = SimpleQueue()
        for lane in range(max(engine.lanes for engine in engines)):  # first one lane of each
            for engine in engines:
                if lane < engine.lanes:
                    self._free.put(engine)

    def run(self, images: Array) -> list[Array]:
        """Give the maps of one batch; in `lanes` threads at once."""
        engine = self._free.get()
        try:
            return engine.run(images)
        finally:
            self._free.put(engine)

    def resized(self, batch_size: int) -> EngineGroup:
        """Give the same engines with another batch size."""
        other = copy.copy(self)
        other.batch_size = batch_size
        other._take([engine.resized(batch_size) for engine in self._engines])
        return other
