"""Reading features back: names, views, columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_photos import folder

from featx import datasets
from featx.catalog import cache_dir
from featx.errors import AmbiguousNameError, NotFoundError, TargetError, UnknownNameError
from featx.extraction import extract
from featx.features import as_numbers, load
from featx.store import FeatureStore


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("load")
    photos = folder(root / "photos", per_class=3)
    (photos / "t.csv").write_text(
        "path,age,who,<b>,split\n"
        + "".join(
            f"cat/{i}.jpg,{20 + i},p{i % 2},x,{s}\n"
            for i, s in enumerate(["train", "test", "test"])
        ),
        encoding="utf-8",
    )
    for data, size in ((photos / "t.csv", 64), (photos, 32), (photos, 64)):
        extract(data, backbone="helpers_photos:tiny", image_size=size, cache=root / "c")
    return root / "c"


def test_names(cache: Path) -> None:
    full = "helpers_photos:tiny:output:flatten@32"
    assert load(features=full, cache=cache).label == full
    with pytest.raises(AmbiguousNameError, match=r"@32.*@64|@64.*@32"):
        load(features="helpers_photos:tiny", cache=cache)
    with pytest.raises(NotFoundError) as error:
        load(features="vgg16", cache=cache)
    assert str(cache.absolute()) in str(error.value)
    by_folder = next(p.name for p in cache.glob("*.zarr"))
    assert load(features=by_folder, cache=cache).store.path.name == by_folder
    by_hash = f"helpers_photos:tiny#{load(features=full, cache=cache).recipe.hash[:6]}"
    assert load(features=by_hash, cache=cache).label == full


def test_the_last_extraction_is_said(cache: Path) -> None:
    said: list[str] = []
    assert load(cache=cache, say=said.append).label.endswith("@64")
    assert "photos" in said[0]
    assert "@64" in said[1]


def test_columns(cache: Path) -> None:
    found = load(
        "t", "helpers_photos:tiny:output:flatten@64", target="age", group="who", cache=cache
    )
    assert found.y.tolist() == [20, 21, 22]
    assert found.groups is not None
    assert found.groups.tolist() == ["p0", "p1", "p0"]
    assert found.frame["age"].tolist() == ["20", "21", "22"]
    train, test = found.split()
    assert (train.tolist(), test.tolist()) == ([0], [1, 2])
    with pytest.raises(TargetError, match="expected 'old'"):
        found.split(train="old")
    with pytest.raises(UnknownNameError, match="'age'"):
        found.column("agee")
    with pytest.raises(TargetError, match="columns: path, age"):
        _ = load("t", "helpers_photos:tiny:output:flatten@64", cache=cache).y
    with pytest.raises(UnknownNameError):
        load("t", "helpers_photos:tiny:output:flatten@64", target="nope", cache=cache)


def test_views(cache: Path) -> None:
    found = load("photos", "helpers_photos:tiny:output:flatten@64", cache=cache)
    assert found.X.dtype == np.float32
    assert found.raw.dtype == np.float16
    assert found.X.shape == (9, found.store.dim)
    assert found.X is found.X
    back = found.take(np.arange(9)[::-1])
    np.testing.assert_array_equal(back.X, found.X[::-1])
    assert back.fingerprint != found.fingerprint
    assert found.groups is None
    assert found.provenance["request"]["name"] == "helpers_photos:tiny"


def test_reprs_show_names_as_text(cache: Path) -> None:
    found = load("t", "helpers_photos:tiny:output:flatten@64", cache=cache)
    assert repr(found).startswith("<Features t: 3 x ")
    assert "&lt;b&gt;" in found._repr_html_()
    assert "<b>" not in found._repr_html_()


def test_a_view_of_images_never_embedded_says_how_many(cache: Path) -> None:
    manifest = datasets.load(cache, "photos")
    strange = manifest.digest.copy()
    strange[:2] ^= 255
    from dataclasses import replace

    datasets.save(cache, replace(manifest, name="strange", digest=strange))
    with pytest.raises(NotFoundError, match="2 of the 9 images"):
        load("strange", "helpers_photos:tiny:output:flatten@64", cache=cache)


def test_without_a_name_the_store_is_one_that_holds_the_images(cache: Path, tmp_path: Path) -> None:
    said: list[str] = []
    datasets.save(tmp_path, datasets.load(cache, "t"))
    datasets.remember(tmp_path, datasets.Last("photos", ("gone.zarr",)))
    with pytest.raises(NotFoundError, match="holds the images of t;"):
        load("t", cache=tmp_path)
    small, large = sorted(cache.glob("*.zarr"), key=lambda p: FeatureStore.open(p).dim)
    (tmp_path / large.name).symlink_to(large)
    assert load("t", cache=tmp_path, say=said.append).label.endswith("@64")
    assert "the only ones of its images" in said[0]
    (tmp_path / small.name).symlink_to(small)
    with pytest.raises(AmbiguousNameError, match="2 stores"):
        load("t", cache=tmp_path)
    datasets.remember(tmp_path, datasets.Last("t", (small.name,)))
    assert load(cache=tmp_path).label.endswith("@32")


def test_where_the_last_extraction_made_several_all_stores_are_named(
    cache: Path, tmp_path: Path
) -> None:
    datasets.save(tmp_path, datasets.load(cache, "t"))
    paths = sorted(cache.glob("*.zarr"))
    copies = [tmp_path / f"copy-{path.name}" for path in paths]
    for path, copy in zip(paths, copies, strict=True):
        copy.symlink_to(path)
        (tmp_path / path.name).symlink_to(path)
    datasets.remember(tmp_path, datasets.Last("t", tuple(path.name for path in paths)))
    with pytest.raises(AmbiguousNameError, match="4 stores"):
        load("t", cache=tmp_path)


def test_numbers() -> None:
    assert as_numbers(np.array(["1", "2"], object)).dtype == np.int64
    assert as_numbers(np.array(["1.5", None], object)).dtype == np.float64
    assert as_numbers(np.array(["1", "x"], object)).tolist() == ["1", "x"]
    assert as_numbers(np.array(["2020_01", "20200_1"], object)).tolist() == ["2020_01", "20200_1"]
    assert as_numbers(np.array(["12345678901234567890"], object)).dtype == np.float64


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEATX_CACHE", raising=False)
    assert cache_dir() == Path("cache")
    monkeypatch.setenv("FEATX_CACHE", "/elsewhere")
    assert cache_dir() == Path("/elsewhere")
    assert cache_dir("here") == Path("here")
