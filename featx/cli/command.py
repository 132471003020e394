"""What every command shares: three flags, a console, and errors in one line."""

from __future__ import annotations

import inspect
import signal
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

from featx.cli.console import Console, cannot_write, leave_stdout
from featx.cli.text import literal
from featx.errors import FeatxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="No progress, no remarks on the way: results and errors.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error came from.")]

_FLAGS = {"as_json": Json, "quiet": Quiet, "debug": Debug}

_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What the parser raises; typer exports its child alone, and from version to version moves it."""


class Group(TyperGroup):
    """All commands: a usage error is one line on stderr and exit code 2."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Parse and run; leave with the command's exit code."""
        argv = _arguments(*args, **options)
        options |= {"standalone_mode": False, "obj": {"argv": argv}}
        try:
            code = super().main(*args, **options)
        except _UsageError as error:
            message, code = _usage(error), 2
            Console(as_json="--json" in argv).fail(message, code, "UsageError")
        except OSError as error:  # of --version and --help; a command's own errors end in reporting
            leave_stdout()
            code = 1
            Console().fail(cannot_write(error), code, type(error).__name__)
        sys.exit(code or 0)


def _arguments(args: Sequence[str] | None = None, **_: Any) -> list[str]:
    return list(sys.argv[1:] if args is None else args)


def _usage(error: Any) -> str:
    text = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
    path = error.ctx.command_path if error.ctx else "featx"
    return f"{text[:1].lower()}{text[1:]}; `{path} --help` lists what there is"


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--json``, ``--quiet`` and ``--debug`` to a command and hand it its console.

    Parameters
    ----------
    function
        Takes a `Console` and then its own options; its docstring is the command's help.
    """

    def run(ctx: typer.Context, as_json: bool, quiet: bool, debug: bool, **options: Any) -> None:
        debug = debug or bool(ctx.find_root().params.get("debug"))
        console = Console(as_json=as_json, quiet=quiet, argv=ctx.obj["argv"])
        with console, reporting(console, console.argv, debug):
            function(console, **options)

    hints = get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        *(p.replace(kind=keyword, annotation=hints[p.name]) for p in own),
        *(inspect.Parameter(n, keyword, default=False, annotation=a) for n, a in _FLAGS.items()),
    ]
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    vars(run)["__signature__"] = inspect.Signature(parameters)
    return run


@contextmanager
def reporting(console: Console, argv: Sequence[str], debug: bool) -> Iterator[None]:
    """Turn whatever goes wrong inside into one line on stderr and an exit code.

    Raises
    ------
    typer.Exit
        Always, where something went wrong.
    """
    try:
        yield
    except (typer.Exit, SystemExit):
        raise
    except BrokenPipeError:
        leave_stdout()
        raise typer.Exit(1) from None
    except BaseException as error:
        if debug:
            traceback.print_exc()
        message, code = _explain(error, argv)
        console.fail(message, code, type(error).__name__)
        raise typer.Exit(code) from None


def _explain(error: BaseException, argv: Sequence[str]) -> tuple[str, int]:
    text = str(error) or type(error).__name__
    if isinstance(error, FeatxError):
        return text, error.exit_code
    if isinstance(error, KeyboardInterrupt):
        number = error.args[0] if error.args else signal.SIGINT
        again = literal("featx", *argv)
        if not argv or argv[0] not in _GO_ON:
            return f"stopped; to do it again: {again}", 128 + number
        return f"stopped; what is done is kept, to go on: {again}", 128 + number
    if isinstance(error, MemoryError):
        return f"out of memory ({text}); run it again with --debug to see where", 1
    return f"unexpected {type(error).__name__}: {text}; run it again with --debug to see where", 1


_GO_ON = ("extract", "demo", "layers", "compare", "run", "finetune")
"""Commands that go on where they were stopped."""


def stop_on_sigterm() -> None:
    """Let the signal that a scheduler or a container sends end a run as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: object) -> None:  # noqa: ARG001  # a handler's contract
    raise KeyboardInterrupt(number)
