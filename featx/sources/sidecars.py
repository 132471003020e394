"""Columns of images in tar shards, from the labels, captions and fields that lie beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import pandas as pd

from featx._types import Json
from featx.errors import SourceError
from featx.sources.entry import text_column
from featx.sources.folder import folder_columns
from featx.sources.names import display
from featx.sources.tars import Member, key_of


def columns_of(members: Sequence[tuple[str, Member]]) -> tuple[pd.DataFrame, list[str]]:
    """Give the columns of images in archives, each with what its archive is called.

    A field whose name another column has is called ``json.NAME``.

    Returns
    -------
    columns
        One row an image.
    nested
        Names of JSON fields that are no plain values, and become no columns.

    Raises
    ------
    SourceError
        If a ``.json`` holds no fields.
    """
    columns: dict[str, pd.Series[Any]] = {}
    for name in ("label", "caption"):
        texts = [getattr(one, name) for _, one in members]
        if any(text is not None for text in texts):
            columns[name] = text_column(texts)
    shown = [shard for shard, _ in members]
    splits, _ = folder_columns(shown)
    if "split" in splits:
        columns["split"] = splits["split"]
    columns["shard"] = text_column(shown)
    columns["key"] = text_column([display(key_of(one.name)[0]) for _, one in members])
    fields, nested = _fields(members)
    for name, values in fields.items():
        columns[f"json.{name}" if name in columns else name] = _column(values)
    return pd.DataFrame(columns), nested


def _fields(members: Sequence[tuple[str, Member]]) -> tuple[dict[str, list[Json]], list[str]]:
    rows = [_read_fields(shard, one) for shard, one in members]
    names = dict.fromkeys(chain.from_iterable(rows))
    nested = {name for row in rows for name, value in row.items() if isinstance(value, dict | list)}
    flat = {name: [row.get(name) for row in rows] for name in names if name not in nested}
    return flat, [name for name in names if name in nested]


def _read_fields(shard: str, one: Member) -> Mapping[str, Json]:
    if one.fields is None:
        return {}
    try:
        fields = json.loads(one.fields)
    except ValueError as error:
        raise _no_fields(shard, one, str(error)) from error
    if not isinstance(fields, dict):
        raise _no_fields(shard, one, f"it holds {type(fields).__name__}")
    return fields


def _no_fields(shard: str, one: Member, why: str) -> SourceError:
    return SourceError(
        f"{shard}: the .json beside {display(one.name)!r} is no JSON object of fields "
        f"({why}); write the shard anew"
    )


def _column(values: list[Json]) -> pd.Series[Any]:
    """Give a column of whole numbers, of numbers, of yes and no, or else of text."""
    kinds = {type(value) for value in values if value is not None}
    missing = any(value is None for value in values)
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean" if missing else "bool")
    if kinds == {int} and all(value is None or abs(value) < 2**63 for value in values):  # type: ignore[arg-type]
        return pd.Series(values, dtype="Int64" if missing else "int64")
    if kinds and kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    return text_column([value if value is None else _as_text(value) for value in values])


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
