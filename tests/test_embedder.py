"""The transformer in scikit-learn's own machinery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_photos import folder
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featx.embedder import Embedder
from featx.errors import ImageError
from featx.extraction import extract
from featx.features import load


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos")


def test_it_is_a_cached_step_of_a_grid_search(photos: Path, tmp_path: Path) -> None:
    paths = sorted(str(p) for p in photos.rglob("*.jpg"))
    labels = [Path(p).parent.name for p in paths]
    embedder = Embedder("helpers_photos:tiny", image_size=32, cache=tmp_path / "c")
    search = GridSearchCV(
        make_pipeline(embedder, LinearSVC(random_state=0)),
        {"linearsvc__C": [0.01, 1.0]},
        cv=3,
        n_jobs=2,
        error_score="raise",
    )
    search.fit(paths, labels)
    assert search.best_score_ > 0.8
    (done,) = extract(photos, backbone="helpers_photos:tiny", image_size=32, cache=tmp_path / "c")
    assert done.computed == 0
    found = load(cache=tmp_path / "c")
    by_path = dict(zip(found.frame["path"], found.X, strict=True))
    expected = np.stack([by_path[f"{Path(p).parent.name}/{Path(p).name}"] for p in paths])
    np.testing.assert_array_equal(clone(embedder).fit(paths).transform(paths), expected)


def test_without_writing_the_vectors_are_the_same(photos: Path, tmp_path: Path) -> None:
    paths = sorted(photos.rglob("*.jpg"))
    options = {"image_size": 32, "cache": tmp_path / "c"}
    dry = Embedder("helpers_photos:tiny", write=False, **options).fit_transform(paths)  # type: ignore[arg-type]
    assert not list(tmp_path.glob("c/*.zarr"))
    wet = Embedder("helpers_photos:tiny", **options).fit_transform(paths)  # type: ignore[arg-type]
    np.testing.assert_array_equal(dry, wet)
    mixed = Embedder("helpers_photos:tiny", write=False, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(mixed.transform(paths[::-1]), wet[::-1])


def test_a_bad_image_cannot_be_left_out(photos: Path, tmp_path: Path) -> None:
    bad = photos / "bad.jpg"
    bad.write_bytes(b"nothing")
    embedder = Embedder("helpers_photos:tiny", image_size=32, cache=tmp_path / "c")
    for _ in range(2):
        with pytest.raises(ImageError, match=r"bad\.jpg"):
            embedder.transform([bad, photos / "cat" / "0.jpg"])
    with pytest.raises(ImageError, match=r"gone\.jpg"):
        embedder.transform([str(photos / "gone.jpg"), str(photos / "cat" / "0.jpg")])
