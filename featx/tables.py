"""Write a table to a file, by the file's extension, whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from featx._files import replacing
from featx.errors import UsageError


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write ``table`` to ``path``.

    Text is written as it is, also where a spreadsheet would take it for a formula: in CSV and TSV
    every text is in quotes, so that no cell can end early or run over into another.

    Raises
    ------
    UsageError
        If the extension is none of .csv, .tsv, .parquet, .json.
    CacheWriteError
        If the file cannot be written.
    """
    write = writer_for(path)
    with replacing(path) as temporary:
        write(table, temporary)


def writer_for(path: Path) -> Callable[[pd.DataFrame, Path], None]:
    """Give what writes a table to a file with this extension.

    Raises
    ------
    UsageError
        If there is none.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UsageError(
            f"cannot write a table to {path.name!r}: expected a name that ends with "
            f"{', '.join(_WRITERS)}"
        )
    return writer


def free_name(name: str, taken: list[str]) -> str:
    """Give ``name``, with ``_featx`` after it as often as a column of the user's has that name."""
    while name in taken:
        name += "_featx"
    return name


def _csv(table: pd.DataFrame, path: Path, sep: str = ",") -> None:
    table.to_csv(
        path,
        sep=sep,
        index=False,
        encoding="utf-8",
        errors="backslashreplace",
        lineterminator="\n",
        quoting=csv.QUOTE_NONNUMERIC,
    )


def _tsv(table: pd.DataFrame, path: Path) -> None:
    _csv(table, path, "\t")


def _parquet(table: pd.DataFrame, path: Path) -> None:
    _one_type_a_column(table).to_parquet(path, index=False)


def _json(table: pd.DataFrame, path: Path) -> None:
    table.to_json(path, orient="records", force_ascii=False, indent=1, double_precision=15)


def _one_type_a_column(table: pd.DataFrame) -> pd.DataFrame:
    """Give mixed columns as text: Parquet has one type a column."""
    mixed = {
        name: column.map(str, na_action="ignore")
        for name, column in table.items()
        if column.dtype == object and column.dropna().map(type).nunique() > 1
    }
    return table.assign(**{str(name): column for name, column in mixed.items()})


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".parquet": _parquet,
    ".json": _json,
}
