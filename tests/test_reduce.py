"""Few coordinates hold every inner product, whatever the features look like."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler, normalize

from featx import reduce
from featx.errors import UsageError
from featx.reduce import column_blocks, combine, factor, gram, scaled_gram, unit_gram

RNG = np.random.default_rng(0)
CASES = {
    "wide": RNG.normal(size=(30, 200)),
    "tall": RNG.normal(size=(60, 20)),
    "relu": np.maximum(RNG.normal(size=(40, 300)) - 1, 0),
    "duplicates": np.repeat(RNG.normal(size=(12, 100)), 3, axis=0),
    "constant columns": np.hstack([RNG.normal(size=(25, 40)), np.full((25, 30), 7.0)]),
    "a row of zeros": np.vstack([np.zeros((1, 50)), RNG.normal(size=(20, 50))]),
    "one row": RNG.normal(size=(1, 5)),
}


@pytest.fixture(params=CASES, ids=str)
def X(request: pytest.FixtureRequest) -> np.ndarray:
    return CASES[request.param].astype(np.float32)


def test_the_gram_matrix_is_exact_in_float64_whatever_the_block(X, monkeypatch):
    truth = X.astype(np.float64) @ X.astype(np.float64).T
    assert np.abs(gram(X) - truth).max() <= 1e-13 * truth.max()
    monkeypatch.setattr(reduce, "BLOCK_BYTES", 1000)
    assert np.abs(gram(X) - truth).max() <= 1e-13 * truth.max()


def test_float16_features_give_the_gram_matrix_of_their_values():
    half = CASES["relu"].astype(np.float16)
    assert np.array_equal(gram(half), gram(half.astype(np.float32)))


def test_coordinates_give_the_inner_products_back(X):
    G = gram(X)
    made = factor(G)
    assert made.Z.shape[1] == np.linalg.matrix_rank(X.astype(np.float64))
    assert np.abs(made.Z @ made.Z.T - G).max() <= 1e-10 * G.max()


def test_new_rows_are_projected_and_weights_are_lifted(X):
    made = factor(gram(X))
    V = RNG.normal(size=(7, X.shape[1])).astype(np.float32)
    wide = V.astype(np.float64)
    T = made.project(X.astype(np.float64) @ wide.T)
    weights = RNG.normal(size=(3, made.Z.shape[1]))
    c = made.lift(weights)
    lifted = combine(c, X, made.pivots)
    assert np.allclose(wide @ lifted.T, T @ weights.T, atol=1e-7 * np.abs(T).max())
    assert np.allclose(X.astype(np.float64) @ lifted.T, made.Z @ weights.T, atol=1e-6)
    assert np.allclose((lifted**2).sum(axis=1), (weights**2).sum(axis=1))


def test_scaling_is_that_of_scikit_learn_on_the_training_rows(monkeypatch):
    monkeypatch.setattr(reduce, "BLOCK_BYTES", 5000)
    X = CASES["constant columns"].astype(np.float32)
    rows, train = np.array([3, 1, 20, 24, 7]), np.arange(15)
    scaled = StandardScaler().fit(X[train].astype(np.float64)).transform(X[rows].astype(np.float64))
    assert np.allclose(scaled_gram(X, rows, train), scaled @ scaled.T, atol=1e-10)


def test_unit_rows_are_those_of_scikit_learn():
    X = CASES["a row of zeros"]
    unit = normalize(X)
    assert np.allclose(unit_gram(gram(X)), unit @ unit.T)


def test_blocks_cover_every_column_once():
    blocks = column_blocks(10_000, 1001)
    assert [b.stop - b.start for b in blocks][:-1] == [419] * (len(blocks) - 1)
    assert np.array_equal(np.concatenate([np.arange(1001)[b] for b in blocks]), np.arange(1001))


@pytest.mark.parametrize(("value", "words"), [(0.0, "nothing to learn"), (np.nan, "not finite")])
def test_rows_that_hold_nothing_to_learn(value, words):
    with pytest.raises(UsageError, match=words):
        factor(gram(np.full((4, 6), value, dtype=np.float32)))
