"""Tables as people make them: every column kept, text left as text, every name found."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featx.errors import (
    SourceError,
    SourceNotFoundError,
    SourceReadError,
    UnknownNameError,
)
from featx.sources import open_source


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("a.jpg", "b.jpg", "c.png", "sub/d.jpg", "ü ö.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def table(root: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = root / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(source) -> list[list]:
    return source.frame.to_numpy(dtype=object).tolist()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_delimiters_and_byte_order_marks(root, delimiter, encoding, newline):
    lines = [["path", "id", "größe"], ["a.jpg", "007", "1,5 €"], ["ü ö.jpg", "1e5", ""]]
    text = newline.join(
        delimiter.join(f'"{c}"' if delimiter in c else c for c in line) for line in lines
    )
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    source = open_source(table(root, mark + (text + newline).encode(encoding)))
    assert source.frame.columns.tolist() == ["path", "id", "größe"]
    assert rows(source) == [["a.jpg", "007", "1,5 €"], ["ü ö.jpg", "1e5", None]]
    assert [entry.read().decode() for entry in source.entries] == ["a.jpg", "ü ö.jpg"]
    assert "cp1252" not in source.description
    assert source.name == "t"


def test_text_stays_text(root):
    cells = ["007", "NA", "null", "nan", "True", "1.0", "2024-01-02", " x ", "None", "1e-3", "0x1F"]
    text = "path," + ",".join(f"c{i}" for i in range(len(cells))) + "\na.jpg," + ",".join(cells)
    source = open_source(table(root, text))
    assert rows(source) == [["a.jpg", *cells]]
    assert {dtype.kind for dtype in source.frame.dtypes} == {"O"}


def test_cells_with_everything_in_them(root):
    text = 'path,note,n\r\na.jpg,"two\r\nlines, ""quoted""",1\r\n\r\nb.jpg,,2\r\n'
    source = open_source(table(root, text))
    assert rows(source) == [["a.jpg", 'two\r\nlines, "quoted"', "1"], ["b.jpg", None, "2"]]


def test_cp1252_is_said(root):
    source = open_source(table(root, "path,wo\nü ö.jpg,Köln ‰ 5 €\n".encode("cp1252")))
    assert rows(source) == [["ü ö.jpg", "Köln ‰ 5 €"]]
    assert "read as cp1252 because it is not UTF-8" in source.description


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"path,label\na.jpg,\x81\n", "neither in UTF-8 nor in cp1252"),
        ("path,label\na.jpg,x\n".encode("utf-16-le"), "NUL bytes"),
        (b"", "empty"),
        (b"path,label\n", "no rows"),
        (b"a.jpg,cat\nb.jpg,dog\n", "first row holds 'a.jpg', a file and not a column's name"),
        (b"path,label\na.jpg,x,y\n", r"line 2: 3 cells under 2 column names"),
        (b"path,label,label\na.jpg,x,y\n", "several columns named 'label'"),
        (b"name,label\nx,y\n", "which column .* names the image files.*'name', 'label'.*--path-c"),
        (b'path,label\na.jpg,"' + b"x" * 200_000 + b'"\n', "no table that can be read"),
    ],
)
def test_tables_that_cannot_be_understood(root, text, said):
    with pytest.raises(SourceError, match=said):
        open_source(table(root, text))


def test_what_spreadsheets_add(root):
    source = open_source(table(root, "sep=;\r\npath;score\r\na.jpg;3,5\r\n"))
    assert rows(source) == [["a.jpg", "3,5"]]
    source = open_source(table(root, ",path,label,\n0,a.jpg,x,\n1,b.jpg,y,,,\n2,c.png\n"))
    assert source.frame.columns.tolist() == ["Unnamed: 0", "path", "label", "Unnamed: 3"]
    assert rows(source) == [
        ["0", "a.jpg", "x", None],
        ["1", "b.jpg", "y", None],
        ["2", "c.png", None, None],
    ]
    source = open_source(table(root, "path, label\na.jpg, x\nb.jpg, y z\n"))
    assert rows(source) == [["a.jpg", "x"], ["b.jpg", "y z"]]


def test_one_column_is_enough(root):
    assert len(open_source(table(root, "path\na.jpg\nb.jpg\n", "list.txt")).entries) == 2


@pytest.mark.parametrize(
    ("header", "line", "column"),
    [
        ("Path,label", "a.jpg,x", "Path"),
        ("id,FILENAME", "1,a.jpg", "FILENAME"),
        ("filename,path", "a.jpg,b.jpg", "path"),
        ("image,image_path", "7,a.jpg", "image_path"),
        ("subject,scan,label", "3,a.jpg,x", "scan"),
        ("image,label", "a.jpg,x", "image"),
    ],
)
def test_the_column_of_paths_is_found(root, header, line, column):
    source = open_source(table(root, f"{header}\n{line}\n"))
    assert f"named in column '{column}'" in source.description


def test_the_column_of_paths_is_named(root):
    path = table(root, "one,two\na.jpg,b.jpg\n")
    with pytest.raises(SourceError, match="--path-column"):
        open_source(path)
    assert open_source(path, path_column="two").entries[0].path == "b.jpg"
    with pytest.raises(UnknownNameError, match=r"'tow'.*did you mean 'two'"):
        open_source(path, path_column="tow")


def test_root(root, tmp_path):
    path = table(root, "path\nd.jpg\n")
    with pytest.raises(SourceNotFoundError, match=r"no such file.*d\.jpg.*--root DIR"):
        open_source(path)
    assert open_source(path, root=root / "sub").entries[0].read() == b"sub/d.jpg"


def test_absolute_paths(root, tmp_path):
    path = table(root, f'path\n"{root / "a.jpg"}"\n')
    source = open_source(path, root=root / "sub")
    assert source.entries[0].path == str(root / "a.jpg")
    assert source.entries[0].read() == b"a.jpg"


def test_missing_files_are_failures_of_their_rows(root):
    text = "path,y\na.jpg,1\ngone.jpg,2\n,3\nsub,4\nfile://x/a.jpg,5\n" + "x" * 300 + ".jpg,6\n"
    source = open_source(table(root, text))
    assert source.frame["y"].tolist() == list("123456")
    reasons = [entry.failure for entry in source.entries]
    assert reasons[0] is None
    assert reasons[1] == f"no such file or directory: {root / 'gone.jpg'}"
    assert reasons[2] == "the row names no file"
    assert reasons[3].startswith("not a file")
    assert reasons[4].startswith("file://x/a.jpg names the machine 'x'")
    assert reasons[5] is not None
    assert [entry.token is None for entry in source.entries] == [False] + [True] * 5
    assert "5 of them missing" in source.description


def test_a_nul_in_a_path():
    frame = pd.DataFrame({"path": ["a\0b.jpg", __file__]})
    first, second = open_source(frame).entries
    assert "not a file name" in first.failure
    assert second.failure is None


def test_paths_of_any_type_of_text(root):
    for dtype in (object, "string", "category"):
        frame = pd.DataFrame({"path": pd.Series(["a.jpg", None, "b.jpg"], dtype=dtype)})
        source = open_source(frame, root=root)
        assert [entry.path for entry in source.entries] == ["a.jpg", "", "b.jpg"]
        assert source.entries[1].failure == "the row names no file"


def test_half_a_character_in_a_path():
    frame = pd.DataFrame({"path": pd.Series(["\ud800.jpg", __file__], dtype=object)})
    source = open_source(frame)
    assert source.entries[0].failure is not None
    assert source.entries[0].path == "\\xed\\xa0\\x80.jpg"


def test_one_image_in_several_rows(root):
    source = open_source(table(root, "path,rater,score\na.jpg,r1,3\na.jpg,r2,4\n"))
    assert [entry.path for entry in source.entries] == ["a.jpg", "a.jpg"]
    assert source.entries[0].token == source.entries[1].token
    assert source.frame["score"].tolist() == ["3", "4"]


def test_names_spelled_otherwise(root):
    composed = unicodedata.normalize("NFC", "é.jpg")
    (root / unicodedata.normalize("NFD", composed)).write_bytes(b"accent")
    text = f"path\nsub\\d.jpg\n a.jpg \n{composed}\n"
    source = open_source(table(root, text))
    assert [entry.read() for entry in source.entries] == [b"sub/d.jpg", b"a.jpg", b"accent"]
    assert [entry.path for entry in source.entries] == ["sub\\d.jpg", " a.jpg ", composed]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_names_in_the_encoding_of_an_old_table(root):
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.jpg")).write_bytes(b"old")
    source = open_source(table(root, b"path\ncaf\xe9.jpg\n"))
    assert source.entries[0].read() == b"old"
    assert source.entries[0].path == "café.jpg"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_a_frame_of_names_that_are_no_text(root):
    name = os.fsdecode(b"\xff.jpg")
    (root / name).write_bytes(b"bytes")
    source = open_source(pd.DataFrame({"path": pd.Series([name], dtype=object)}), root=root)
    assert source.frame["path"].tolist() == ["\\xff.jpg"]
    assert source.entries[0].read() == b"bytes"


def test_parquet_keeps_types(root):
    frame = pd.DataFrame(
        {
            "file": ["a.jpg", "b.jpg"],
            "age": np.array([3, 4], np.int16),
            "score": [0.5, np.nan],
            "seen": pd.to_datetime(["2024-01-01", None]),
            "kind": pd.Categorical(["x", "y"]),
            "id": ["007", None],
        }
    )
    frame.to_parquet(root / "t.parquet")
    source = open_source(root / "t.parquet")
    for name in ("age", "score", "seen", "kind"):
        assert source.frame[name].dtype == frame[name].dtype
    assert source.frame["id"][0] == "007"
    assert pd.isna(source.frame["id"][1])
    assert [entry.read() for entry in source.entries] == [b"a.jpg", b"b.jpg"]


def test_a_named_index_is_a_column(root):
    frame = pd.DataFrame({"path": ["a.jpg"]}, index=pd.Index(["p7"], name="patient"))
    frame.to_parquet(root / "t.pq")
    assert open_source(root / "t.pq").frame["patient"].tolist() == ["p7"]
    assert open_source(frame, root=root).frame["patient"].tolist() == ["p7"]


def test_a_file_that_is_no_parquet(root):
    with pytest.raises(SourceError, match="no Parquet table"):
        open_source(table(root, b"PAR1 not really", "t.parquet"))


def test_a_table_that_cannot_be_read(root, monkeypatch):
    path = table(root, "path\na.jpg\n")

    def fail(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(SourceReadError, match=r"t\.csv: Permission denied"):
        open_source(path)


def test_a_disk_error_stops_a_table(root, monkeypatch):
    path = table(root, "path\na.jpg\n")
    stat = os.stat

    def fail(name, *args, **options):
        if isinstance(name, bytes):
            raise OSError(5, "Input/output error")
        return stat(name, *args, **options)

    monkeypatch.setattr(os, "stat", fail)
    with pytest.raises(SourceReadError, match="Input/output error"):
        open_source(path)


def test_a_parquet_file_on_a_bad_disk(root, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(pd, "read_parquet", fail)
    with pytest.raises(SourceReadError, match="Input/output error"):
        open_source(table(root, b"PAR1", "t.parquet"))


def test_a_data_frame(root, monkeypatch):
    monkeypatch.chdir(root)
    frame = pd.DataFrame({"image": [Path("a.jpg"), "b.jpg"], 7: [1, 2]}, index=[5, 3])
    before = frame.copy()
    source = open_source(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert source.frame.columns.tolist() == ["image", "7"]
    assert source.frame.index.tolist() == [0, 1]
    assert rows(source) == [["a.jpg", 1], ["b.jpg", 2]]
    assert source.name == "frame"
    with pytest.raises(SourceError, match="several columns named '7'"):
        open_source(frame.assign(**{"7": 1}))


@pytest.mark.shared
def test_the_ages(shared):
    source = open_source(shared / "data" / "utkface_2000" / "ages.csv")
    assert len(source.entries) == 2000
    assert all(entry.failure is None for entry in source.entries)
    assert source.frame.columns.tolist() == ["path", "age"]
