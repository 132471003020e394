"""Compressed and plain features: the bytes in the files, and what decides between them."""

import json

import google_crc32c
import numpy as np
import pytest
import zarr
from helpers_store import DIM, ROWS, fill, keys, small_blocks, vectors, writer
from numcodecs.zstd import Zstd

from featx import errors
from featx.store import FeatureStore
from featx.store.layout import Layout

KINDS = {"auto": "zstd", "zstd": "zstd", "none": "none"}
"""What is asked for, and what is stored."""


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small_blocks(monkeypatch)


def header(store):
    return json.loads((store.path / "zarr.json").read_text())["attributes"]["featx"]


@pytest.mark.parametrize("asked", KINDS)
def test_the_bytes_of_a_chunk_are_the_codecs(tmp_path, asked):
    store = fill(tmp_path, range(ROWS), compression=asked)
    assert store.layout.compression == KINDS[asked]
    values = vectors(range(ROWS)).tobytes()
    body = Zstd(level=1).encode(values) if KINDS[asked] == "zstd" else values
    crc = google_crc32c.value(body).to_bytes(4, "little")
    assert store.layout.chunk("features", 0).read_bytes() == body + crc
    names = [type(c).__name__ for c in zarr.open_array(store.path / "features").compressors]
    assert names == [*["ZstdCodec"] * (KINDS[asked] == "zstd"), "Crc32cCodec"]


def test_a_chunk_of_many_strips_has_one_checksum(tmp_path, monkeypatch):
    monkeypatch.setattr("featx.store.chunks.STRIP_BYTES", 7)
    store = fill(tmp_path, range(2 * ROWS), compression="none")
    assert np.array_equal(store.read(np.arange(2 * ROWS)), vectors(range(2 * ROWS)))
    assert np.array_equal(zarr.open_array(store.path / "features")[:], vectors(range(2 * ROWS)))


def test_a_block_that_is_not_full_ends_in_nan(tmp_path):
    store = fill(tmp_path, range(3), compression="none")
    size = store.layout.chunk("features", 0).stat().st_size
    assert size == 2 * DIM * ROWS + 4
    assert np.isnan(zarr.open_array(store.path / "features")[3:]).all()


def test_a_header_says_so_only_where_features_are_plain(tmp_path):
    assert "compression" not in header(fill(tmp_path / "a", range(3)))
    assert header(fill(tmp_path / "b", range(3), compression="none"))["compression"] == "none"
    assert Layout.__dataclass_fields__["compression"].default == "zstd"


@pytest.mark.parametrize(("first", "then"), [("none", "auto"), ("none", "zstd"), ("zstd", "none")])
def test_a_store_keeps_the_compression_it_was_made_with(tmp_path, first, then):
    fill(tmp_path, range(ROWS), compression=first)
    store = fill(tmp_path, range(3 * ROWS), compression=then)
    assert store.layout.compression == first
    rows = store.rows(*keys(range(3 * ROWS)))
    assert np.array_equal(store.read(rows), vectors(range(3 * ROWS)))
    assert store.check() == []


def test_an_unknown_compression_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(errors.UnknownNameError, match="did you mean 'zstd'"):
        writer(tmp_path, compression="zstd1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compression", ["none", "lz4", 3, None])
def test_a_header_that_does_not_fit_is_refused(tmp_path, compression):
    store = fill(tmp_path, range(3))
    file = store.path / "zarr.json"
    meta = json.loads(file.read_text())
    meta["attributes"]["featx"]["compression"] = compression
    file.write_text(json.dumps(meta))
    with pytest.raises(errors.CorruptStoreError, match=r"attributes lack|it says"):
        FeatureStore.open(store.path)
