"""The command line: parse, call one workflow, print."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from io import TextIOWrapper

ALLOCATIONS = 50_000
"""Objects made between two looks for garbage, 700 by default: torch makes millions that stay, and
looking through them took 0.3 of the 5 s that an extraction needs to start."""


def main() -> None:
    """Run ``featx``; leaves with its exit code."""
    gc.set_threshold(ALLOCATIONS, *gc.get_threshold()[1:])
    leave = _Leave()
    atexit.register(leave)  # before all others, so that it runs after them
    from featx.cli.app import app
    from featx.cli.command import stop_on_sigterm

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    stop_on_sigterm()
    try:
        app(prog_name="featx")
    except SystemExit as error:
        leave.code = error.code
        raise


class _Leave:
    """Ends the process when all threads and exit handlers are done.

    Taking torch and OpenVINO apart would take another 0.5 s.
    """

    code: object = None

    def __call__(self) -> None:
        if not isinstance(self.code, int):
            return
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):  # Python has its own way to say so
            return
        os._exit(self.code)


__all__ = ["main"]
