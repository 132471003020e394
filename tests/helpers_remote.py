"""Object storage and web servers on this machine, over real HTTP, that say what they were asked."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

import pytest

BUCKET = "photos-of-tests"


@dataclass
class Asked:
    """What a server was asked: (kind, path), a kind being HEAD, GET, LIST or PUT."""

    log: list[tuple[str, str]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Count requests by their kind, and forget them."""
        found = Counter(kind for kind, _ in self.log)
        self.log.clear()
        return dict(found)


@dataclass
class Bucket:
    """An S3 bucket; `refuse` gives the status that a kind of request is answered with instead."""

    asked: Asked
    refuse: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}"

    def put(self, key: str, data: bytes) -> None:
        import obstore

        from featx._buckets import client

        obstore.put(client(self.url), key, data, use_multipart=False)
        self.asked.log.clear()

    def delete(self, key: str) -> None:
        import obstore

        from featx._buckets import client

        obstore.delete(client(self.url), key)
        self.asked.log.clear()

    def put_folder(self, folder: Path, prefix: str) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def _kind(environ: Mapping[str, Any]) -> str:
    method: str = environ["REQUEST_METHOD"]
    listing = "list-type" in parse_qs(environ.get("QUERY_STRING", ""))
    return "LIST" if method == "GET" and listing else method


@contextmanager
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Run moto's S3 with an empty bucket, named to the client by the usual environment."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *args: object, **more: object) -> None: ...

    app = DomainDispatcherApplication(create_backend_app)
    bucket = Bucket(Asked())

    def recorded(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        kind, path = _kind(environ), environ["PATH_INFO"]
        bucket.asked.log.append((kind, path))
        status = bucket.refuse.get(kind)
        if status is None:
            return app(environ, start)
        start(f"{status} refused", [("Content-Length", "0")])
        return [b""]

    server = make_server("127.0.0.1", 0, recorded, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.port}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    from featx._buckets import _client

    _client.cache_clear()
    try:
        urlopen(Request(f"{endpoint}/moto-api/reset", method="POST")).close()  # noqa: S310
        urlopen(Request(f"{endpoint}/{BUCKET}", method="PUT")).close()  # noqa: S310
        bucket.asked.log.clear()
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        _client.cache_clear()


@dataclass
class Page:
    """What a web server answers under a path."""

    data: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    only: str | None = None
    """The method that is taken; None: any."""


STAMPED = {"ETag": '"1"', "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}


@dataclass
class Site:
    """A web server; a path without a page is answered with 404."""

    url: str
    asked: Asked
    pages: dict[str, Page | list[Page]] = field(default_factory=dict)

    def put(self, path: str, data: bytes, **headers: str) -> str:
        self.pages[path] = Page(data, headers=headers or STAMPED)
        return self.url + path


@contextmanager
def site(host: str = "127.0.0.1") -> Iterator[Site]:
    """Run a web server; ``127.0.0.2`` and so on are other hosts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            found.asked.log.append((self.command, self.path))
            page = found.pages.get(self.path, Page(status=404))
            if isinstance(page, list):  # one answer after the other, the last one for ever
                page = page.pop(0) if len(page) > 1 else page[0]
            status, data = page.status, page.data
            if page.only not in (None, self.command):
                status, data = 403, b""
            self.send_response(status)
            headers = {"Content-Length": str(len(data)), **page.headers}
            if self.headers.get("Range") == "bytes=0-0" and status == 200:
                headers["Content-Range"] = f"bytes 0-0/{len(data)}"
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        do_GET = do_HEAD = _answer  # noqa: N815

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    found = Site(f"http://{host}:{server.server_port}", Asked())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
