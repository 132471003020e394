"""Products of float32 blocks, summed in float64, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx import products
from featx.products import add_cross, add_gram, column_blocks, single, unit_gram

RNG = np.random.default_rng(0)
RELU = np.maximum(RNG.normal(size=(50, 9000)) - 1, 0).astype(np.float16)


@pytest.fixture
def inexact(monkeypatch):
    monkeypatch.setattr(products, "EXACT_PRODUCTS", 0)


def truth(X, Y=None):
    X = X.astype(np.float64)
    return X @ (X if Y is None else Y.astype(np.float64)).T


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_small_products_are_exact_to_float64(dtype):
    X = RELU.astype(dtype)
    G = np.zeros((50, 50))
    add_gram(G, X, exact=True)
    assert np.abs(G - truth(X)).max() <= 1e-13 * truth(X).max()
    assert np.array_equal(G, G.T)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_large_products_are_within_a_few_roundings_of_float32(dtype):
    X = RELU.astype(dtype)
    G = np.ones((50, 50))
    add_gram(G, X, exact=False)
    assert np.abs(G - 1 - truth(X)).max() <= 4e-7 * truth(X).max()
    assert np.abs(G - 1 - truth(X)).max() > 0, "nothing was tested if it is exact"
    assert np.array_equal(G, G.T)


def test_products_of_two_sets():
    G = np.zeros((20, 30))
    add_cross(G, RELU[:20], RELU[20:], exact=False)
    assert np.abs(G - truth(RELU[:20], RELU[20:])).max() <= 4e-7 * truth(RELU).max()
    add_cross(G, RELU[:20], -RELU[20:].astype(np.float64), exact=True)
    assert np.abs(G).max() <= 4e-7 * truth(RELU).max()


def test_blocks_cover_every_column_once_in_bounded_memory():
    for n, d in [(1, 1), (10, 100_352), (40_000, 25_088)]:
        blocks = column_blocks(n, d)
        columns = np.concatenate([np.arange(b.start, b.stop) for b in blocks])
        assert np.array_equal(columns, np.arange(d))
        widest = max(b.stop - b.start for b in blocks)
        assert n * widest <= max(products._BLOCK_VALUES, n * products._MIN_COLUMNS)


def test_every_finite_float16_becomes_its_float32():
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].reshape(64, -1)
    found = single(halves)
    assert np.array_equal(found, halves.astype(np.float32))
    assert np.array_equal(np.signbit(found), np.signbit(halves))
    strided = halves[::3, 5:900:7]
    assert np.array_equal(single(strided), strided.astype(np.float32))


@given(st.integers(0, 5), st.integers(0, 5))
def test_any_shape_of_float16_is_taken(n, d):
    X = np.arange(n * d, dtype=np.float16).reshape(n, d)
    assert np.array_equal(single(X), X.astype(np.float32))
    assert single(X).flags.c_contiguous


def test_unit_rows_have_length_one_and_rows_of_zeros_stay():
    X = np.vstack([RELU[:5].astype(float), np.zeros(9000)])
    G = unit_gram(truth(X))
    assert np.diag(G) == pytest.approx([1, 1, 1, 1, 1, 0])
    unit = X[:5] / np.linalg.norm(X[:5], axis=1)[:, None]
    assert np.allclose(G[:5, :5], unit @ unit.T)
