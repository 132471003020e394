"""The Gram matrix of a store's rows: streamed, kept, extended, and never stale."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from helpers_store import RECIPE, digest, fill, keys, small_blocks, vectors, writer

from featx import products
from featx.errors import DeviceError, UsageError
from featx.gram import (
    ArrayVectors,
    ScaledVectors,
    SomeVectors,
    StoreVectors,
    as_vectors,
    build_gram,
    combine,
    fit_scaler,
    parts,
    prune,
    stored_gram,
    torch_device,
)
from featx.gram import vectors as vectors_module
from featx.store import FeatureStore, list_stores


class Said:
    def __init__(self):
        self.lines, self.computed = [], []

    def start(self, _task, total):
        self.computed.append(total)

    def advance(self, done=1):
        pass

    def say(self, message):
        self.lines.append(message)

    def finish(self):
        pass


@pytest.fixture(autouse=True)
def always_kept(monkeypatch):
    """Treat small products as large ones: float32, and kept."""
    monkeypatch.setattr(products, "EXACT_PRODUCTS", 0)
    small_blocks(monkeypatch)


def view(store, numbers):
    return StoreVectors(store, store.rows(*keys(numbers)))


def close(G, numbers):
    X = vectors(numbers).astype(np.float64)
    return np.abs(G.values - X @ X.T).max() < 1e-5


@pytest.mark.parametrize("panel_bytes", [1, 60, 200, 10**9])
def test_panels_and_parts_of_any_size_give_the_same_products(tmp_path, monkeypatch, panel_bytes):
    monkeypatch.setattr(vectors_module, "READ_BYTES", 3 * 24)
    X = vectors(range(30))
    G = build_gram(ArrayVectors(X), panel_bytes=panel_bytes)
    assert close(G, range(30))
    known = build_gram(ArrayVectors(X[:11]), panel_bytes=panel_bytes)
    assert close(build_gram(ArrayVectors(X), known=known, panel_bytes=panel_bytes), range(30))


def test_memory_is_bounded_whatever_the_number_of_features(monkeypatch):
    """Of 64 MB in the store at most a panel, a part and two blocks of columns are held."""
    import tracemalloc

    class Endless:
        shape, dtype = (64, 500_000), np.dtype(np.float16)

        def read(self, rows):
            return np.ones((len(rows), 500_000), np.float16)

    monkeypatch.setattr(vectors_module, "READ_BYTES", 4 * 10**6)
    monkeypatch.setattr(products, "_BLOCK_VALUES", 10**5)
    tracemalloc.start()
    G = build_gram(Endless(), panel_bytes=4 * 10**6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.all(G.values == 500_000)
    assert peak < 16 * 10**6


def test_a_second_call_reads_no_vector(tmp_path, monkeypatch):
    store = fill(tmp_path, range(20))
    first = stored_gram(tmp_path, view(store, range(20)))
    monkeypatch.setattr(FeatureStore, "read", None)
    order = [7, 3, 19, 0, 3]
    again = stored_gram(tmp_path, view(store, order))
    assert np.array_equal(again.values, first.values[np.ix_(order, order)])
    assert close(again, order)


def test_added_rows_are_all_that_is_computed(tmp_path):
    store = fill(tmp_path, range(20))
    stored_gram(tmp_path, view(store, range(20)))
    store = fill(tmp_path, range(26))
    said = Said()
    grown = stored_gram(tmp_path, view(store, [*range(20, 26), *range(20)]), said)
    assert said.computed == [6]
    assert close(grown, [*range(20, 26), *range(20)])
    assert len(list((tmp_path / "gram").rglob("*.npy"))) == 1, "the smaller one is in the larger"


def test_equal_images_have_exactly_equal_products(tmp_path):
    store = fill(tmp_path, range(9))
    G = stored_gram(tmp_path, view(store, [4, 1, 4, 2])).values
    assert np.array_equal(G[0], G[2])
    assert G[0, 0] == G[0, 2]


def test_a_repaired_row_has_new_products(tmp_path):
    store = fill(tmp_path, range(20))
    before = stored_gram(tmp_path, view(store, range(20)))
    block = store.path / "features" / "c" / "1" / "0"
    block.write_bytes(b"damaged")
    assert store.check()
    with writer(tmp_path) as w:
        for i in range(20):
            if w.store.rows(*keys([i]))[0] < 0:
                w.append(digest(i), 0, np.full(12, 2.0, np.float32) if i == 9 else vectors([i])[0])
    store = FeatureStore.open(store.path)
    said = Said()
    after = stored_gram(tmp_path, view(store, range(20)), said)
    assert said.computed, "the old matrix must not answer for rows that were made again"
    assert np.array_equal(after.values[:8, :8], before.values[:8, :8])
    truth = vectors(range(20)).astype(np.float64)
    truth[9] = 2.0
    assert np.allclose(after.values, truth @ truth.T, atol=1e-5)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_a_damaged_matrix_is_said_and_made_again(tmp_path, damage):
    store = fill(tmp_path, range(20))
    stored_gram(tmp_path, view(store, range(20)))
    [file] = (tmp_path / "gram").rglob("*.npy")
    data = bytearray(file.read_bytes())
    data[-9] ^= 4
    file.write_bytes({"flip": data, "cut": data[:-100], "empty": b"", "gone": b""}[damage])
    if damage == "gone":
        file.unlink()
    said = Said()
    assert close(stored_gram(tmp_path, view(store, range(20)), said), range(20))
    assert "is damaged" in said.lines[0]
    assert said.computed == [20]
    assert close(stored_gram(tmp_path, view(store, range(20))), range(20))


@pytest.mark.parametrize("text", ["{", "{}", '{"schema": 99}', '{"schema": 1, "rows": "x"}'])
def test_a_description_that_cannot_be_read_is_passed_over(tmp_path, text):
    store = fill(tmp_path, range(20))
    stored_gram(tmp_path, view(store, range(20)))
    [file] = (tmp_path / "gram").rglob("*.json")
    said = json.loads(file.read_text())
    assert said["rows"] == list(range(20))
    file.write_text(text)
    assert close(stored_gram(tmp_path, view(store, range(20))), range(20))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everything")
def test_a_cache_that_cannot_be_written_is_said(tmp_path):
    store = fill(tmp_path, range(20))
    tmp_path.chmod(0o500)
    said = Said()
    assert close(stored_gram(tmp_path, view(store, range(20)), said), range(20))
    tmp_path.chmod(0o700)
    assert "not kept" in said.lines[0]


def test_a_file_in_the_way_is_said(tmp_path):
    store = fill(tmp_path, range(20))
    (tmp_path / "gram").write_text("in the way")
    said = Said()
    assert close(stored_gram(tmp_path, view(store, range(20)), said), range(20))
    assert "not kept" in said.lines[0]


def test_pruning_leaves_what_can_be_used(tmp_path):
    store = fill(tmp_path, range(20))
    other = fill(tmp_path, range(20), RECIPE.__class__(**vars(RECIPE) | {"backbone": "vgg19"}))
    stored_gram(tmp_path, view(store, range(20)))
    stored_gram(tmp_path, view(other, range(20)))
    assert prune(tmp_path, list_stores(tmp_path)[0]) == 0
    assert prune(tmp_path, [store]) > 20 * 20 * 8
    assert [p.name for p in (tmp_path / "gram").iterdir()] == [store.path.name]


def test_small_products_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(products, "EXACT_PRODUCTS", 2**33)
    store = fill(tmp_path, range(20))
    assert stored_gram(tmp_path, view(store, range(20))).exact
    assert not (tmp_path / "gram").exists()


def test_combining_rows_reads_those_with_weight(monkeypatch):
    monkeypatch.setattr(vectors_module, "READ_BYTES", 3 * 24)
    X = vectors(range(30))
    read = []

    class Watched(ArrayVectors):
        def read(self, rows):
            read.extend(rows)
            return super().read(rows)

    c = np.random.default_rng(0).normal(size=(2, 10))
    c[:, 4] = 0
    found = combine(Watched(X), np.arange(10, 20), c)
    assert np.allclose(found, c @ X[10:20].astype(float), rtol=1e-12)
    assert read == [10, 11, 12, 13, 15, 16, 17, 18, 19]


def test_scaled_rows_are_scikit_learns(monkeypatch):
    from sklearn.preprocessing import StandardScaler

    monkeypatch.setattr(vectors_module, "READ_BYTES", 3 * 24)
    X = vectors(range(30))
    X[:, 3], X[:, 4] = 0, 7.5
    X[:, 5] += 1000
    truth = StandardScaler().fit(X[5:25].astype(np.float64))
    scaler = fit_scaler(ArrayVectors(X), np.arange(5, 25))
    for name in ("mean_", "var_", "scale_"):
        assert np.allclose(getattr(scaler, name), getattr(truth, name), rtol=1e-12, atol=1e-15)
    assert scaler.n_features_in_ == 12
    scaled = ScaledVectors(ArrayVectors(X), scaler.mean_, scaler.scale_)
    rows = np.array([29, 2, 7])
    expected = truth.transform(X[rows].astype(np.float64))
    assert np.allclose(SomeVectors(scaled, rows).read(np.arange(3)), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.zeros(3), "shape"),
        (np.zeros((3, 0)), "shape"),
        (np.array([["a"]]), "expected numbers"),
        (np.array([[1.0, np.nan]]), "not finite"),
        (np.array([[1.0, np.inf]], np.float16), "not finite"),
    ],
)
def test_what_is_no_table_of_finite_numbers_is_refused(X, words):
    with pytest.raises(UsageError, match=words):
        as_vectors(X)


def test_parts_cover_the_rows_in_order(monkeypatch):
    monkeypatch.setattr(vectors_module, "READ_BYTES", 5 * 24)
    X = vectors(range(12))
    rows = np.array([3, 1, 7, 7, 0, 11])
    found = list(parts(ArrayVectors(X), rows))
    assert np.array_equal(np.concatenate([at for at, _ in found]), np.arange(6))
    assert np.array_equal(np.concatenate([x for _, x in found]), X[rows])


def check_device(name):
    import torch

    X = np.maximum(np.random.default_rng(0).normal(size=(40, 9000)) - 1, 0).astype(np.float16)
    truth = X.astype(np.float64) @ X.astype(np.float64).T
    found = build_gram(ArrayVectors(X), panel_bytes=300_000, device=torch.device(name))
    assert np.abs(found.values - truth).max() <= 4e-7 * truth.max()
    assert not torch.backends.cuda.matmul.allow_tf32


def test_torch_makes_the_same_products():
    check_device("cpu")


@pytest.mark.gpu
def test_a_cuda_device_makes_the_same_products():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    check_device("cuda")


def test_a_device_that_is_not_there_is_said():
    assert torch_device("cpu") is None
    with pytest.raises(UsageError, match="cuda:N"):
        torch_device("mps")
    with pytest.raises(DeviceError, match="CUDA devices"):
        torch_device("cuda:99")
