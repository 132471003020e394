"""Looking after a cache, and taking features out of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers_photos import folder

from featx import datasets, manage
from featx.errors import (
    AmbiguousNameError,
    CorruptStoreError,
    NotFoundError,
    UnknownNameError,
    UsageError,
)
from featx.extraction import extract
from featx.features import load

LABEL = "helpers_photos:tiny:output:flatten@64"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    photos = folder(tmp_path / "photos", per_class=3)
    (photos / "cat" / "bad.jpg").write_bytes(b"nothing")
    rerun(tmp_path)
    return tmp_path / "c"


def rerun(root: Path) -> int:
    (done,) = extract(
        root / "photos", backbone="helpers_photos:tiny", image_size=64, cache=root / "c",
        precision="fp32",
    )  # fmt: skip
    return done.computed


def test_ls_and_info(cache: Path) -> None:
    listed = manage.ls(cache)
    assert [s["features"] for s in listed["stores"]] == [LABEL]
    assert listed["stores"][0]["done"] == 9
    assert listed["stores"][0]["undecodable"] == 1
    assert [d["data"] for d in listed["data"]] == ["photos"]
    assert manage.info(None, cache)["features"] == LABEL
    assert manage.info(LABEL, cache)["dim"] == load(cache=cache).store.dim
    assert manage.info("photos", cache)["columns"]["label"]["distinct"] == 3
    json.dumps([listed, manage.info(None, cache), manage.info("photos", cache)], allow_nan=False)
    with pytest.raises(NotFoundError):
        manage.info("nothing", cache)


def test_a_flipped_byte_is_found_named_repaired_and_forgotten(cache: Path, tmp_path: Path) -> None:
    before = load(cache=cache)
    expected, fingerprint = before.X, before.fingerprint
    (chunk,) = (
        p
        for p in (before.store.path / "features").rglob("*")
        if p.name != "zarr.json" and p.is_file()
    )
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 64
    chunk.write_bytes(data)
    with pytest.raises(CorruptStoreError, match="features"):
        _ = load(cache=cache).X
    report = manage.verify(None, cache)
    assert [Path(d["file"]) for d in report["damages"]] == [chunk]
    assert rerun(tmp_path) == 9
    after = load(cache=cache)
    np.testing.assert_array_equal(after.X, expected)
    assert after.fingerprint != fingerprint
    assert manage.verify(LABEL, cache)["damages"] == []


def test_rows_computed_again_lie_where_they_lay(cache: Path, tmp_path: Path) -> None:
    (drift,) = manage.verify(LABEL, cache, sample=5)["drift"]
    assert (drift["rows"], drift["passed"]) == (5, True)
    assert drift["min_cosine"] > 0.99999
    victim = tmp_path / "photos" / "cat" / "0.jpg"
    victim.write_bytes((tmp_path / "photos" / "cat" / "1.jpg").read_bytes())
    (drift,) = manage.verify(LABEL, cache, sample=100)["drift"]
    assert drift["rows"] == 8, "an image that has changed is not compared"
    (tmp_path / "photos").rename(tmp_path / "gone")
    with pytest.raises(NotFoundError, match="featx extract"):
        manage.verify(LABEL, cache, sample=5)


def test_gc_keeps_every_vector(cache: Path, tmp_path: Path) -> None:
    from helpers_photos import photo

    for i in range(3):
        photo(tmp_path / "photos" / "cat" / f"new{i}.jpg", (1, 2, 3), 500 + i)
        assert rerun(tmp_path) == 1
    expected = load(cache=cache).X
    gone = cache / "gram" / "gone.zarr"
    gone.mkdir(parents=True)
    (gone / "1.npy").write_bytes(bytes(100))
    report = manage.collect(cache)
    assert report["products_bytes"] == 100
    assert not gone.exists()
    assert report["after_bytes"] <= report["before_bytes"]
    np.testing.assert_array_equal(load(cache=cache).X, expected)
    assert rerun(tmp_path) == 0


def test_remove(cache: Path) -> None:
    with pytest.raises(NotFoundError):
        manage.remove("nothing", cache)
    assert manage.remove("photos", cache)["kind"] == "data"
    (store,) = cache.glob("*.zarr")
    (cache / "gram" / store.name).mkdir(parents=True)
    assert manage.remove(LABEL, cache)["kind"] == "store"
    assert not list((cache / "gram").iterdir())
    listed = manage.ls(cache)
    assert (listed["stores"], listed["data"]) == ([], [])


def test_a_damaged_store_can_be_removed_by_its_folder(cache: Path) -> None:
    (path,) = cache.glob("*.zarr")
    (path / "zarr.json").write_text("{")
    assert manage.remove(path.name, cache)["kind"] == "store"
    assert not path.exists()


def test_a_name_of_both_kinds_is_not_guessed(cache: Path, tmp_path: Path) -> None:
    extract(
        tmp_path / "photos", backbone="squeezenet1_1", weights="random", pools=["avg"],
        image_size=64, limit=1, name="squeezenet1_1", cache=cache,
    )  # fmt: skip
    with pytest.raises(AmbiguousNameError, match="data set and a store"):
        manage.remove("squeezenet1_1", cache)


@pytest.mark.parametrize("to", ["npz", "parquet", "csv", "zarr", "h5ad"])
def test_exports_are_read_without_featx(cache: Path, tmp_path: Path, to: str) -> None:
    found = load(cache=cache)
    out = manage.export("photos", to, tmp_path / f"out.{to}", cache=cache)
    x, labels = READERS[to](out)
    np.testing.assert_allclose(x, found.X, rtol=1e-6)
    assert list(labels) == found.frame["label"].tolist()
    with pytest.raises(UsageError, match="exists"):
        manage.export("photos", to, out, cache=cache)
    with pytest.raises(UnknownNameError, match="export format"):
        manage.export("photos", "pickle", tmp_path / "x", cache=cache)


def _npz(path: Path) -> tuple[object, object]:
    with np.load(path, allow_pickle=False) as data:
        assert len(data["path"]) == 9
        return data["X"].astype(np.float32), data["label"]


def _parquet(path: Path) -> tuple[object, object]:
    frame = pd.read_parquet(path)
    return np.stack(frame["features"].to_list()).astype(np.float32), frame["label"]


def _csv(path: Path) -> tuple[object, object]:
    frame = pd.read_csv(path)
    return frame.filter(regex=r"^f\d+$").to_numpy(np.float32), frame["label"]


def _zarr(path: Path) -> tuple[object, object]:
    import zarr

    group = zarr.open_group(path, mode="r")
    return group["X"][:].astype(np.float32), group["columns/label"][:]  # type: ignore[index, union-attr]


def _h5ad(path: Path) -> tuple[object, object]:
    import anndata

    data = anndata.read_h5ad(path)
    return data.X, data.obs["label"]


READERS = {"npz": _npz, "parquet": _parquet, "csv": _csv, "zarr": _zarr, "h5ad": _h5ad}


def test_the_format_is_that_of_the_files_name(cache: Path, tmp_path: Path) -> None:
    assert (
        len(pd.read_parquet(manage.export("photos", None, tmp_path / "o.parquet", cache=cache)))
        == 9
    )
    with pytest.raises(UsageError, match="ends in csv"):
        manage.export("photos", "npz", tmp_path / "o.csv", cache=cache)


def test_what_cannot_be_read_is_listed_and_says_how_to_mend_it(cache: Path, tmp_path: Path) -> None:
    (path,) = cache.glob("*.zarr")
    (state,) = (p for p in (path / "state" / "c").rglob("*") if p.is_file())
    whole = state.read_bytes()
    state.write_bytes(b"")
    assert [u["store"] for u in manage.ls(cache)["unreadable"]] == [path.name]
    state.write_bytes(whole)
    (cache / "datasets" / "photos" / "head.json").write_text("{}")
    assert [u["store"] for u in manage.verify(None, cache)["unreadable"]] == ["data set photos"]
    assert manage.ls(cache)["data"] == []
    assert rerun(tmp_path) == 0
    (path / "zarr.json").write_text("")
    with pytest.raises(CorruptStoreError, match=f"featx rm {path.name}"):
        load(cache=cache)
    manage.remove(path.name, cache)
    assert rerun(tmp_path) == 9
    assert len(load(cache=cache)) == 9


def test_a_removed_data_set_is_no_longer_the_last_one(tmp_path: Path) -> None:
    datasets.remember(tmp_path, datasets.Last("gone", ("a.zarr",)))
    datasets.forget(tmp_path, "other")
    assert datasets.recall(tmp_path).data == "gone"
    datasets.forget(tmp_path, "gone")
    with pytest.raises(NotFoundError, match="nothing has been extracted"):
        datasets.recall(tmp_path)
    datasets.forget(tmp_path, "gone")


def test_an_extraction_that_has_not_ended_is_no_absence_of_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing has been extracted"):
        datasets.recall(tmp_path)
    (tmp_path / "vgg16-features-flatten-0.zarr").mkdir()
    with pytest.raises(NotFoundError, match="has come to its end yet; run `featx extract`"):
        datasets.recall(tmp_path)
