"""The command line: parse, call one workflow, print."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def main() -> None:
    """Run ``featx``; leaves with its exit code."""
    from featx.cli.app import app
    from featx.cli.command import stop_on_sigterm

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    stop_on_sigterm()
    app(prog_name="featx")


__all__ = ["main"]
