from __future__ import annotations

import io
import sys
import threading

import pytest

from featx.cli.bars import Bars
from featx.cli.console import Console
from featx.cli.progress import PlainProgress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def plain() -> tuple[PlainProgress, Clock, list[str]]:
    lines: list[str] = []
    clock = Clock()
    return PlainProgress(lines.append, clock), clock, lines


def test_one_plain_line_every_30_s_and_a_final_one() -> None:
    progress, clock, lines = plain()
    progress.start("embedding", 400)
    for _ in range(100):
        clock.now += 1
        progress.advance(4)
    progress.finish()
    progress.close()
    assert lines == [
        "embedding: 120 of 400 (30 %), 4.0/s, 1 min 10 s left",
        "embedding: 240 of 400 (60 %), 4.0/s, 40 s left",
        "embedding: 360 of 400 (90 %), 4.0/s, 10 s left",
        "embedding: 400 of 400 in 1 min 40 s, 4.0/s",
    ]


def test_no_total_and_nothing_done() -> None:
    progress, clock, lines = plain()
    progress.start("reading", None)
    clock.now = 31
    progress.advance(0)
    progress.say("a note")
    progress.start("inside", 2)
    progress.advance(2)
    clock.now = 41
    progress.finish()
    progress.finish()
    assert lines == [
        "reading: 0, 0.00/s",
        "a note",
        "inside: 2 of 2 in 10 s, 0.20/s",
    ]


def test_what_is_done_at_once_is_not_told() -> None:
    progress, clock, lines = plain()
    for took_s in (0.1, 0.9, 1.5):
        progress.start("inner products", 4)
        clock.now += took_s
        progress.advance(4)
        progress.finish()
    assert lines == ["inner products: 4 of 4 in 1.5 s, 2.7/s"]


def test_threads_may_share_it() -> None:
    progress, clock, lines = plain()
    progress.start("reading", 8000)
    work = [
        threading.Thread(target=lambda: [progress.advance() for _ in range(1000)]) for _ in range(8)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    clock.now = 1
    progress.finish()
    assert lines == ["reading: 8000 of 8000 in 1.0 s, 8000/s"]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return stream


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    console = Console()
    assert isinstance(console.progress, Bars)
    console.progress.start("embedding [red]", 4)
    console.progress.start("inside", None)
    console.progress.advance(3)
    console.note("a note\x1b[0m")
    console.progress.finish()
    console.progress.advance(4)
    console.progress.finish()
    console.progress.advance()
    console.progress.finish()
    text = terminal.getvalue()
    for words in ("embedding [red]", "4/4", "3/3", "a note\\x1b[0m", "/s"):
        assert words in text


def test_a_bar_under_way_gives_the_terminal_back(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    with Console() as console:
        console.progress.start("embedding", 4)
    assert terminal.getvalue().rstrip().endswith("\x1b[?25h")


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(Console().progress, PlainProgress)
    console = Console()
    console.note("before")
    assert console.progress is console.progress
    console.note("after")
    assert terminal.getvalue() == "before\nafter\n"


def test_signs_that_the_terminal_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, sign in (("utf-8", "±"), ("cp1252", "±"), ("ascii", "+-")):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        assert Console().plus_minus == sign
