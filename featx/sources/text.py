"""CSV and TSV as people make them: any delimiter, any byte-order mark, text left as text."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from itertools import islice
from pathlib import Path

import pandas as pd

from featx.errors import SourceError
from featx.sources.entry import text_column
from featx.sources.names import has_image_suffix

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = (",", "\t", ";", "|")


def read_text_table(path: Path) -> tuple[pd.DataFrame, str]:
    """Read a delimited text file.

    Returns
    -------
    frame
        Every column as text, empty cells None.
    encoding
        The one it was read in.

    Raises
    ------
    SourceError
        If it cannot be read as a table.
    """
    text, encoding = _decode(path.read_bytes(), path)
    text, delimiter = _announced(text)
    delimiter = delimiter or _guess(text, path.suffix.lower())
    try:
        return _parse(text, delimiter, path), encoding
    except csv.Error as error:
        raise SourceError(f"{path} is no table that can be read: {error}") from error


def _decode(data: bytes, path: Path) -> tuple[str, str]:
    """Decode by the byte-order mark, else as UTF-8, else as cp1252 (Excel on Windows)."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        raise SourceError(f"{path} is no text in UTF-8 (it holds NUL bytes); save it as UTF-8")
    for name in (encoding, "cp1252"):
        try:
            return data.decode(name), name
        except UnicodeDecodeError:
            continue
    raise SourceError(f"{path} is text neither in UTF-8 nor in cp1252; save it as UTF-8")


def _announced(text: str) -> tuple[str, str]:
    """Take off the first line where it is Excel's ``sep=;``."""
    first, _, rest = text.partition("\n")
    first = first.strip()
    return (rest, first[4]) if len(first) == 5 and first.startswith("sep=") else (text, "")


def _guess(text: str, suffix: str) -> str:
    """Give the delimiter that splits the header into most cells, and the next rows alike."""

    def rank(delimiter: str) -> tuple[bool, int, bool]:
        try:
            rows = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 20))
        except csv.Error:
            return False, 0, False
        rows = [row for row in rows if row]
        header = len(rows[0]) if rows else 0
        alike = header > 1 and all(len(row) == header for row in rows)
        return alike, header, (delimiter == "\t") == (suffix in {".tsv", ".tab"})

    return max(_DELIMITERS, key=rank)


def _parse(text: str, delimiter: str, path: Path) -> pd.DataFrame:
    first = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    spaced = len(first) > 1 and all(cell.startswith(" ") for cell in first[1:])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=spaced)
    header = next(reader, [])
    rows = []
    for row in reader:
        if not row:  # an empty line
            continue
        if len(row) > len(header) and any(row[len(header) :]):
            raise SourceError(
                f"{path}, line {reader.line_num}: {len(row)} cells under {len(header)} column "
                f"names (delimiter {delimiter!r}); quote cells that hold the delimiter"
            )
        rows.append(row)
    names = _header(header, path)
    columns = {
        name: text_column([(row[i] or None) if i < len(row) else None for row in rows])
        for i, name in enumerate(names)
    }
    return pd.DataFrame(columns)


def _header(cells: list[str], path: Path) -> list[str]:
    """Check the column names; a column without one gets the name that pandas would give it."""
    names = [cell.strip() or f"Unnamed: {i}" for i, cell in enumerate(cells)]
    if not names:
        raise SourceError(f"{path} is empty; expected a header row such as path,label")
    images = [name for name in names if has_image_suffix(name)]
    if images:
        raise SourceError(
            f"{path}: its first row holds {images[0]!r}, a file and not a column's name; put a "
            "header row such as path,label above it"
        )
    refuse_double(names, str(path))
    return names


def refuse_double(names: list[str], where: str) -> None:
    """Refuse a table of which two columns have one name.

    Raises
    ------
    SourceError
        Which names them.
    """
    double = [repr(name) for name, n in Counter(names).items() if n > 1]
    if double:
        raise SourceError(
            f"{where} has several columns named {', '.join(double)}; rename all but one"
        )
