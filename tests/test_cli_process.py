"""The command line in processes of its own: signals, pipes, terminals, start-up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("numpy", "pandas", "rich", "scipy", "sklearn", "torch", "torchvision", "zarr")

WAITING = """
import sys, time, types
from featx.cli import main
def extract(*data, progress, **options):
    progress.start("embedding", 100)
    progress.advance(10)
    print("a stray print")
    print("ready", file=sys.stderr, flush=True)
    time.sleep({wait})
    progress.finish()
    return []
fake = types.ModuleType("featx.extraction")
fake.extract = extract
sys.modules["featx.extraction"] = fake
main()
"""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def start(script: str, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment(**(env or {})),
    )


def run(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "featx", *args],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(**(env or {})),
        check=False,
    )


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom featx.cli import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    started = time.perf_counter()
    process = start(script, "--help")
    out, err = process.communicate(timeout=30)
    seconds = time.perf_counter() - started
    assert err == ""
    assert out.splitlines()[-1] == "[]"
    assert "Usage: featx" in out
    assert seconds < 2  # 0.15 s on a quiet machine; CI is not one


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_signal_ends_in_one_line_that_says_how_to_go_on(number: int, code: int) -> None:
    process = start(WAITING.format(wait=30), "extract", "my photos", "--backbone", "vgg16")
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err == (
        "featx: stopped; what is done is kept, to go on: "
        "featx extract 'my photos' --backbone vgg16\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
def test_json_is_one_object_when_stopped_too() -> None:
    process = start(WAITING.format(wait=30), "extract", "x", "--backbone", "vgg16", "--json")
    assert process.stderr is not None
    assert process.stderr.readline() == "a stray print\n"
    assert process.stderr.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert json.loads(out)["error"]["exit_code"] == 130


def test_no_terminal_gets_a_plain_line() -> None:
    process = start(WAITING.format(wait=1), "extract", "x", "--backbone", "vgg16", "--json")
    out, err = process.communicate(timeout=30)
    assert json.loads(out) == {}
    assert err.splitlines()[-1].startswith("embedding: 10 of 100 in ")
    assert "\x1b" not in err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_bars(no_color: str) -> None:
    import pty

    parent, child = pty.openpty()
    command = [sys.executable, "-c", WAITING.format(wait=0), "extract", "x", "--backbone", "vgg16"]
    env = environment(TERM="xterm-256color", NO_COLOR=no_color, COLUMNS="80")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=child, env=env) as process:
        os.close(child)
        text = _read_all(parent)
        assert process.wait(timeout=30) == 0
    assert "10/100" in text
    assert "/s" in text
    assert ("\x1b[38;" in text or "\x1b[3" in text) == (not no_color)


def _read_all(descriptor: int) -> str:
    pieces = []
    try:
        while piece := os.read(descriptor, 4096):
            pieces.append(piece)
    except OSError:  # Linux's end of a pseudo-terminal
        pass
    os.close(descriptor)
    return b"".join(pieces).decode()


@pytest.mark.skipif(os.name == "nt", reason="head is no command there")
def test_a_reader_that_leaves_hears_nothing() -> None:
    script = """
import sys, types
from featx.cli import main
fake = types.ModuleType("featx.runs")
row = {"name": "n", "error": "x" * 1000}
fake.list_runs = lambda out: [row] * 1000
sys.modules["featx.runs"] = fake
main()
"""
    process = start(script, "runs")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=30) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to write to")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["heads", "--help"], ["heads"]])
def test_a_full_disk_on_stdout_is_one_line(words: list[str], unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "featx", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(PYTHONUNBUFFERED=unbuffered),
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("featx: cannot write to standard output: ")
    assert done.stderr.count("\n") == 1


def test_leaving_quickly_leaves_nothing_undone() -> None:
    script = """
import atexit, sys, threading, time, types
from featx.cli import main
def list_runs(out):
    atexit.register(lambda: print("at exit", file=sys.stderr))
    def work():
        time.sleep(0.3)
        sys.stderr.write("thread\\n")
    threading.Thread(target=work).start()
    return [{"name": "n" * 100_000, "error": "x"}]
fake = types.ModuleType("featx.runs")
fake.list_runs = list_runs
sys.modules["featx.runs"] = fake
main()
"""
    process = start(script, "runs", "--json")
    out, err = process.communicate(timeout=30)
    assert json.loads(out)["runs"][0]["name"] == "n" * 100_000
    assert err.splitlines() == ["thread", "at exit"]
    assert process.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_that_lacks_a_character_gets_it_escaped(encoding: str, tmp_path: Path) -> None:
    out = tmp_path / "漢"
    result = run("runs", "--out", str(out), env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"})
    assert result.returncode == 0
    assert "\\u6f22" in result.stdout


@pytest.mark.parametrize(
    ("words", "offered", "not_offered"),
    [
        ("featx ext", ["extract"], ["fit"]),
        ("featx extract --backbone resnet1", ["resnet18", "resnet152"], ["vgg16"]),
        ("featx extract --backbone vgg16,squeeze", ["vgg16,squeezenet1_0"], ["googlenet"]),
        ("featx extract --pool t", ["tokens-avg"], ["avg "]),
        ("featx fit --head s", ["svm", "svr"], ["ridge"]),
    ],
)
def test_the_shell_completes(words: str, offered: list[str], not_offered: list[str]) -> None:
    position = str(len(words.split()) - 1)
    env = {"_FEATX_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": position}
    result = run(env=env)
    found = result.stdout.split()
    assert set(offered) <= set(found), result.stderr
    assert not set(not_offered) & set(found)
