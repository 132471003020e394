"""A process that has imported what commands need, and runs each of them in a fork of itself.

Importing torch, scikit-learn and OpenVINO takes a command 2 to 5 s, most of its time where images
are few. ``python -W error warm.py serve SOCKET`` imports them once. Then ``python warm.py run
SOCKET featx WORD ...`` is ``featx WORD ...``, and ``python warm.py run SOCKET python CODE`` is
``python -W error -c CODE``, in a process of its own with the asker's folder, variables and files.
What a start itself does is for tests that begin anew: test_cli_process.py, test_imports.py,
test_readme.py, test_newcomer.py.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import NoReturn

PRELOADED = (
    "featx.cli.app",
    "featx.comparison",
    "featx.curves",
    "featx.embedder",
    "featx.export",
    "featx.extraction",
    "featx.finetuning",
    "featx.fitting",
    "featx.forward.openvino_engine",
    "featx.planning",
    "featx.plots",
    "featx.prediction",
    "featx.probing",
    "featx.reporting",
    "featx.surveying",
    "skops.io",
    "torch.export",
)
STREAMS = (0, 1, 2)
LOST = 70
"""The exit code where the process that answers ended before what it ran."""


def serve(place: str) -> NoReturn:
    """Answer whoever asks at ``place``, until the other end of standard input is closed."""
    for name in PRELOADED:
        import_module(name)
    import_module("featx.forward.openvino_engine").openvino()  # its way: without its telemetry
    # Python cannot tell that threads of OpenBLAS and pyarrow lie idle, and that they know of forks.
    warnings.filterwarnings("ignore", ".*is multi-threaded, use of fork", DeprecationWarning)
    gc.freeze()  # else each fork copies what a look for garbage touches
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(place)
        server.listen()
        print("ready", flush=True)  # noqa: T201
        while sys.stdin not in select.select([sys.stdin, server], [], [])[0]:
            asker, _ = server.accept()
            with asker:
                if os.fork() == 0:
                    server.close()
                    _answer(asker)
    sys.exit()


def _answer(asker: socket.socket) -> NoReturn:
    """Run what is asked for in another fork, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(asker, 1, len(STREAMS))
    asked = asker.makefile(encoding="ascii").readline()
    child = os.fork()
    if child == 0:
        asker.close()
        for stream, file in zip(STREAMS, streams, strict=True):
            os.dup2(file, stream)
            os.close(file)
        _become(**json.loads(asked))
    _, status = os.waitpid(child, 0)
    asker.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(kind: str, words: list[str], folder: str, variables: dict[str, str]) -> NoReturn:
    """Be the process that was asked for, until Python ends it as it ends any other."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.path[0] = ""
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    KINDS[kind](words)
    sys.exit()


def _featx(words: list[str]) -> None:
    from featx.cli import main

    sys.argv = ["featx", *words]
    main()


def _python(words: list[str]) -> None:
    module = ModuleType("__main__")
    sys.argv, sys.modules["__main__"] = ["-c"], module
    exec(compile(*words, "<string>", "exec"), vars(module))  # noqa: S102  # as python -c does


KINDS: dict[str, Callable[[list[str]], None]] = {"featx": _featx, "python": _python}


def run(place: str, kind: str, *words: str) -> NoReturn:
    """Have the process at ``place`` run something with these words; leave with its exit code."""
    asked = {
        "kind": kind,
        "words": words,
        "folder": os.getcwd(),  # noqa: PTH109  # pathlib would double the time that this takes
        "variables": dict(os.environ),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.connect(place)
        socket.send_fds(server, [b"."], STREAMS)
        server.sendall(f"{json.dumps(asked)}\n".encode("ascii"))
        sys.exit(int(server.recv(16) or LOST))


if __name__ == "__main__":
    {"serve": serve, "run": run}[sys.argv[1]](*sys.argv[2:])
