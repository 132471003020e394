"""Other readers label the dimensions of a store: its arrays name them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from helpers_store import DIM, fill, keys, small_blocks, vectors

from featx.store import FeatureStore
from featx.store.layout import ARRAYS

DIMS = {
    "features": ("row", "feature"),
    "digest": ("row", "byte"),
    "item": ("row",),
    "state": ("row",),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch)


def test_xarray_opens_a_store_and_reads_the_same(tmp_path: Path) -> None:
    store = fill(tmp_path, range(21))
    opened = xr.open_zarr(store.path, consolidated=False)
    assert {str(name): opened[name].dims for name in opened} == DIMS
    assert opened.sizes["feature"] == DIM
    rows = store.rows(*keys(range(21)))
    found = opened["features"].isel(row=rows)
    assert found.dtype == np.float16
    assert np.array_equal(found.values, vectors(range(21)))
    assert opened["item"].dtype == np.uint16
    assert np.all(opened["state"].isel(row=rows).values == 1)


def without_names(store: FeatureStore) -> None:
    """Make it what featx wrote before arrays had names of dimensions."""
    for array in ARRAYS:
        file = store.path / array / "zarr.json"
        meta = json.loads(file.read_text())
        assert meta.pop("dimension_names") == list(DIMS[array])
        file.write_text(json.dumps(meta))


def test_a_store_without_names_is_read_and_gets_them_with_the_next_block(tmp_path: Path) -> None:
    old = fill(tmp_path, range(21))
    without_names(old)
    again = FeatureStore.open(old.path)
    assert np.array_equal(again.read(again.rows(*keys(range(21)))), vectors(range(21)))
    assert again.path == old.path

    more = fill(tmp_path, range(30))
    assert more.path == old.path
    assert np.array_equal(more.read(more.rows(*keys(range(30)))), vectors(range(30)))
    opened = xr.open_zarr(more.path, consolidated=False)
    assert opened["features"].dims == DIMS["features"]
