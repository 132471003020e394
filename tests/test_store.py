"""The store: what is written comes back, under every dtype, and zarr reads the same."""

import json
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from helpers_store import (
    DIM,
    PROVENANCE,
    RECIPE,
    digest,
    fill,
    keys,
    small_blocks,
    vector,
    vectors,
    writer,
)

from featx import errors
from featx._types import Silent
from featx.recipe import Preprocess, Recipe
from featx.store import (
    DONE,
    EMPTY,
    SCHEMA_VERSION,
    SUPERSEDED,
    UNDECODABLE,
    FeatureStore,
    StoreWriter,
    block_rows,
    layout,
    list_stores,
)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small_blocks(monkeypatch)


def test_rows_come_back_in_any_order_and_any_dtype(tmp_path):
    store = fill(tmp_path, range(21))
    order = np.random.default_rng(0).permutation(21)
    rows = store.rows(*keys(order))
    assert (rows == order).all()
    got = store.read(rows)
    assert got.dtype == np.float16
    assert np.array_equal(got, vectors(order))
    as32 = store.read(rows, np.float32)
    assert as32.dtype == np.float32
    assert np.array_equal(as32, vectors(order))
    out = np.empty((21, DIM), np.float32)
    assert store.read(rows, out=out) is out
    assert np.array_equal(out, as32)
    assert np.array_equal(store.read(rows[[3, 3, 0]]), vectors(order[[3, 3, 0]]))
    assert store.read(rows[:0]).shape == (0, DIM)


def test_float32_is_kept_bit_for_bit(tmp_path):
    recipe = Recipe("resnet18", "00", "layer4", "avg", dtype="float32")
    store = fill(tmp_path, range(5), recipe)
    assert np.array_equal(store.read(np.arange(5)), vectors(range(5), np.float32))
    assert store.read(np.arange(5)).dtype == np.float32


@pytest.mark.parametrize(
    "pipeline", ["zarr.core.codec_pipeline.BatchedCodecPipeline", "zarrs.ZarrsCodecPipeline"]
)
@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_zarr_and_zarrs_read_the_same_values(tmp_path, pipeline, compression):
    fill(tmp_path, range(11), compression=compression)
    store = fill(tmp_path, range(30))
    rows = store.rows(*keys(range(30)))
    with zarr.config.set({"codec_pipeline.path": pipeline}):
        group = zarr.open_group(store.path, mode="r")
        arrays = {name: group[name][:] for name in layout.ARRAYS}
    assert np.array_equal(arrays["features"][rows], vectors(range(30)))
    assert np.array_equal(arrays["digest"][rows], keys(range(30))[0])
    assert (arrays["state"][rows] == DONE).all()
    assert (arrays["item"][rows] == 0).all()
    rest = np.setdiff1d(np.arange(len(arrays["state"])), rows)
    assert (arrays["state"][rest] == EMPTY).all()
    assert np.isnan(arrays["features"][rest]).all()


def test_store_describes_itself(tmp_path):
    store = fill(tmp_path, range(9))
    assert store.recipe == RECIPE
    assert (store.map_shape, store.dim, store.block_rows) == ((3, 2, 2), DIM, 8)
    assert store.path == tmp_path / RECIPE.store_name
    assert store.counts() == {"done": 9, "undecodable": 0, "superseded": 0, "blocks": 2}
    assert [run["provenance"] for run in store.runs] == [PROVENANCE]
    assert store.runs[0]["blocks"] == [[0, 2]]
    assert store.runs[0]["closed"]
    files = [path for path in store.path.rglob("*") if path.is_file()]
    assert store.size_bytes() == sum(path.stat().st_size for path in files)
    assert RECIPE.label in repr(store)
    assert store.check() == store.check(Silent()) == []


def test_items_of_one_image_are_apart(tmp_path):
    with writer(tmp_path) as w:
        for item in (0, 1, 65535):
            w.append(digest(0), item, vector(item))
    digests, _ = keys([0, 0, 0, 0])
    rows = w.store.rows(digests, np.array([65535, 1, 0, 2], np.uint16))
    assert rows.tolist() == [2, 1, 0, -1]
    assert np.array_equal(w.store.read(rows[:3]), vectors([65535, 1, 0]))


def test_the_newest_row_of_a_key_answers(tmp_path):
    with writer(tmp_path) as w:
        w.append(digest(0), 0, vector(1))
        w.append(digest(0), 0, vector(2))
    assert w.store.rows(*keys([0])).tolist() == [1]


def test_failures_are_kept_with_their_reason_until_a_newer_row_stands_before_them(tmp_path):
    with writer(tmp_path) as w:
        w.append(digest(0), 0, vector(0))
        w.append_failure(digest(1), 0, "truncated")
        w.append_failure(digest(2), 7, "no image")
    store = FeatureStore.open(w.store.path)
    rows = np.array([0, 1, 2, -1])
    assert store.states(rows).tolist() == [DONE, UNDECODABLE, UNDECODABLE, EMPTY]
    assert store.reasons(rows) == [None, "truncated", "no image", None]
    assert store.rows(*keys([1])).tolist() == [1]
    with pytest.raises(errors.CorruptStoreError, match="1 of 2 rows have no vector"):
        store.read(np.array([0, 1]))
    with writer(tmp_path) as w:
        assert w.supersede_shadowed() == 0
        w.append(digest(1), 0, vector(1))
        assert w.supersede_shadowed() == 1
        assert w.store.rows(*keys([0, 1])).tolist() == [0, w.store.block_rows]
        assert w.supersede_shadowed() == 0
    store.refresh()
    assert store.states(rows).tolist() == [DONE, SUPERSEDED, UNDECODABLE, EMPTY]
    assert store.reasons(rows) == [None, None, "no image", None]
    assert store.counts() == {"done": 2, "undecodable": 1, "superseded": 1, "blocks": 2}


def test_the_newest_failure_of_an_image_gives_the_reason(tmp_path):
    for reason in ("truncated", "damaged"):
        with writer(tmp_path) as w:
            w.append_failure(digest(1), 0, reason)
            w.supersede_shadowed()
    store = FeatureStore.open(w.store.path)
    assert store.reasons(store.rows(*keys([1]))) == ["damaged"]
    assert store.counts()["undecodable"] == 1


def test_states_of_an_image_are_those_of_its_newest_rows(tmp_path):
    with writer(tmp_path) as w:
        for item in (0, 2, 300):
            w.append(digest(1), item, vector(item))
        w.append_failure(digest(2), 0, "truncated")
    index = FeatureStore.open(w.store.path).index
    assert index.states_of(digest(1), 3) == [DONE, EMPTY, DONE]
    assert index.states_of(digest(1), 301)[300] == DONE
    assert index.states_of(digest(2), 1) == [UNDECODABLE]
    assert index.states_of(digest(3), 1) == [EMPTY]


def test_an_index_is_whole_while_another_thread_refreshes(tmp_path):
    store = fill(tmp_path, range(3))
    stop = threading.Event()

    def refresh():
        while not stop.is_set():
            store._index = None

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(refresh)
        try:
            for _ in range(300):
                assert store.rows(*keys([0, 2])).tolist() == [0, 2]
        finally:
            stop.set()
        done.result()


def test_a_missing_row_cannot_be_read(tmp_path):
    store = fill(tmp_path, range(3))
    rows = store.rows(*keys([0, 99, 2]))
    assert rows.tolist() == [0, -1, 2]
    for bad in (rows, [10**9]):
        with pytest.raises(errors.CorruptStoreError, match="featx extract"):
            store.read(np.array(bad))


def test_out_must_have_the_right_shape(tmp_path):
    store = fill(tmp_path, range(3))
    with pytest.raises(errors.UsageError, match="out has shape"):
        store.read(np.arange(3), out=np.empty((3, DIM + 1), np.float32))


def test_a_reader_sees_old_rows_until_it_refreshes(tmp_path):
    store = fill(tmp_path, range(5))
    lazy = FeatureStore.open(store.path)
    before = store.rows(*keys(range(10)))
    fill(tmp_path, range(10))
    for old in (store, lazy):
        assert old.rows(*keys(range(10))).tolist() == before.tolist() == [0, 1, 2, 3, 4] + [-1] * 5
        assert np.array_equal(old.read(before[:5]), vectors(range(5)))
        old.refresh()
        assert np.array_equal(old.read(old.rows(*keys(range(10)))), vectors(range(10)))


def test_a_reader_sees_the_blocks_of_a_run_that_still_writes(tmp_path):
    with writer(tmp_path) as w:
        for i in range(20):
            w.append(digest(i), 0, vector(i))
        w.flush()
        w.append(digest(20), 0, vector(20))
        other = FeatureStore.open(w.store.path)
        assert np.array_equal(other.read(other.rows(*keys(range(20)))), vectors(range(20)))
        assert other.rows(*keys([20])).tolist() == [-1]
        assert other.check() == []
    other.refresh()
    assert other.rows(*keys([20])).tolist() == [24]  # the flush ended a block


def test_refresh_refuses_a_store_made_anew(tmp_path):
    store = fill(tmp_path, range(5))
    shutil.rmtree(store.path)
    fill(tmp_path, range(5))
    with pytest.raises(errors.CorruptStoreError, match="made anew"):
        store.refresh()


def test_fingerprint_tells_rows_order_store_and_recipe_apart(tmp_path):
    store = fill(tmp_path / "a", range(5))
    twin = fill(tmp_path / "b", range(5))
    other = fill(tmp_path / "a", range(5), Recipe("vgg16", "01", "features", "flatten"))
    rows = np.arange(5)
    prints = {
        store.fingerprint(rows),
        store.fingerprint(rows[::-1]),
        store.fingerprint(rows[:4]),
        store.fingerprint(np.array([0, 1, 2, 3, -1])),
        twin.fingerprint(rows),
        other.fingerprint(rows),
    }
    assert len(prints) == 6
    assert FeatureStore.open(store.path).fingerprint(rows) == store.fingerprint(rows)


def test_a_store_pickles_as_its_path(tmp_path):
    store = fill(tmp_path, range(5))
    copy = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own bytes
    assert np.array_equal(copy.read(np.arange(5)), vectors(range(5)))


def test_block_rows_keep_a_block_under_32_mib():
    assert block_rows(4, "float16") == layout.MAX_BLOCK_ROWS
    assert block_rows(100352, "float16") == min(layout.MAX_BLOCK_ROWS, 167)
    assert block_rows(10**9, "float32") == 1


def test_block_rows_at_the_reports_dimensions(monkeypatch):
    small_blocks(monkeypatch, 1024)
    found = {dim: block_rows(dim, "float16") for dim in (1280, 25088, 51200, 100352)}
    assert found == {1280: 1024, 25088: 668, 51200: 327, 100352: 167}


def test_a_slow_block_is_written_before_it_is_full(tmp_path):
    with writer(tmp_path, max_block_s=-1.0) as w:
        for i in range(3):
            w.append(digest(i), 0, vector(i))
    assert w.store.counts()["blocks"] == 3
    assert np.array_equal(w.store.read(w.store.rows(*keys(range(3)))), vectors(range(3)))


def test_provenance_follows_the_blocks(tmp_path):
    with writer(tmp_path) as w:
        w.append(digest(0), 0, vector(0))
        w.start_run({"engine": "other"})
        w.append(digest(1), 0, vector(1))
    runs = FeatureStore.open(w.store.path).runs
    assert [(run["blocks"], run["provenance"]) for run in runs] == [
        ([[0, 1]], PROVENANCE),
        ([[1, 2]], {"engine": "other"}),
    ]


def test_a_run_that_wrote_nothing_leaves_no_trace(tmp_path):
    store = fill(tmp_path, range(5))
    before = (store.path / "zarr.json").read_bytes()
    fill(tmp_path, range(5))
    assert (store.path / "zarr.json").read_bytes() == before


def test_abort_drops_the_open_block_only(tmp_path):
    w = writer(tmp_path)
    for i in range(10):
        w.append(digest(i), 0, vector(i))
    w.close(abort=True)
    w.close()
    assert w.store.rows(*keys(range(10))).tolist() == [*range(8), -1, -1]


def test_what_was_appended_before_an_error_is_kept(tmp_path):
    def interrupted():
        with writer(tmp_path) as w:
            w.append(digest(0), 0, vector(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert fill(tmp_path, []).rows(*keys([0])).tolist() == [0]


def test_not_found_prints_the_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.NotFoundError, match=str(tmp_path).replace("\\", ".")):
        FeatureStore.open("nowhere.zarr")


def edit(store, **header):
    file = store.path / "zarr.json"
    meta = json.loads(file.read_text())
    meta["attributes"]["featx"].update(header)
    file.write_text(json.dumps(meta))


def test_a_newer_schema_is_refused(tmp_path):
    store = fill(tmp_path, range(3))
    edit(store, schema_version=SCHEMA_VERSION + 1)
    for attempt in (lambda: FeatureStore.open(store.path), lambda: writer(tmp_path)):
        with pytest.raises(errors.SchemaVersionError, match="upgrade"):
            attempt()
    with pytest.raises(errors.SchemaVersionError):  # the lock was given back
        writer(tmp_path, on_wait=lambda: pytest.fail("waits for itself"))


def test_a_recipe_of_a_newer_featx_is_refused(tmp_path):
    store = fill(tmp_path, range(3))
    edit(store, recipe=RECIPE.to_json() | {"tiling": 3})
    with pytest.raises(errors.SchemaVersionError, match="tiling"):
        FeatureStore.open(store.path)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"recipe": RECIPE.to_json() | {"layer": "other"}}, "recorded hash"),
        ({"dim": 99}, "expected"),
        ({"block_rows": 99}, "expected"),
        ({"schema_version": "x"}, "lack"),
        ({"runs": 3}, "lack"),
    ],
)
def test_damaged_attributes_are_named(tmp_path, header, words):
    store = fill(tmp_path, range(3))
    edit(store, **header)
    with pytest.raises(errors.CorruptStoreError, match=f"zarr.json is damaged.*{words}"):
        FeatureStore.open(store.path)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"attributes": {}}'])
@pytest.mark.parametrize("where", ["", "features"])
def test_damaged_metadata_is_named(tmp_path, text, where):
    store = fill(tmp_path, range(3))
    file = store.path / where / "zarr.json"
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(errors.CorruptStoreError, match="featx rm"):
        FeatureStore.open(store.path)


def test_stores_are_listed_and_the_broken_ones_told_apart(tmp_path):
    assert list_stores(tmp_path / "none") == ([], [])
    good = fill(tmp_path, range(3))
    bad = fill(tmp_path, range(3), Recipe("alexnet", "00", "features", "flatten"))
    (bad.path / "zarr.json").unlink()
    (tmp_path / ".half.zarr").mkdir()
    stores, broken = list_stores(tmp_path)
    assert [store.path for store in stores] == [good.path]
    [(path, reason)] = broken
    assert path == bad.path
    assert "missing" in reason


def test_another_recipe_in_the_folder_is_explained_field_by_field(tmp_path):
    store = fill(tmp_path, range(3))
    other = Recipe(
        "vgg16", "00" * 16, "features", "flatten", preprocess=Preprocess(image_size=(299, 299))
    )
    store.path.rename(tmp_path / other.store_name)
    with pytest.raises(errors.RecipeMismatchError, match=r"image_size \(299, 299\) here"):
        writer(tmp_path, other)


def test_another_shape_in_the_folder_is_refused(tmp_path):
    fill(tmp_path, range(3))
    with pytest.raises(errors.RecipeMismatchError, match="dimension 13 here"):
        StoreWriter(tmp_path, RECIPE, (13, 1, 1), 13, provenance={})


def test_a_vector_of_another_length_is_refused(tmp_path):
    with writer(tmp_path) as w, pytest.raises(errors.UsageError, match="shape"):
        w.append(digest(0), 0, np.zeros(DIM + 1, np.float32))


def test_leftovers_of_a_killed_creation_are_no_obstacle(tmp_path):
    (tmp_path / f".{RECIPE.store_name}.new" / "features").mkdir(parents=True)
    store = fill(tmp_path, range(3))
    assert store.counts()["done"] == 3
    assert not list(tmp_path.glob(".*"))
