"""Progress on a terminal: rich's bars, with the rate and the time left."""

from __future__ import annotations

import threading

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from featx.cli.text import one_line, rate


class _Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{rate(speed)}/s")


class Bars:
    """Draws one bar for each task under way on stderr; lines are written above them."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._lock = threading.Lock()
        self._live: Progress | None = None
        self._tasks: list[TaskID] = []

    def start(self, task: str, total: int | None) -> None:
        """Begin a task, inside the current one where there is one."""
        with self._lock:
            if self._live is None:
                self._live = _progress(self._console)
                self._live.start()
            self._tasks.append(self._live.add_task(one_line(task), total=total))

    def advance(self, done: int = 1) -> None:
        """Count ``done`` more units."""
        with self._lock:
            if self._live is not None:
                self._live.advance(self._tasks[-1], done)

    def say(self, message: str) -> None:
        """Write one line above the bars."""
        self._console.print(one_line(message))

    def finish(self) -> None:
        """End the current task; the bars stay on the screen when none is left."""
        with self._lock:
            if self._live is None:
                return
            task = self._tasks.pop()
            if self._live.tasks[task].total is None:
                self._live.update(task, total=self._live.tasks[task].completed)
            if not self._tasks:
                self._stop()

    def close(self) -> None:
        """Give the terminal back, whatever is under way."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            self._tasks.clear()


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        console=console,
        redirect_stdout=False,
    )
