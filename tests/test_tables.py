from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featx.errors import CacheWriteError, UsageError
from featx.tables import free_name, write_table

HOSTILE = [
    '=HYPERLINK("x")',
    "+1",
    "-2",
    "@SUM(1)",
    "a,b\tc",
    'say "x"',
    "two\nlines",
    " pad ",
    "ü\udcff",
]
FRAME = pd.DataFrame(
    {
        "text": pd.Series(HOSTILE, dtype=object),
        "mixed": [1, "a", None, 2.5, True, "1", "", "x", "y"],
        "number": np.linspace(0, 1, 9) / 3,
        "gap": [np.nan, *range(8)],
        "empty": [None] * 9,
    }
)


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
def test_text_stays_as_it_is(tmp_path: Path, suffix: str, delimiter: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_table(path, FRAME)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter=delimiter, strict=True))
    assert rows[0] == list(FRAME)
    assert [row[0] for row in rows[1:-1]] == HOSTILE[:-1]
    assert rows[-1][0] == "ü\\udcff"
    assert [float(row[2]) for row in rows[1:]] == FRAME["number"].tolist()


def test_parquet(tmp_path: Path) -> None:
    write_table(tmp_path / "out.PARQUET", FRAME.iloc[:-1])
    read = pd.read_parquet(tmp_path / "out.PARQUET")
    assert list(read) == list(FRAME)
    assert read["text"].tolist() == HOSTILE[:-1]
    assert read["mixed"].tolist()[:2] == ["1", "a"]
    assert read["number"].tolist() == FRAME["number"].tolist()[:-1]


def test_json(tmp_path: Path) -> None:
    write_table(tmp_path / "out.json", FRAME.iloc[:-1])
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [row["text"] for row in rows] == HOSTILE[:-1]
    assert rows[0]["gap"] is None
    assert rows[1]["number"] == pytest.approx(FRAME["number"][1], rel=1e-14)


def test_an_unknown_extension(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected a name that ends with \.csv, \.tsv"):
        write_table(tmp_path / "out.xlsx", FRAME)


def test_nothing_is_left_of_a_write_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.mkdir()
    (path / "x").touch()
    with pytest.raises(CacheWriteError, match="cannot write to"):
        write_table(path, FRAME)
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_free_name() -> None:
    assert free_name("prediction", ["a"]) == "prediction"
    assert free_name("prediction", ["prediction"]) == "prediction_featx"
    assert free_name("x", ["x", "x_featx"]) == "x_featx_featx"
