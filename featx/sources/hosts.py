"""Images at web addresses, and whose fault it is that one cannot be read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from featx.errors import ImageError
from featx.sources import web
from featx.sources.entry import Entry, Token
from featx.sources.web import HostError, host_of

T = TypeVar("T")

TRUST_S = 30.0
"""How long a host that answered is taken to be there."""
_WITNESSES = 10
"""Other hosts that are asked, at most, before all of them are taken to be out of reach."""


@dataclass(frozen=True, slots=True)
class WebEntry(Entry):
    """One image at a web address."""

    url: str
    hosts: Hosts

    @property
    def elsewhere(self) -> bool:
        """It is."""
        return True

    def read(self) -> bytes:
        """Read it.

        Raises
        ------
        ImageError
            If it is not there, is too large, or its host alone is at fault.
        SourceReadError
            If the host refuses or fails after retries, and no other host answers.
        """
        if self.failure is not None:
            raise ImageError(self.failure)
        return self.hosts.fetch(self.url)


class Hosts:
    """The hosts of a set's addresses; each is judged by whether another one answers.

    A site that is gone must not end a crawl, and a network that is down must not be taken for bad
    images: what a host refuses is the image's fault where another host of the set answers at that
    time, and else an error that ends the run.

    Parameters
    ----------
    urls
        All addresses.
    """

    def __init__(self, urls: Iterable[str]) -> None:
        self._first: dict[str, str] = {}
        for url in urls:
            with suppress(ImageError):
                self._first.setdefault(host_of(url), url)
        self._lock = threading.Lock()
        self._answered: dict[str, float] = {}
        self._dead: dict[str, str] = {}

    def __reduce__(self) -> tuple[type[Hosts], tuple[tuple[str, ...]]]:
        """Go to another process as what it was made of: a lock cannot."""
        return Hosts, (tuple(self._first.values()),)

    def ask(self, url: str) -> Token | None:
        """Give the token of an address; None where the server tells nothing to know it by.

        Raises
        ------
        ImageError, SourceReadError
            As `WebEntry.read`.
        """
        return self._judged(url, web.ask)

    def fetch(self, url: str) -> bytes:
        """Read an address; raises as `WebEntry.read`."""
        return self._judged(url, web.fetch)

    def _judged(self, url: str, request: Callable[[str], T]) -> T:
        host = host_of(url)
        if host in self._dead:
            raise ImageError(self._dead[host])
        try:
            found = request(url)
        except HostError as error:
            if not self._another_answers(host):
                raise HostError(
                    f"cannot read {url}: {error}; this is no fault of the image, so nothing was "
                    "recorded; mend it and run again"
                ) from error
            if error.dead:
                self._dead[host] = str(error)
            raise ImageError(str(error)) from error
        except ImageError:
            self._answered[host] = time.monotonic()
            raise
        self._answered[host] = time.monotonic()
        return found

    def _another_answers(self, host: str) -> bool:
        """Whether a host but this one answers; one thread at a time asks."""
        with self._lock:
            since = time.monotonic() - TRUST_S
            if any(t > since and other != host for other, t in list(self._answered.items())):
                return True
            others = [other for other in self._first if other not in {host, *self._dead}]
            return any(map(self._answers, others[:_WITNESSES]))

    def _answers(self, host: str) -> bool:
        try:
            web.ask(self._first[host], tries=1)
        except HostError:
            return False
        except ImageError:
            pass
        self._answered[host] = time.monotonic()
        return True
