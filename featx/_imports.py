"""What a person names as ``module:function``, and a mark that changes with its code."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def imported(name: str) -> Any:
    """Give what ``module:attribute`` names, of a module in the current folder or installed.

    Raises
    ------
    ImportError, AttributeError, ValueError
        If it names nothing.
    """
    path, _, attribute = name.partition(":")
    with folder_importable():
        found: Any = importlib.import_module(path)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


@contextmanager
def folder_importable() -> Iterator[None]:
    """Let modules of the current folder be imported, as ``python -m`` does."""
    folder = str(Path.cwd())
    if folder in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def reader_function(text: str) -> Callable[[bytes], Any]:
    """Give the function that ``--reader`` names, with or without the mark of its code.

    Raises
    ------
    UsageError
        If it names no function.
    """
    name = text.partition("@")[0]
    module, _, function = name.partition(":")
    if not (module and function):
        raise UsageError(f"--reader {text}: expected module:function")
    try:
        found = imported(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"--reader {name}: {error}; expected a module in {Path.cwd()} or installed, and a "
            "function in it that takes bytes and returns an array (H, W[, C])"
        ) from error
    if not callable(found):
        raise UsageError(f"--reader {name}: {function} is not a function")
    reader: Callable[[bytes], Any] = found
    return reader


def marked_reader(text: str) -> str:
    """Put the mark of its code behind a reader's name: ``module:function@1f2e3d4c``.

    Vectors of another version of the reader are other vectors, so the mark is part of the recipe.

    Raises
    ------
    UsageError
        If it names no function.
    """
    if not text:
        return ""
    mark = _code_mark(reader_function(text))
    return f"{text.partition('@')[0]}{mark and '@'}{mark}"


@cache
def _code_mark(function: Callable[..., Any]) -> str:
    """8 hex digits of the file a function is in, as it was at first use; empty if there is none.

    Kept by function: a file that is edited and not imported again has not changed what runs.
    """
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    return blake2b(Path(file).read_bytes(), digest_size=4).hexdigest() if file else ""
