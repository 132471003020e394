"""Write a file or an object so that it is there whole or not at all, and say why when it cannot be.

A *place* is a path or, where it lies in a bucket, an `featx._objects.ObjectPath`.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from featx._lease import Lease
from featx._objects import ObjectPath
from featx.errors import CacheWriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from filelock import FileLock

    from featx._objects import Place

    Part: TypeAlias = bytes | memoryview

_REASONS = {
    errno.ENOSPC: "the disk is full; free some room (`featx gc`, `featx rm`) and run it again: "
    "what is done is kept",
    errno.EDQUOT: "the disk quota is used up; free some room and run it again",
    errno.EROFS: "the file system is read-only; choose another place (--cache, --out, -o)",
    errno.EACCES: "permission denied; choose another place (--cache, --out, -o)",
    errno.EPERM: "not permitted; choose another place (--cache, --out, -o)",
}


@contextmanager
def writing(path: Place) -> Iterator[None]:
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


def write_new(path: Place, data: bytes) -> bool:
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
    if isinstance(path, ObjectPath):
        return path.create(data) is not None
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


def write_parts(path: Place, parts: Iterable[Part]) -> None:
    """Write ``parts`` to ``path``, one after the other as they come, whole or not at all."""
    if isinstance(path, ObjectPath):
        path.write_bytes(b"".join(parts))
        return
    with replacing(path) as temporary, temporary.open("wb") as file:
        for part in parts:
            file.write(part)


def write_bytes(path: Place, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all."""
    write_parts(path, [data])


def write_text(path: Place, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    if isinstance(path, ObjectPath):
        path.write_bytes(text.encode())
        return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Place, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, whole or not at all."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Give ``value`` as the indented JSON that `write_json` writes."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def remove_tree(path: Place) -> None:
    """Remove a folder and all that lies in it; a file of a store that is gone is no error.

    Other processes see the whole folder, or none of it that they would open: a local one is renamed
    first, and a store's ``zarr.json`` is the first object that goes.

    Raises
    ------
    CacheWriteError
        If it cannot be removed.
    """
    if isinstance(path, ObjectPath):
        for first in ("zarr.json", "head.json"):
            (path / first).unlink(missing_ok=True)
        path.delete_tree()
        return
    doomed = path.with_name(f".{path.name}.removed")
    with writing(path):
        shutil.rmtree(doomed, ignore_errors=True)  # what a killed removal left
        path.rename(doomed)
        shutil.rmtree(doomed)


def side_dir(cache: Place) -> Path:
    """Give the folder on this machine for what only saves time: the cache itself, if it is local.

    For one in a bucket it is a folder of ``$XDG_CACHE_HOME``, else ``~/.cache``, of its own.
    """
    if not isinstance(cache, ObjectPath):
        return cache
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "featx" / blake2b(str(cache).encode(), digest_size=16).hexdigest()


class Lock(Protocol):
    """A lock that this process holds.

    Attributes
    ----------
    owner
        What nobody else is called; "" where the lock goes with its process, and needs no proof.
    """

    owner: str

    def check(self) -> None:
        """Raise `CacheWriteError` if another process has it by now."""

    def release(self) -> None:
        """Give it back."""


@dataclass
class SystemLock:
    """A lock of the operating system: nobody else has it while its process lives."""

    lock: FileLock
    owner: str = ""

    def check(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Give it back."""
        self.lock.release()


def take_lock(path: Place, on_wait: Callable[[], None] = lambda: None) -> Lock:
    """Take a lock that does not outlive its process; ``release`` gives it back.

    On a disk it is an operating-system lock, in a bucket a lease (`featx._lease`).

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
    if isinstance(path, ObjectPath):
        return Lease.take(path, on_wait)
    from filelock import FileLock, Timeout

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire()
    return SystemLock(lock)
