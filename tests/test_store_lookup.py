"""The index of a store answers as a dict of its keys would, whatever the digests are."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.store import DONE, EMPTY, SUPERSEDED, UNDECODABLE, lookup
from featx.store.index import Index
from featx.store.lookup import Lookup

HALVES = [bytes(8), bytes([0] * 7 + [1]), bytes([1] + [0] * 7), b"\xff" * 8, b"aabbccdd"]
DIGESTS = st.tuples(st.sampled_from(HALVES), st.sampled_from(HALVES)).map(b"".join)
KEYS = st.tuples(DIGESTS, st.sampled_from([0, 1, 2, 255, 256, 65535]))
ROWS = st.lists(st.tuples(KEYS, st.sampled_from([EMPTY, DONE, UNDECODABLE, SUPERSEDED])))


def arrays(keys) -> tuple[np.ndarray, np.ndarray]:
    digest = np.frombuffer(b"".join(digest for digest, _ in keys), np.uint8).reshape(-1, 16)
    return digest, np.array([item for _, item in keys], np.uint16)


def index_of(rows) -> Index:
    return Index(np.array([state for _, state in rows], np.uint8), *arrays([k for k, _ in rows]))


def row_of(rows) -> dict:
    """The definition: the last live row of a key wins."""
    return {key: i for i, (key, state) in enumerate(rows) if state in (DONE, UNDECODABLE)}


@given(ROWS, st.lists(KEYS))
def test_found_is_the_newest_live_row_of_each_key(rows, asked):
    index, truth = index_of(rows), row_of(rows)
    asked = asked + [key for key, _ in rows]
    expected = [truth.get(key, -1) for key in asked]
    states = [EMPTY if row < 0 else rows[row][1] for row in expected]
    assert index.find(*arrays(asked)).tolist() == expected
    assert index.states(*arrays(asked)).tolist() == states
    assert [index.lookup.row(*key) for key in asked] == expected
    assert [index.state_of(*key) for key in asked] == states
    for digest in {digest for digest, _ in asked}:
        assert index.states_of(digest, 3) == [index.state_of(digest, i) for i in range(3)]


@given(ROWS)
def test_the_lowest_undecodable_item_of_each_image(rows):
    bad = [key for key, row in row_of(rows).items() if rows[row][1] == UNDECODABLE]
    truth = {digest: min(item for d, item in bad if d == digest) for digest, _ in bad}
    assert index_of(rows).first_undecodable == truth


@given(st.lists(KEYS, min_size=1, max_size=40), st.integers(1, 7))
def test_keys_are_sought_in_parts(keys, at_once):
    truth = {key: i for i, key in enumerate(keys)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "_AT_ONCE", at_once)
        found = Lookup.of(*arrays(keys), np.arange(len(keys))).find(*arrays(keys))
    assert found.tolist() == [truth[key] for key in keys]


@pytest.mark.parametrize("n", [1, 2, 1023, 1024, 1025, 100_000])
def test_random_digests_and_those_that_are_not_there(n):
    rng = np.random.default_rng(n)
    digest = rng.integers(0, 256, (2 * n, 16), dtype=np.uint8)
    item = rng.integers(0, 3, 2 * n).astype(np.uint16)
    found = Lookup.of(digest[:n], item[:n], np.arange(n))
    order = rng.permutation(2 * n)
    assert (found.find(digest[order], item[order]) == np.where(order < n, order, -1)).all()
    assert (found.find(digest[:n], item[:n] + 1) == -1).all()
    assert found.row(digest[0].tobytes(), int(item[0])) == 0
    assert found.row(digest[n].tobytes(), int(item[n])) == -1


@pytest.mark.parametrize("n_items", [16, 64, 65536])
def test_items_of_one_image_do_not_crowd(n_items):
    n = 2**17 // n_items
    digest = np.repeat(np.random.default_rng(0).integers(0, 256, (n, 16), np.uint8), n_items, 0)
    item = np.tile(np.arange(n_items).astype(np.uint16), n)
    found = Lookup.of(digest, item, np.arange(len(item)))
    assert not found.crowded
    assert (found.find(digest, item) == np.arange(len(item))).all()


def test_digests_that_agree_in_their_first_half_take_no_longer_than_a_dict():
    digest = np.zeros((50_000, 16), np.uint8)
    digest[:, 8:] = np.random.default_rng(0).integers(0, 256, (50_000, 8), dtype=np.uint8)
    item = np.zeros(len(digest), np.uint16)
    start = time.perf_counter()
    found = Lookup.of(digest, item, np.arange(len(digest)))
    assert (found.find(digest, item) == np.arange(len(digest))).all()
    assert time.perf_counter() - start < 10
    assert len(found.crowded) == len(digest)


def test_rows_that_newer_ones_stand_before():
    key, other = (b"a" * 16, 0), (b"a" * 16, 1)
    index = index_of([(key, DONE), (other, DONE), (key, UNDECODABLE), (key, SUPERSEDED)])
    assert index.shadowed().tolist() == [0]
    assert index.find(*arrays([key, other])).tolist() == [2, 1]
