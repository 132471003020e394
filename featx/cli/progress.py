"""Progress where there is no terminal: one plain line now and then."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx.cli.text import duration, rate

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_S = 30.0
SHORT_S = 1.0
"""A task that ends sooner is not told of: a fit of many kinds of features has many of them."""


@dataclass
class Task:
    """Work under way: how much of it is done since when."""

    name: str
    total: int | None
    started: float
    done: int = 0

    def line(self, now: float) -> str:
        """Say how far it is, for example ``embedding: 12 of 40 (30 %), 3.1/s, 9.0 s left``."""
        per_s = self.done / max(now - self.started, 1e-9)
        parts = [f"{rate(per_s)}/s"]
        amount = f"{self.done}"
        if self.total:
            amount += f" of {self.total} ({100 * self.done // self.total} %)"
            left = max(self.total - self.done, 0)
            parts += [f"{duration(left / per_s)} left"] if per_s else []
        return f"{self.name}: {', '.join([amount, *parts])}"

    def last_line(self, now: float) -> str:
        """Say what it came to, for example ``embedding: 40 of 40 in 13 s, 3.1/s``."""
        amount = f"{self.done} of {self.total}" if self.total else f"{self.done}"
        elapsed = max(now - self.started, 1e-9)
        return f"{self.name}: {amount} in {duration(elapsed)}, {rate(self.done / elapsed)}/s"


class PlainProgress:
    """Writes a line every 30 s at most, and one when a task of a second or more ends.

    Threads may share it.

    Parameters
    ----------
    write
        Takes one line.
    clock
        Seconds that only grow.
    """

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: list[Task] = []
        self._wrote = clock()

    def start(self, task: str, total: int | None) -> None:
        """Begin a task, inside the current one where there is one."""
        with self._lock:
            self._wrote = self._clock() if not self._tasks else self._wrote
            self._tasks.append(Task(task, total, self._clock()))

    def advance(self, done: int = 1) -> None:
        """Count ``done`` more units; write where the last line is 30 s old."""
        with self._lock:
            now = self._clock()
            self._tasks[-1].done += done
            if now - self._wrote >= EVERY_S:
                self._wrote = now
                self._write(self._tasks[-1].line(now))

    def say(self, message: str) -> None:
        """Write one line."""
        self._write(message)

    def finish(self) -> None:
        """End the current task and write what it came to, if to anything and not at once."""
        with self._lock:
            task, now = self._tasks.pop(), self._clock()
            if task.done and now - task.started >= SHORT_S:
                self._write(task.last_line(now))

    def close(self) -> None:
        """Nothing is left to tidy up."""
