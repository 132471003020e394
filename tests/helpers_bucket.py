"""A bucket on this machine: moto's server, and a proxy before it that counts and misbehaves."""

from __future__ import annotations

import http.client
import logging
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from featx._objects import ObjectPath

SECRET = "nobody-may-see-this"  # noqa: S105 - moto takes any
DENIED = (
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message>'
    b"<AWSAccessKeyId>nobody-may-see-this-key</AWSAccessKeyId></Error>"
)
_HOP = {"connection", "transfer-encoding", "content-length", "server", "date"}
_CONDITIONS = ("If-Match", "If-None-Match")


@cache
def moto_port() -> int:
    """Start moto's server in a thread, once a process; give its port."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    return int(server.get_host_and_port()[1])


@dataclass
class Faults:
    """What becomes of requests: a share of each kind, drawn by a seed.

    ``error`` answers 500 or 503; ``drop`` hangs up before the store sees the request, ``lose``
    after the store has carried it out; ``slow`` takes 50 ms longer; ``deny`` answers 403.
    """

    error: float = 0
    drop: float = 0
    lose: float = 0
    slow: float = 0
    deny: float = 0
    only: Callable[[str, str], bool] | None = None
    seed: int = 0
    _draws: random.Random = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._draws = random.Random(self.seed)  # noqa: S311 - no secret

    def draw(self, method: str, path: str) -> str:
        if self.only is not None and not self.only(method, path):
            return ""
        with self._lock:
            value = self._draws.random()
        for kind in ("error", "drop", "lose", "slow", "deny"):
            value -= getattr(self, kind)
            if value < 0:
                return kind
        return ""


class Proxy(ThreadingHTTPServer):
    """Passes requests on to moto, one by one where they have conditions: moto has no locks."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults = Faults()
        self.ignores_conditions = False
        self.seen: list[tuple[str, str]] = []
        self.one_by_one = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that hung up."""

    def count(self) -> Counter[str]:
        """Count what was asked since the last call, as ``PUT state`` or ``GET zarr.json``."""
        seen, self.seen = self.seen, []
        return Counter(f"{method} {_kind(path)}" for method, path in seen)


def _kind(path: str) -> str:
    if "list-type=2" in path:
        return "list"
    parts = path.partition("?")[0].split("/")
    return parts[parts.index("c") - 1] if "c" in parts else parts[-1].rpartition(".")[2]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path))
        fault = self.server.faults.draw(self.command, self.path)
        if fault == "deny":
            self._answer(403, {}, DENIED)
        elif fault == "error":
            self._answer(500 if len(self.server.seen) % 2 else 503, {}, b"<Error/>")
        elif fault == "drop":
            self.close_connection = True
        else:
            time.sleep(0.05 if fault == "slow" else 0)
            answer = self._ask(body)
            if fault == "lose":
                self.close_connection = True
            else:
                self._answer(*answer)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815 - their names

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = dict(self.headers.items())
        if self.server.ignores_conditions:
            headers = {name: v for name, v in headers.items() if name.title() not in _CONDITIONS}
        if any(name.title() in _CONDITIONS for name in headers):
            with self.server.one_by_one:
                return self._pass_on(headers, body)
        return self._pass_on(headers, body)

    def _pass_on(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", moto_port(), timeout=30)
        try:
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        length = {name.lower(): value for name, value in headers.items()}.get("content-length")
        own = length if self.command == "HEAD" and length else str(len(body))
        self.send_header("Content-Length", own)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def proxied() -> Iterator[Proxy]:
    """Give a proxy that runs in a thread."""
    with Proxy() as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


def new_bucket() -> str:
    """Make a bucket, and give its name."""
    name = f"featx-{uuid.uuid4().hex[:12]}"
    connection = http.client.HTTPConnection("127.0.0.1", moto_port(), timeout=30)
    connection.request("PUT", f"/{name}")
    assert connection.getresponse().status == 200
    connection.close()
    return name


def environment(proxy: Proxy) -> dict[str, str]:
    """What a process must find in its environment."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.server_port}",
        "AWS_ACCESS_KEY_ID": "nobody-may-see-this-key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }


def contents(place: ObjectPath) -> dict[str, bytes]:
    """Give every object under a place."""
    return {name: (place / name).read_bytes() for name in place.sizes()}
