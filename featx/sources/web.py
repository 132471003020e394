"""Requests to web servers, by the standard library: what they know of an address, and its bytes.

Every request has a time limit and is tried again where that can help. Only ``http`` and ``https``
are followed, wherever a server redirects to.
"""

from __future__ import annotations

import random
import socket
import ssl
import time
from calendar import timegm
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_tz
from functools import cache
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from featx.errors import ImageError, SourceReadError
from featx.sources.entry import Token, hash63
from featx.sources.objects import MOST_BYTES, too_large
from featx.sources.urls import WEB

T = TypeVar("T")

WAIT_S = 30.0
"""For a connection, and for each piece of an answer."""
WHOLE_S = 300.0
"""For one answer."""
TRIES = 4
PAUSE_S = 0.5
"""Before the second try; twice as long before each further one."""
LONGEST_PAUSE_S = 30.0

_GONE = frozenset({404, 410})
_DENIED = frozenset({401, 403, 407, 451})
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_HEAD = frozenset({403, 405, 501})
"""Answers to HEAD of servers, and of signed addresses, that take GET."""
_PIECE = 2**16


class HostError(SourceReadError):
    """A host that does not give what it is asked for, after retries.

    Attributes
    ----------
    dead
        Whether there was no connection at all, so that its other addresses need not be tried.
    """

    def __init__(self, message: str, *, dead: bool = False) -> None:
        super().__init__(message)
        self.dead = dead


def host_of(url: str) -> str:
    """Give the host and port of an address.

    Raises
    ------
    ImageError
        If it has none, or holds a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ImageError(f"no web address ({error})") from error
    if not host:
        raise ImageError("no web address: it names no host")
    if parts.username is not None:
        raise ImageError("an address that holds a password or a user is not read")
    return host if port is None else f"{host}:{port}"


def ask(url: str, *, tries: int = TRIES) -> Token | None:
    """Give the token of an address, made of what HEAD tells; None if that is nothing.

    Where HEAD is not taken, a GET of the first byte tells the same.

    Raises
    ------
    ImageError
        If it is not there.
    HostError
        If the server refuses, or fails after ``tries``.
    """
    try:
        headers = _tried(url, tries, lambda: _headers(url, "HEAD"))
    except HostError as error:
        cause = error.__cause__
        if not (isinstance(cause, HTTPError) and cause.code in _NO_HEAD):
            raise
        headers = _tried(url, tries, lambda: _headers(url, "GET"))
    return _token(url, headers)


def fetch(url: str) -> bytes:
    """Read the bytes at an address; raises as `ask`, and `ImageError` if there are too many."""
    return _tried(url, TRIES, lambda: _body(url))


def _token(url: str, headers: HTTPMessage) -> Token | None:
    tag, changed = headers.get("ETag"), parsedate_tz(headers.get("Last-Modified", ""))
    if tag is None and changed is None:
        return None
    whole = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    size = int(whole) if whole.isdecimal() else -1
    time_ns = 0 if changed is None else timegm(changed[:9]) * 1_000_000_000
    return url.encode("utf-8", "surrogateescape"), size, time_ns, hash63(tag)


def _headers(url: str, method: str) -> HTTPMessage:
    more = {} if method == "HEAD" else {"Range": "bytes=0-0"}
    with _opened(url, method, more) as answer:
        found: HTTPMessage = answer.headers
        return found


def _body(url: str) -> bytes:
    until = time.monotonic() + WHOLE_S
    with _opened(url, "GET", {}) as answer:
        length = answer.headers.get("Content-Length", "")
        expected = int(length) if length.isdecimal() else None
        if expected is not None and expected > MOST_BYTES:
            raise ImageError(too_large(expected))
        pieces: list[bytes] = []
        n = 0
        while piece := answer.read1(_PIECE):
            pieces.append(piece)
            n += len(piece)
            if n > MOST_BYTES:
                raise ImageError(too_large(n))
            if time.monotonic() > until:
                raise TimeoutError(f"not done within {WHOLE_S:.0f} s")
    if expected is not None and n < expected:
        raise ConnectionError(f"the answer ended after {n:,} of {expected:,} bytes")
    return b"".join(pieces)


@contextmanager
def _opened(url: str, method: str, more: dict[str, str]) -> Iterator[Any]:
    headers = {"User-Agent": "featx", "Accept": "*/*", "Accept-Encoding": "identity", **more}
    request = Request(_encoded(url), headers=headers, method=method)  # noqa: S310  (see _opener)
    with _opener().open(request, timeout=WAIT_S) as answer:
        yield answer


def _encoded(url: str) -> str:
    """Write an address in ASCII: people copy them with umlauts and blanks."""
    parts = urlsplit(url)
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode("ascii")
    safe = "/%:=&?~#+!$,;'@()*[]"
    return urlunsplit((parts.scheme, host, quote(parts.path, safe), quote(parts.query, safe), ""))


class _Redirects(HTTPRedirectHandler):
    """Follows to other web addresses, with the method that was asked with."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Give the next request."""
        if urlsplit(newurl).scheme.lower() not in WEB:
            raise ImageError(f"it leads nowhere on the web: {newurl[:100]!r}")
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            following.method = req.get_method()
        return following


@cache
def _opener() -> OpenerDirector:
    """Give what opens web addresses and nothing else: no files, no FTP."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        UnknownHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        _Redirects(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _tried(url: str, tries: int, request: Callable[[], T]) -> T:
    """Make a request, again after a pause where that can help."""
    host = host_of(url)
    for n in range(1, tries + 1):
        try:
            return request()
        except HTTPError as error:
            error.close()
            if error.code in _GONE:
                raise ImageError(f"not there: {error.code} {error.reason}") from error
            if error.code < 400:  # to a file, or in circles
                raise ImageError(f"it leads nowhere on the web: {error.reason[:200]}") from error
            if error.code not in _AGAIN or n == tries:
                raise _refused(host, error, n) from error
            _pause(n, error.headers.get("Retry-After", ""))
        except (UnicodeError, ValueError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError(f"no web address ({error})") from error
        except (HTTPException, OSError) as error:  # URLError and TimeoutError are among the last
            if n == tries or not _may_pass(error):
                raise _unreached(host, error, n) from error
            _pause(n, "")
    raise AssertionError  # the last try returns or raises


def _pause(n: int, wanted: str) -> None:
    """Wait: longer each time, as long as the server asks, and not at once with all threads."""
    own = PAUSE_S * 2 ** (n - 1) * random.uniform(0.75, 1.25)  # noqa: S311  (no secret)
    asked = float(wanted) if wanted.isdecimal() else 0.0
    time.sleep(min(max(own, asked), LONGEST_PAUSE_S))


def _reason(error: Exception) -> object:
    return error.reason if isinstance(error, URLError) else error


def _may_pass(error: Exception) -> bool:
    """Whether another try could end otherwise: not for a name or a certificate that is wrong."""
    reason = _reason(error)
    if isinstance(reason, socket.gaierror):
        return reason.errno == socket.EAI_AGAIN
    return not isinstance(reason, ssl.SSLCertVerificationError | str)


def _refused(host: str, error: HTTPError, n: int) -> HostError:
    said = f"{host} answers {error.code} {error.reason}"
    if error.code in _DENIED:
        return HostError(
            f"{said}: access denied; featx sends no password to a web server: give addresses that "
            "are open or signed, or read a bucket as s3://, gs:// or az://"
        )
    return HostError(said + (f", also after {n} tries" if n > 1 else ""))


def _unreached(host: str, error: Exception, n: int) -> HostError:
    reason = _reason(error)
    after = f", after {n} tries" if n > 1 else ""
    if isinstance(reason, TimeoutError):
        connecting = isinstance(error, URLError)  # an answer that is late is no URLError
        return HostError(f"{host} does not answer in time ({reason}){after}", dead=connecting)
    dead = isinstance(reason, socket.gaierror | ssl.SSLError | ConnectionRefusedError)
    return HostError(f"{host} cannot be reached: {reason}{after}", dead=dead)
