"""Images at web addresses: few requests, bounded patience, and whose fault it is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from helpers_photos import folder
from helpers_remote import STAMPED, Page, Site, site

from featx import extraction, tokens
from featx.errors import ImageError, SourceError, SourceNotFoundError, SourceReadError
from featx.extraction import extract
from featx.sources import Source, objects, open_source, web

OPTIONS = {"backbone": "helpers_photos:tiny", "image_size": 32, "precision": "fp32"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PAUSE_S", 0.01)
    monkeypatch.setattr(web, "WAIT_S", 2.0)
    monkeypatch.setattr(tokens, "RACY_NS", -(10**12))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,127.0.0.2,nowhere.invalid")


@pytest.fixture
def server() -> Iterator[Site]:
    with site() as found:
        yield found


@pytest.fixture
def other() -> Iterator[Site]:
    with site("127.0.0.2") as found:
        yield found


def frame(*urls: str) -> pd.DataFrame:
    return pd.DataFrame({"url": list(urls)})


def reasons(source: Source) -> list[str | None]:
    return [entry.failure for entry in source.entries]


def run(data: object, cache: Path, **more: object) -> extraction.Extraction:
    return extract(data, cache=cache, **(OPTIONS | more))[0]  # type: ignore[arg-type]


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_a_second_run_asks_for_heads_alone(server: Site, tmp_path: Path) -> None:
    photos = sorted(folder(tmp_path / "photos").rglob("*.jpg"))
    urls = [server.put(f"/{i}.jpg?w=2", path.read_bytes()) for i, path in enumerate(photos)]
    table = frame(*urls, urls[0], server.url + "/gone.jpg")
    done = run(table, tmp_path / "cache")
    assert (done.rows, done.computed) == (19, 18)
    assert done.failed == ((server.url + "/gone.jpg", "not there: 404 Not Found"),)
    assert server.asked.counts()["HEAD"] == 19  # one for each address
    again = run(table, tmp_path / "cache")
    assert (again.computed, again.reused) == (0, 19)
    assert server.asked.counts() == {"HEAD": 19}
    server.put("/0.jpg?w=2", photos[1].read_bytes(), ETag='"2"')
    run(table, tmp_path / "cache")
    assert server.asked.counts() == {"HEAD": 19, "GET": 2}  # two rows name it


def test_a_server_that_tells_nothing_is_read_always(server: Site, tmp_path: Path) -> None:
    [path] = folder(tmp_path / "photos", 1).rglob("cat/*.jpg")
    url = server.put("/a.jpg", path.read_bytes(), Server="x")
    source = open_source(frame(url))
    assert (source.entries[0].token, source.entries[0].failure) == (None, None)
    assert "1 read in every run because their servers give neither ETag nor" in source.description
    run(frame(url), tmp_path / "cache")
    server.asked.log.clear()
    done = run(frame(url), tmp_path / "cache")
    assert (done.computed, done.reused) == (0, 1)
    assert server.asked.counts() == {"HEAD": 1, "GET": 1}


def test_where_head_is_not_taken_the_first_byte_is_asked_for(server: Site) -> None:
    url = server.put("/signed.jpg?sig=1", b"image")
    asked = open_source(frame(url)).entries[0].token
    server.pages["/signed.jpg?sig=1"] = Page(b"image", headers=STAMPED, only="GET")
    assert open_source(frame(url)).entries[0].token == asked


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_refusal_ends_it_where_no_other_host_answers(server: Site, status: int) -> None:
    good = server.put("/a.jpg", b"a")
    server.pages["/b.jpg"] = Page(status=status)
    table = frame(good, server.url + "/b.jpg")
    with pytest.raises(SourceReadError, match=rf"/b\.jpg: 127\.0\.0\.1:\d+ answers {status}"):
        open_source(table)
    tries = [path for _, path in server.asked.log].count("/b.jpg")
    assert tries == {401: 1, 403: 2, 500: web.TRIES, 503: web.TRIES}[status]


@pytest.mark.parametrize("status", [403, 500])
def test_a_crawl_goes_on_where_another_host_answers(server: Site, other: Site, status: int) -> None:
    server.pages["/b.jpg"] = Page(status=status)
    source = open_source(frame(server.url + "/b.jpg", other.put("/a.jpg", b"a")))
    [first, second] = reasons(source)
    assert f"answers {status}" in str(first)
    assert second is None


def test_a_host_that_is_gone(other: Site) -> None:
    dead = f"http://127.0.0.1:{closed_port()}"
    nowhere = "http://nowhere.invalid/a.jpg"
    for url, said in ((f"{dead}/a.jpg", "refused"), (nowhere, "cannot be reached")):
        with pytest.raises(SourceReadError, match=rf"{said}.*no fault of the image"):
            open_source(frame(url))
    source = open_source(frame(f"{dead}/a.jpg", nowhere, other.put("/a.jpg", b"a")))
    assert [failure is not None for failure in reasons(source)] == [True, True, False]
    assert "3 addresses, 2 of them without an image" in source.description


def test_a_network_that_fails_while_images_are_read(server: Site, other: Site) -> None:
    urls = [server.put("/a.jpg", b"a"), other.put("/a.jpg", b"b")]
    source = open_source(frame(*urls))
    server.pages["/a.jpg"] = Page(status=500)
    with pytest.raises(ImageError, match="answers 500"):  # the other one answers
        source.entries[0].read()
    other.pages["/a.jpg"] = Page(status=500)
    source.entries[0].hosts._answered.clear()  # type: ignore[attr-defined]  # a while later
    with pytest.raises(SourceReadError, match="answers 500"):
        source.entries[0].read()


def test_what_passes_is_tried_again(server: Site) -> None:
    good = Page(b"image", headers=STAMPED)
    server.pages["/a.jpg"] = [Page(status=503), Page(status=429), good]
    source = open_source(frame(server.url + "/a.jpg"))
    short = Page(b"ima", headers={**STAMPED, "Content-Length": "5"})
    server.pages["/a.jpg"] = [short, good]
    assert source.entries[0].read() == b"image"


def test_redirects_lead_to_the_web_alone(server: Site, other: Site, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    target = other.put("/a.jpg", b"a")
    leads = {
        "/good.jpg": target,
        "/file.jpg": f"file://{tmp_path}/secret.jpg",
        "/ftp.jpg": "ftp://x",
    }
    for path, place in leads.items():
        server.pages[path] = Page(status=302, headers={"Location": place})
    source = open_source(frame(*(server.url + path for path in leads)))
    assert other.asked.counts() == {"HEAD": 1}  # as it was asked for
    assert source.entries[0].read() == b"a"
    assert [
        failure and "it leads nowhere on the web" in failure for failure in reasons(source)
    ] == [
        None,
        True,
        True,
    ]


def test_addresses_that_are_none(server: Site) -> None:
    good = server.put("/%C3%BC%20%C3%B6.jpg", b"umlauts")
    urls = [
        server.url + "/ü ö.jpg",
        "http://",
        "http://user:secret@127.0.0.1/a.jpg",
        "http://127.0.0.1:x/a.jpg",
        "http://a\nb/a.jpg",
        good,
    ]
    source = open_source(frame(*urls))
    assert [failure is None for failure in reasons(source)] == [True] + [False] * 4 + [True]
    assert source.entries[0].read() == b"umlauts"
    with pytest.raises(SourceNotFoundError, match="none of the 1 images"):
        open_source(frame("http://"))
    with pytest.raises(SourceError, match="is not the address of an image"):
        open_source(server.url + "/folder/")


def test_too_large(server: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MOST_BYTES", 4)
    monkeypatch.setattr(objects, "MOST_BYTES", 4)
    source = open_source(frame(server.put("/a.jpg", b"12345")))
    with pytest.raises(ImageError, match="5 bytes, more than the 4"):
        source.entries[0].read()


def test_the_column_of_addresses_is_found(server: Site, tmp_path: Path) -> None:
    url = server.put("/image?id=3", b"x")
    (tmp_path / "t.csv").write_text(f"TEXT,URL\na cat,{url}\n")
    source = open_source(tmp_path / "t.csv")
    assert (source.entries[0].path, source.entries[0].read()) == (url, b"x")
