"""Exports keep every column, whatever it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_photos import folder

from featx import manage
from featx.extraction import extract

NAMES = ["file", "X", "recipe", "a b", "a_b", "a/b", "_index", "f0", "features"]


def _npz(path: Path) -> list[Any]:
    with np.load(path, allow_pickle=False) as data:
        return [data[name][0] for name in data.files if name != "X" and data[name].ndim]


def _frame(frame: pd.DataFrame) -> list[Any]:
    return [frame[name][0] for name in frame.columns if frame[name].dtype.kind in "OT"]


def _csv(path: Path) -> list[Any]:
    frame = pd.read_csv(path, dtype=str)
    assert frame.columns.is_unique
    assert "f0_featx" in frame.columns
    return frame.loc[0, NAMES].tolist()


def _zarr(path: Path) -> list[Any]:
    import zarr

    group = zarr.open_group(path, mode="r")
    columns: dict[str, str] = group.attrs["columns"]  # type: ignore[assignment]
    assert list(columns.values()) == ["path", *NAMES]
    return [group[f"columns/{key}"][0] for key in columns]  # type: ignore[index]


def _h5ad(path: Path) -> list[Any]:
    import anndata

    obs = anndata.read_h5ad(path).obs
    return [str(obs[name].iloc[0]) for name in obs.columns]


READERS: dict[str, Callable[[Path], list[Any]]] = {
    "npz": _npz,
    "parquet": lambda path: _frame(pd.read_parquet(path).drop(columns="features_featx")),
    "csv": _csv,
    "zarr": _zarr,
    "h5ad": _h5ad,
}


@pytest.mark.parametrize("to", READERS)
def test_every_column_is_exported_whatever_its_name(tmp_path: Path, to: str) -> None:
    photos = folder(tmp_path / "photos", per_class=1)
    row = [str(next(photos.rglob("*.jpg"))), *(f"v{i}" for i in range(1, len(NAMES)))]
    table = tmp_path / "t.csv"
    pd.DataFrame([row], columns=NAMES).to_csv(table, index=False)
    extract(
        table, backbone="helpers_photos:tiny", image_size=32, precision="fp32",
        path_column="file", cache=tmp_path / "cache",
    )  # fmt: skip
    out = manage.export("t", to, tmp_path / f"out.{to}", cache=tmp_path / "cache")
    assert set(row) <= {str(value) for value in READERS[to](out)}
