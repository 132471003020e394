"""What an extraction took is kept with what it computed, and found again for any view of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_photos import CLASSES, folder, photo
from helpers_store import digest, fill, keys, small_blocks, vector, writer

import featx
from featx._types import Silent
from featx.costs import COST, PassCost, merged
from featx.extraction import Extraction
from featx.features import Features, extract_seconds
from featx.manage import info
from featx.store import FeatureStore, compact

COLOR = CLASSES["cat"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos", 3)


def run(photos: Path, cache: Path, **options: Any) -> list[Extraction]:
    asked = {"backbone": "helpers_photos:tiny", "pools": ["avg"], "image_size": 40} | options
    return featx.extract(str(photos), cache=cache, name="photos", **asked)


def costs(path: Path) -> list[PassCost | None]:
    return [PassCost.of(run) for run in FeatureStore.open(path).runs]


def known(path: Path) -> list[PassCost]:
    found = costs(path)
    assert None not in found
    return [cost for cost in found if cost is not None]


def view(cache: Path, *done: Extraction) -> Features:
    return featx.load("photos", [one.store.name for one in done], cache=cache)


def without_cost(path: Path) -> None:
    """Make a store as one from before there were costs."""
    file = path / "zarr.json"
    meta = json.loads(file.read_text(encoding="utf-8"))
    for one in meta["attributes"]["featx"]["runs"]:
        del one[COST]
    file.write_text(json.dumps(meta), encoding="utf-8")


def test_a_pass_is_kept_with_what_it_computed(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    [done] = run(photos, cache)
    [first] = known(done.store)
    assert first.rows == 9
    assert 0 < first.seconds <= done.seconds
    assert first.seconds > 0.5 * done.seconds
    run(photos, cache)
    assert known(done.store) == [first]  # nothing was computed
    photo(photos / "cat" / "new.jpg", COLOR, 999)
    run(photos, cache)
    [again, second] = known(done.store)
    assert (again, second.rows) == (first, 1)
    assert second.name != first.name
    whole = view(cache, done)
    assert extract_seconds(whole) == pytest.approx(first.seconds + second.seconds)
    old = whole.take(np.array(["new" not in path for path in whole.manifest.path]))
    assert extract_seconds(old) == pytest.approx(first.seconds)
    assert extract_seconds(old.take(np.arange(3))) == pytest.approx(first.seconds / 3)
    rows = info(done.label, cache)["runs"]
    assert [one["seconds_a_row"] for one in rows] == [first.row_s, second.row_s]


def test_one_pass_for_several_stores_counts_once(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    done = run(photos, cache, layers=["1", "3"], pools=["avg", "max"])
    assert len({known(one.store)[0] for one in done}) == 1
    [other] = run(photos, cache, image_size=48)
    once, more = known(done[0].store)[0].seconds, known(other.store)[0].seconds
    assert extract_seconds(view(cache, *done)) == pytest.approx(once)
    assert extract_seconds(view(cache, *done, other)) == pytest.approx(once + more)


def test_an_image_that_occurs_twice_was_computed_once(photos: Path, tmp_path: Path) -> None:
    (photos / "cat" / "copy.jpg").write_bytes((photos / "cat" / "0.jpg").read_bytes())
    [done] = run(photos, tmp_path / "cache")
    [cost] = known(done.store)
    assert (done.rows, cost.rows) == (10, 9)
    assert extract_seconds(view(tmp_path / "cache", done)) == pytest.approx(cost.seconds)


def test_views_are_vectors(photos: Path, tmp_path: Path) -> None:
    [done] = run(photos, tmp_path / "cache", views=3, augment="light")
    [cost] = known(done.store)
    assert cost.rows == 27
    assert extract_seconds(view(tmp_path / "cache", done)) == pytest.approx(cost.seconds)


def test_what_was_pooled_took_as_long_as_what_it_was_pooled_from(
    photos: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    [flat] = run(photos, cache, pools=["flatten"])
    [pooled] = run(photos, cache)
    assert pooled.derived == 9
    both = known(flat.store)[0].seconds + known(pooled.store)[0].seconds
    assert extract_seconds(view(cache, pooled)) == pytest.approx(both)
    assert extract_seconds(view(cache, pooled, flat)) == pytest.approx(both)
    shutil.rmtree(flat.store)
    assert extract_seconds(view(cache, pooled)) is None


def test_what_is_not_recorded_is_not_known(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    [done] = run(photos, cache)
    without_cost(done.store)
    assert extract_seconds(view(cache, done)) is None
    photo(photos / "cat" / "new.jpg", COLOR, 999)
    run(photos, cache)
    assert [cost is None for cost in costs(done.store)] == [True, False]
    whole = view(cache, done)
    assert extract_seconds(whole) is None
    new = whole.take(np.array(["new" in path for path in whole.manifest.path]))
    assert extract_seconds(new) == pytest.approx(known_last(done.store))
    assert info(done.label, cache)["runs"][0]["seconds_a_row"] is None


def known_last(path: Path) -> float:
    cost = costs(path)[-1]
    assert cost is not None
    return cost.seconds


class Stopping(Silent):
    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, n: int = 1) -> None:
        self.left -= n
        if self.left < 0:
            raise KeyboardInterrupt


def test_a_pass_that_was_interrupted_is_known_too(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        run(photos, cache, batch_size=1, progress=Stopping(6))
    [done] = run(photos, cache)
    first, second = known(done.store)
    assert first.rows > 0
    assert first.rows + second.rows == 9
    assert extract_seconds(view(cache, done)) == pytest.approx(first.seconds + second.seconds)


def test_a_fit_says_what_its_images_took(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    [done] = run(photos, cache)
    options: dict[str, Any] = {"cv": "3", "search": False, "n_jobs": 1, "out": None}
    record = featx.fit(view(cache, done), "ridge", **options).record
    assert record["extract_s"] == pytest.approx(known(done.store)[0].seconds)
    without_cost(done.store)
    assert featx.fit(view(cache, done), "ridge", **options).record["extract_s"] is None


A, B = PassCost("a", 10, 5.0), PassCost("b", 4, 8.0)


def test_rows_of_several_passes_are_put_together() -> None:
    assert merged([(A, 4), (A, 2)]) == PassCost("a", 6, 3.0)
    both = merged([(A, 4), (B, 2)])
    assert both == merged([(B, 2), (A, 4)])
    assert both is not None
    assert (both.rows, both.seconds) == (6, 6.0)
    assert both.name not in "ab"
    assert merged([(A, 4), (None, 1)]) is None
    assert merged([(A, 4), (None, 0)]) == PassCost("a", 4, 2.0)
    assert merged([]) is None


def test_a_compaction_keeps_what_rows_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch)
    for start in range(0, 6, 2):
        with writer(tmp_path) as w:
            for i in range(start, start + 2):
                w.append(digest(i), 0, vector(i))
            w.record_cost(PassCost(f"{start}", 2, 1.0 + start))
    with writer(tmp_path) as w:
        w.append_failure(digest(100), 0, "reason")
    compact(tmp_path, w.store.path, Silent())
    store = FeatureStore.open(w.store.path)
    cost = PassCost.of(store.runs[-1])
    assert cost is not None
    assert (cost.rows, cost.seconds) == (6, pytest.approx(9.0))
    assert (store.rows(*keys(range(6))) >= store.runs[-1]["blocks"][0][0] * 8).all()


def test_a_compaction_of_unknown_rows_knows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch)
    for start in range(0, 6, 2):
        store = fill(tmp_path, range(start, start + 2))
    compact(tmp_path, store.path, Silent())
    assert COST not in FeatureStore.open(store.path).runs[-1]


def test_a_writer_without_vectors_records_nothing(tmp_path: Path) -> None:
    with writer(tmp_path) as w:
        w.record_cost(A)
    assert FeatureStore.open(w.store.path).runs == []
