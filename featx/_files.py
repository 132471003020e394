"""Write a file so that it is there whole or not at all, and say why when it cannot be."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from featx.errors import CacheWriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import FileLock

_REASONS = {
    errno.ENOSPC: "the disk is full; free some room (`featx gc`, `featx rm`) and run it again: "
    "what is done is kept",
    errno.EDQUOT: "the disk quota is used up; free some room and run it again",
    errno.EROFS: "the file system is read-only; choose another place (--cache, --out, -o)",
    errno.EACCES: "permission denied; choose another place (--cache, --out, -o)",
    errno.EPERM: "not permitted; choose another place (--cache, --out, -o)",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating-system error while writing to ``path`` into a `CacheWriteError`."""
    try:
        yield
    except CacheWriteError:
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, str(error))
        raise CacheWriteError(f"cannot write to {path}: {reason}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a new path beside ``path``, for a file or a folder, that takes its place in the end."""
    temporary = path.with_name(f".{path.name[:80]}.{uuid4().hex[:12]}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with writing(path):
            yield temporary
            _take_place(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # gone, or on a read-only file system: said already
            temporary.unlink()


def _take_place(temporary: Path, path: Path) -> None:
    """Rename; Windows refuses while somebody reads ``path``, which is soon over."""
    for pause_s in (0.01, 0.1, 1.0):
        try:
            temporary.replace(path)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(pause_s)
        else:
            return
    temporary.replace(path)


def write_new(path: Path, data: bytes) -> bool:
    """Write ``data`` to ``path`` unless there is a file: of several writers one alone succeeds.

    Returns
    -------
    written
        False where ``path`` was there; it is left as it is.

    Raises
    ------
    CacheWriteError
        If it cannot be written.
    """
    temporary = path.with_name(f".{path.name[:80]}.{uuid4().hex[:12]}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            return _take_free_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _take_free_place(temporary: Path, path: Path) -> bool:
    """Give a whole file the name ``path`` unless another has it."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: the name first, the content after it
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            return False
        temporary.replace(path)
    return True


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def take_lock(path: Path, on_wait: Callable[[], None] = lambda: None) -> FileLock:
    """Take an operating-system lock that goes with its process; ``release`` gives it back.

    Parameters
    ----------
    path
        The lock's file; it stays.
    on_wait
        Called once if somebody else holds it; then it is waited for.

    Raises
    ------
    CacheWriteError
        If the file cannot be made.
    """
    from filelock import FileLock, Timeout

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire()
    return lock
