"""A lock in object storage: a lease, which its holder renews and which nobody holds for ever.

The lease is an object. Who makes it, or replaces the version of it that it has read, has it: the
store lets one alone do so. The holder replaces it every third of its time; a waiter whose own clock
says that one version stood for the whole time takes it over. No two clocks are compared.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from featx.errors import CacheWriteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from featx._objects import ObjectPath, Tag, Tagged

TTL_S = 60.0
"""How long a lease stands that nobody renews."""
MAX_TTL_S = 600.0
"""Whatever a lease says of itself."""
POLL_S = 1.0
"""How often a waiter looks."""


class Lease:
    """A lease that this process holds; see `take`.

    Attributes
    ----------
    owner
        32 random hex digits.
    """

    def __init__(self, path: ObjectPath, owner: str, tag: Tag, ttl_s: float) -> None:
        self.owner = owner
        self._path = path
        self._tag = tag
        self._ttl_s = ttl_s
        self._renewed = time.monotonic()
        self._beat = 0
        self._lost = False
        self._mutex = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="featx-lease", daemon=True)
        self._thread.start()

    @classmethod
    def take(cls, path: ObjectPath, on_wait: Callable[[], None]) -> Lease:
        """Take the lease at ``path``; ``on_wait`` is called once if it must be waited for.

        Raises
        ------
        CacheWriteError
            If it cannot be written, or the store ignores the conditions of conditional writes.
        """
        owner, ttl_s = uuid.uuid4().hex, TTL_S
        note = _note(owner, ttl_s, 0)
        tag = path.create(note, owner)
        tag = _wait(path, owner, note, on_wait) if tag is None else _proven(path, owner, tag, ttl_s)
        return cls(path, owner, tag, ttl_s)

    def check(self) -> None:
        """Make sure that nobody else has the lease; to be called before what must not happen twice.

        Raises
        ------
        CacheWriteError
            If somebody has taken it over, or it cannot be renewed.
        """
        if time.monotonic() - self._renewed > self._ttl_s * 2 / 3:  # a machine that slept, say
            self._renew()
        if self._lost:
            raise CacheWriteError(
                f"another featx has taken over {self._path}, which this one could not renew for "
                f"{self._ttl_s:g} s; nothing more is written. Run it again: what is done is kept"
            )

    def release(self) -> None:
        """Give it back; if that fails, it ends by itself."""
        self._ended.set()
        with self._mutex, suppress(OSError):
            if not self._lost:
                self._path.swap(_note(self.owner, self._ttl_s, None), self._tag, self.owner)
        self._lost = True
        self._thread.join()

    def _keep(self) -> None:
        while not (self._ended.wait(self._ttl_s / 3) or self._lost):
            with suppress(OSError):  # `check` says so, if it lasts
                self._renew()

    def _renew(self) -> None:
        with self._mutex:
            if self._lost or self._ended.is_set():
                return
            begun = time.monotonic()
            self._beat += 1
            note = _note(self.owner, self._ttl_s, self._beat)
            tag = self._path.swap(note, self._tag, self.owner)
            if tag is None:
                tag = self._replace_own(note)
            if tag is None:
                self._lost = True
            else:
                self._tag, self._renewed = tag, begun

    def _replace_own(self, note: bytes) -> Tag | None:
        """Renew after a renewal that was carried out and not answered."""
        with suppress(FileNotFoundError):
            there = self._path.read_tagged()
            if there.writer == self.owner:
                return self._path.swap(note, there.tag, self.owner)
        return None


def _wait(path: ObjectPath, owner: str, note: bytes, on_wait: Callable[[], None]) -> Tag:
    """Take the lease over once it is given back, or stood for its time."""
    seen, since, told = None, 0.0, False
    while True:
        there = _read(path)
        if there is None:
            tag = path.create(note, owner)
        else:
            if there.tag != seen:
                seen, since = there.tag, time.monotonic()
            free = time.monotonic() - since > _ttl_s(there.data)
            tag = path.swap(note, there.tag, owner) if free else None
        if tag is not None:
            return tag
        if there is not None and not free:
            if not told:
                on_wait()
                told = True
            time.sleep(min(POLL_S, _ttl_s(there.data) / 10))


def _read(path: ObjectPath) -> Tagged | None:
    try:
        return path.read_tagged()
    except FileNotFoundError:
        return None


def _note(owner: str, ttl_s: float, beat: int | None) -> bytes:
    """Say who has the lease; ``beat`` makes each version another one, None gives it back."""
    said: dict[str, Any] = {"owner": owner, "host": socket.gethostname(), "pid": os.getpid()}
    said |= {"ttl_s": 0 if beat is None else ttl_s, "beat": beat}
    return json.dumps(said).encode()


def _ttl_s(note: bytes) -> float:
    """Give how long a lease stands: -1 where it was given back."""
    try:
        said = json.loads(note)
        return min(float(said["ttl_s"]), MAX_TTL_S) or -1.0
    except (ValueError, KeyError, TypeError):
        return TTL_S


def _proven(path: ObjectPath, owner: str, tag: Tag, ttl_s: float) -> Tag:
    """Renew a lease that is new, and see that its first version is not replaced once more."""
    renewed = path.swap(_note(owner, ttl_s, 1), tag, owner)
    if renewed is None or path.swap(_note(owner, ttl_s, 2), tag, owner) is not None:
        raise CacheWriteError(
            f"the store of {path.bucket} ignores the conditions of conditional writes, so that two "
            "processes could write at once; see to it that only one does, and say so with the "
            "environment variable AWS_CONDITIONAL_PUT=disabled"
        )
    return renewed
