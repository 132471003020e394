"""Where a command's words go: results to stdout, everything else to stderr."""

from __future__ import annotations

import io
import os
import sys
import warnings
from contextlib import ExitStack, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

from featx.cli.jsonable import dumps
from featx.cli.progress import PlainProgress
from featx.cli.text import one_line
from featx.errors import CacheWriteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from featx._types import Array
    from featx.cli.bars import Bars


class Console:
    """Prints one command's result, as lines for people or as one JSON object for programs.

    While it is open, ``--json`` keeps stdout free of whatever else a library prints, and a
    warning is one line on stderr.

    Parameters
    ----------
    as_json
        Whether stdout gets one JSON object, and nothing else.
    quiet
        Whether stderr gets errors alone: no progress, no notes.
    argv
        The command as it was typed, ``featx`` left out.
    """

    def __init__(
        self, *, as_json: bool = False, quiet: bool = False, argv: Sequence[str] = ()
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.argv = tuple(argv)
        self.interactive = _is_terminal(sys.stdin) and _is_terminal(sys.stderr)
        self._progress: PlainProgress | Bars | None = None
        self._out: TextIO = sys.stdout or io.StringIO()  # None where stdout was closed
        self._stack = ExitStack()
        self._shown = False

    def __enter__(self) -> Console:
        if self.as_json:
            self._stack.enter_context(redirect_stdout(sys.stderr))
        self._stack.enter_context(warnings.catch_warnings())
        warnings.showwarning = self._warn
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._end_progress()

    @property
    def progress(self) -> PlainProgress | Bars:
        """What long work reports to: bars on a terminal, else a line now and then."""
        if self._progress is None:
            self._progress = _progress(self.quiet)
        return self._progress

    @property
    def plus_minus(self) -> str:
        """The sign that this terminal can show."""
        return self._showable("±", "+-")

    @property
    def block(self) -> str:
        """What bars are drawn with: a block where this terminal can show it."""
        return self._showable("█", "#")

    def _showable(self, text: str, instead: str) -> str:
        try:
            text.encode(self._out.encoding or "ascii")
        except UnicodeEncodeError:
            return instead
        return text

    def show(self, value: Any, lines: Iterable[str]) -> None:
        """Print the result: ``value`` as JSON where asked for, else ``lines``."""
        if self.as_json:
            self._show_json(value)
        self.tell(lines)

    def tell(self, lines: Iterable[str]) -> None:
        """Print ``lines`` for people now; ``--json`` leaves them out."""
        if not self.as_json:
            self._write(f"{one_line(line)}\n" for line in lines)

    def draw(self, pictures: Sequence[Array], title: str) -> None:
        """Show small pictures under a title, on a terminal with colours; elsewhere nothing.

        Parameters
        ----------
        pictures
            (H, W) or (H, W, 3) uint8, side by side.
        title
            One line above them.
        """
        if self.as_json or not _is_terminal(self._out):
            return
        from featx.cli.preview import half_blocks

        if text := half_blocks(self._out, pictures):
            self._write([f"\n{one_line(title)}\n", text])

    def note(self, message: str) -> None:
        """Say one line about a decision or a surprise, on stderr."""
        if self._progress is not None:
            self._progress.say(message)
        elif not self.quiet:
            _write_error(message)

    def fail(self, message: str, exit_code: int, kind: str) -> None:
        """Say in one line on stderr what went wrong; ``--json`` gets it as its one object."""
        self._end_progress()
        _write_error(f"featx: {message}")
        if self.as_json and not self._shown:
            error = {"type": kind, "message": message, "exit_code": exit_code}
            self._show_json({"error": error})

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.close()

    def _show_json(self, value: Any) -> None:
        self._shown = True  # or never will be
        self._write([dumps(value) + "\n"])

    def _write(self, texts: Iterable[str]) -> None:
        try:
            for text in texts:
                self._out.write(text)
            self._out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._out is sys.__stdout__:
                leave_stdout()
            raise CacheWriteError(cannot_write(error)) from error

    def _warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,  # noqa: ARG002  # warnings' own signature
        lineno: int,  # noqa: ARG002  # warnings' own signature
        file: TextIO | None = None,  # noqa: ARG002  # warnings' own signature
        line: str | None = None,  # noqa: ARG002  # warnings' own signature
    ) -> None:
        self.note(f"warning ({category.__name__}): {' '.join(str(message).split())}")


def cannot_write(error: OSError) -> str:
    """Say why stdout takes nothing."""
    return f"cannot write to standard output: {error.strerror}"


def leave_stdout() -> None:
    """Nobody can have what is still buffered: let it go nowhere, without a word at the exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.close(nowhere)


def _progress(quiet: bool) -> PlainProgress | Bars:
    if quiet:
        return PlainProgress(lambda _: None)
    if _is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb":
        from featx.cli.bars import Bars

        return Bars()
    return PlainProgress(_write_error)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _write_error(line: str) -> None:
    sys.stderr.write(one_line(line) + "\n")
    sys.stderr.flush()
