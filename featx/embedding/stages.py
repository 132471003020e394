"""Where the time of a pass goes: how busy each stage was, and which one bounds it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from featx._types import JsonObject

STAGES = ("read", "decode", "forward", "write")


@dataclass(frozen=True)
class Timing:
    """How busy the stages of a pass were.

    Attributes
    ----------
    start_s
        Seconds until the first batch: loading, converting and certifying the network.
    run_s
        Seconds from then until the last block was written.
    busy_s
        Seconds of work of each stage, summed over its threads.
    busy
        Of each stage, the share of ``run_s`` in which its threads were at work, 0 to 1.
    """

    start_s: float
    run_s: float
    busy_s: Mapping[str, float] = field(default_factory=dict)
    busy: Mapping[str, float] = field(default_factory=dict)

    @property
    def bound_by(self) -> str:
        """The busiest stage; empty where nothing was computed."""
        return max(self.busy, key=lambda stage: self.busy[stage], default="")

    def describe(self) -> str:
        """Say it in one line; empty where nothing was computed."""
        if not self.busy:
            return ""
        order = sorted(self.busy, key=lambda stage: -self.busy[stage])
        parts = ", ".join(f"{stage} {100 * self.busy[stage]:.0f} % busy" for stage in order)
        return f"{parts}: bound by {self.bound_by}"

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {
            "start_s": round(self.start_s, 3),
            "run_s": round(self.run_s, 3),
            "busy_s": {stage: round(value, 3) for stage, value in self.busy_s.items()},
            "busy": {stage: round(value, 4) for stage, value in self.busy.items()},
            "bound_by": self.bound_by,
        }


class Stages:
    """Adds up the work of the stages of one pass, from many threads."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._lock = threading.Lock()
        self._busy_s = dict.fromkeys(STAGES, 0.0)
        self._first: float | None = None

    @contextmanager
    def timed(self, stage: str, waits: bool = True) -> Iterator[None]:
        """Count the time inside for ``stage``.

        Parameters
        ----------
        waits
            Whether it waits for a disk or another device, as what it is there for. Where it is pure
            computation, a thread that waits for a core is not busy.
        """
        clock = time.perf_counter if waits else time.thread_time
        start = clock()
        try:
            yield
        finally:
            self.add(stage, clock() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Count ``seconds`` for ``stage``."""
        with self._lock:
            self._busy_s[stage] += seconds

    def start_running(self) -> None:
        """Say that the network is ready; what was done before is its preparation."""
        if self._first is None:
            self._first = time.perf_counter()

    def timing(self, threads: Mapping[str, int]) -> Timing:
        """Give the account so far; ``threads`` says how many work at each of `STAGES`."""
        now = time.perf_counter()
        if self._first is None:
            return Timing(now - self._begun, 0.0)
        run_s = now - self._first
        busy_s = {stage: self._busy_s[stage] for stage in STAGES}
        shares = {stage: busy_s[stage] / (run_s * threads[stage]) for stage in STAGES}
        busy = {stage: min(1.0, share) for stage, share in shares.items()}
        return Timing(self._first - self._begun, run_s, busy_s, busy)
