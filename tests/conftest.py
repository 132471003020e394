"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from helpers_bucket import Proxy
    from playwright.sync_api import Browser, Page

    from featx._objects import ObjectPath

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests interrupt their children
if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core runs tests: a thread each is enough
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs and weights beside the project; skips where it is missing."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs {SHARED}")
    return SHARED


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy before an S3-compatible server, to which the environment points."""
    from helpers_bucket import environment, proxied

    from featx import _buckets

    monkeypatch.setattr(_buckets, "BACKOFF_S", (0.01, 0.2))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AWS_CONDITIONAL_PUT", raising=False)
    with proxied() as proxy:
        for name, value in environment(proxy).items():
            monkeypatch.setenv(name, value)
        _buckets.forget()
        yield proxy
        _buckets.forget()


@pytest.fixture
def bucket(proxy: Proxy) -> ObjectPath:
    """A place in a new bucket, behind the proxy."""
    from helpers_bucket import new_bucket

    from featx._objects import ObjectPath

    return ObjectPath.of(f"s3://{new_bucket()}/a prefix")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window. Where there is none, its tests fail: nothing else sees a page."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("needs chromium on PATH: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_file(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a file, and says in the end whether it complained or asked for anything."""
    complaints: list[str] = []
    contexts = []

    def opened(path: Path, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(5000)
        tab.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
        tab.on("request", lambda request: asked(request.url))
        tab.goto(path.as_uri())
        return tab

    def asked(url: str) -> None:
        if not url.startswith(("file:", "data:")):
            complaints.append(f"asks for {url}")

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
