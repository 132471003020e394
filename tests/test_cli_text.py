from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

from featx.cli import parsing
from featx.cli.jsonable import dumps, jsonable
from featx.cli.text import count, duration, literal, one_line, rate, size, table
from featx.errors import UsageError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 👍", "plain é 漢 👍"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\udcff.jpg", "\\xff.jpg"),
        ("\ud800", "\\ud800"),
        ("gpj.\u202eevil", "gpj.\\u202eevil"),
    ],
)
def test_what_would_break_a_line_is_escaped(text: str, shown: str) -> None:
    assert one_line(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.84, "0.8 s"),
        (48.2, "48 s"),
        (257, "4 min 17 s"),
        (7500, "2 h 5 min"),
        (59.7, "1 min 0 s"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("n", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (31 << 30, "31 GiB"),
        (5000 << 40, "5000 TiB"),
    ],
)
def test_sizes(n: int, shown: str) -> None:
    assert size(n) == shown


def test_rates_and_counts() -> None:
    assert [rate(v) for v in (None, 0.416, 48.61, 1240.2)] == ["-", "0.42", "48.6", "1240"]
    assert [count(1, "image"), count(0, "image"), count(2, "class", "classes")] == [
        "1 image",
        "0 images",
        "2 classes",
    ]


def test_a_command_line_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert literal("featx", "my photos") in {"featx 'my photos'", 'featx "my photos"'}
    with monkeypatch.context() as windows:
        windows.setattr("featx.cli.text.os.name", "nt")
        shown = literal("featx", "my photos")
    assert shown == 'featx "my photos"'


def test_a_table_is_aligned() -> None:
    lines = list(table(["name", "rows"], [["a", 5], ["long\nname", 1234]], right=[1]))
    assert lines == ["name        rows", "a              5", "long\\nname  1234"]
    assert list(table(["name"], [])) == ["name"]


def test_signs_of_two_columns_and_of_none_are_aligned() -> None:
    lines = list(table(["name", "n"], [["漢字", 1], ["e\u0301te", 2], ["👍", 3]]))
    assert [cell_len(line) for line in lines] == [7, 7, 7, 7]


def test_cells_are_text_whatever_they_hold() -> None:
    cells = ["[red]x[/red]", "[/]", ":smile:", "\x1b[31mred", "https://x.y", "0x1f 1.5 True", "  a"]
    assert list(table(["cell"], [[cell] for cell in cells])) == [
        "cell",
        *("\\x1b[31mred" if cell.startswith("\x1b") else cell for cell in cells),
    ]


def test_an_empty_column_is_a_gap() -> None:
    assert list(table(["", "n", ""], [["", 1, ""], ["", 22, ""]], right=[1])) == [
        "   n",
        "   1",
        "  22",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


WIDE = [["photos", 1234567, "a/long_name_that_stays_whole.csv: 20 images named in it"]]


@pytest.mark.parametrize(("columns", "rows"), [(80, 1), (60, 2), (30, 2)])
def test_on_a_terminal_long_cells_go_on_below_and_names_stay_whole(
    monkeypatch: pytest.MonkeyPatch, columns: int, rows: int
) -> None:
    def shown(**options: bool) -> list[str]:
        return list(table(["set", "rows", "from"], WIDE, right=[1], **options))

    [_, piped] = shown()
    monkeypatch.setattr(sys, "stdout", _Terminal())
    monkeypatch.setenv("COLUMNS", str(columns))
    _, *lines = shown()
    assert len(lines) == rows
    assert " ".join(" ".join(lines).split()) == " ".join(piped.split())
    assert "a/long_name_that_stays_whole.csv:" in lines[0]
    assert "1234567" in lines[0]
    assert columns == 30 or max(map(len, lines)) <= columns
    assert shown(whole=True)[1:] == [piped]


def test_without_a_terminal_a_row_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = list(table(["a", "b"], [["x " * 60, "y " * 60]]))
    assert [len(line.split()) for line in lines] == [2, 120]
    assert "\x1b" not in "".join(lines)


def test_tables_alone_load_rich() -> None:
    code = "import sys, featx.cli.app; sys.exit(any(m.startswith('rich') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@dataclass(frozen=True)
class _Pair:
    low: float
    where: Path


class _Result:
    def to_json(self) -> dict[str, object]:
        return {"pair": _Pair(math.nan, Path("a"))}


def test_json_says_everything_and_no_nan() -> None:
    value = {
        "result": _Result(),
        "array": np.array([1.0, np.inf]),
        "scalar": np.float32(0.5),
        "integer": np.int64(3),
        "set": {1},
        "bytes": b"\xff",
        "text": "\udcff 漢",
        1: (True, None),
        "kind": _Pair,
    }
    assert json.loads(dumps(value)) == {
        "result": {"pair": {"low": None, "where": "a"}},
        "array": [1.0, None],
        "scalar": 0.5,
        "integer": 3,
        "set": [1],
        "bytes": "ff",
        "text": "\\udcff 漢",
        "1": [True, None],
        "kind": str(_Pair),
    }
    assert dumps(value).isascii()
    assert jsonable(np.array(2)) == 2


def test_lists_repeat_and_take_commas() -> None:
    assert parsing.names(None) == ()
    assert parsing.names(["a,b", " c ", ""]) == ("a", "b", "c")
    assert parsing.names([r"age\, years,sex"]) == ("age, years", "sex")
    assert parsing.numbers("--mean", None) is None
    assert parsing.numbers("--mean", ["0.5,0.25", "1"]) == (0.5, 0.25, 1.0)
    with pytest.raises(UsageError, match="--std is 'a,b'; expected numbers"):
        parsing.numbers("--std", ["a,b"])


def test_names_with_values() -> None:
    given = ["C=0.01,0.1,1", "gamma=scale, alpha=1e-3:10:5"]
    assert parsing.pairs("--grid", given) == ("C=0.01,0.1,1", "gamma=scale", "alpha=1e-3:10:5")
    assert parsing.pairs("--set", None) == ()
    for bad in (["1"], ["=1"], ["C=1", "C=2"], ["C=1,C=2"]):
        with pytest.raises(UsageError, match="--set"):
            parsing.pairs("--set", bad)


def test_image_sizes() -> None:
    assert [parsing.image_size(v) for v in (None, "weights", "224")] == [None, "weights", 224]
    for bad in ("0", "-3", "big", "2.5"):
        with pytest.raises(UsageError, match="--image-size"):
            parsing.image_size(bad)


def test_how_many_may_fail() -> None:
    assert [parsing.max_failed(v) for v in ("0", "12", "10%", "2.5%")] == [0, 12, "10%", "2.5%"]
    for bad in ("", "-1", "101%", "ten", "1.5"):
        with pytest.raises(UsageError, match="--max-failed"):
            parsing.max_failed(bad)


def test_one_or_several_data() -> None:
    assert parsing.one_or_all(None) is None
    assert parsing.one_or_all(["a"]) == "a"
    assert parsing.one_or_all(["a", "b"]) == ["a", "b"]


def test_one_thing_is_no_several() -> None:
    assert [count(n, "image") for n in (0, 1, 1200)] == ["0 images", "1 image", "1,200 images"]
    assert count(2, "class", "classes") == "2 classes"
