"""What is known of entries in columns is what was known of them one by one."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.embedding import sinks as sinks_module
from featx.embedding.outcomes import Outcomes, settle
from featx.embedding.reading import Taken
from featx.embedding.sinks import are_bad, expanded, has_item, has_items, have_items, is_bad
from featx.recipe import Preprocess
from featx.sources import Entry
from featx.store import DONE, EMPTY, UNDECODABLE
from featx.store.index import Index
from featx.tokens import Recalled


def digest(i: int) -> bytes:
    return bytes([i]) * 16


def digests(numbers) -> np.ndarray:
    return np.frombuffer(b"".join(map(digest, numbers)), np.uint8).reshape(-1, 16)


@dataclass(frozen=True)
class Sink:
    """As much of one as these functions ask for."""

    store: SimpleNamespace | None
    retry: bool = False


IMAGES = st.integers(0, 3)
ROWS = st.lists(st.tuples(IMAGES, st.integers(0, 4), st.sampled_from([DONE, DONE, UNDECODABLE])))


def index_of(rows) -> Index:
    item = np.array([item for _, item, _ in rows], np.uint16)
    state = np.array([state for *_, state in rows], np.uint8)
    return Index(state, digests([image for image, *_ in rows]), item)


SINKS = st.builds(
    lambda rows, retry: Sink(
        None if rows is None else SimpleNamespace(index=index_of(rows)), retry
    ),
    st.none() | ROWS,
    st.booleans(),
)


def states(sink: Sink, image: int, items: int) -> list[int]:
    return [sink.store.index.state_of(digest(image), item) for item in range(items)]


@given(SINKS, st.lists(st.tuples(IMAGES, st.integers(0, 6))), st.integers(1, 5))
def test_many_images_are_asked_for_as_each_one_is(sink, asked, at_once):
    images, items = [i for i, _ in asked], np.array([n for _, n in asked], dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sinks_module, "_AT_ONCE", at_once)
        have = have_items(sink, digests(images), items)
    assert have.tolist() == [has_items(sink, digest(i), n) for i, n in asked]
    assert are_bad(sink, digests(images)).tolist() == [is_bad(sink, digest(i)) for i in images]


@given(SINKS, IMAGES, st.integers(0, 5))
def test_an_item_is_there_as_its_state_and_those_before_it_say(sink, image, item):
    if sink.store is None:
        assert not has_item(sink, digest(image), item)
        return
    before = states(sink, image, item + 1)
    expected = not sink.retry if UNDECODABLE in before else before[item] != EMPTY
    assert has_item(sink, digest(image), item) == expected


@given(st.lists(st.integers(0, 4)))
def test_rows_of_images(items):
    image, item = expanded(np.array(items, dtype=np.int64))
    pairs = [(i, j) for i, n in enumerate(items) for j in range(n)]
    assert list(zip(image.tolist(), item.tolist(), strict=True)) == pairs


ENTRIES = st.lists(st.tuples(st.none() | IMAGES, st.integers(1, 3), st.booleans()))


@given(ENTRIES, st.lists(SINKS, min_size=1, max_size=2), st.integers(1, 3), st.booleans())
def test_settled_are_the_entries_that_every_sink_has(rows, sinks, views, parts):
    pre = Preprocess(page="all") if parts else Preprocess()
    views = 1 if parts else views
    entries = [Entry(str(i), None, "gone" if bad else None) for i, (*_, bad) in enumerate(rows)]
    recalled = Recalled.nothing(len(rows))
    for i, (image, items, _) in enumerate(rows):
        if image is not None:
            recalled.digest[i], recalled.items[i] = digests([image])[0], items
    outcomes = settle(entries, recalled, pre, sinks, views)
    for i, (image, counted, bad) in enumerate(rows):
        items = counted if parts else views
        if bad:
            assert (outcomes.items[i], outcomes.failures[i]) == (1, "gone")
        elif image is None or not all(has_items(s, digest(image), items) for s in sinks):
            assert outcomes.items[i] == 0
            assert i in outcomes.todo
        else:
            undecodable = any(is_bad(sink, digest(image)) for sink in sinks)
            assert outcomes.items[i] == (1 if undecodable and not parts else items)
            assert outcomes.digest[i].tobytes() == digest(image)
    assert set(outcomes.failures) == {i for i, (*_, bad) in enumerate(rows) if bad}


def test_twins_become_what_the_first_became():
    outcomes = Outcomes(np.zeros((6, 16), np.uint8), np.zeros(6, np.int64))
    for one in (
        Taken(0, digest(1), None),
        Taken(1, digest(1), 3),
        Taken(2, digest(2), None),
        Taken(3, digest(2), 1, reason="truncated"),
        Taken(4, failure="gone"),
    ):
        outcomes.put(one)
    assert outcomes.todo == [5]
    assert outcomes.known(range(6)) == {1: (digest(1), 3), 3: (digest(2), 1)}
    assert outcomes.settle_twins() == [0, 2]
    assert outcomes.items.tolist() == [3, 3, 1, 1, 1, 0]
    assert outcomes.reasons == {2: "truncated", 3: "truncated"}
    assert outcomes.known([0, 4]) == {0: (digest(1), 3)}
    assert outcomes.settle_twins() == []
