"""Varied views in the cache: what is computed, and that an image stays one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_cli import featx
from helpers_photos import folder, tiny

from featx import images
from featx.augment import augmented, generator
from featx.augmentation import Augmentation, Jitter
from featx.embedder import Embedder
from featx.errors import AmbiguousNameError, UnknownNameError, UsageError
from featx.export import export
from featx.extraction import Extraction, extract
from featx.features import load
from featx.manage import verify
from featx.recipe import Recipe
from featx.store import FeatureStore

HOW = Augmentation(hflip=0.5, rotation=30, jitter=Jitter(0.3, 0.3, 0.3, 0.1), crop=24)
OPTIONS = {"backbone": "helpers_photos:tiny", "image_size": 32, "precision": "fp32"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos", 3)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def run(data: Path, cache: Path, **more: Any) -> Extraction:
    [done] = extract(data, cache=cache, **(OPTIONS | more))
    return done


def numbers(done: Extraction) -> tuple[int, int, int]:
    return done.computed, done.derived, done.reused


def test_vectors_are_those_of_the_image_and_of_its_variations(photos: Path, cache: Path) -> None:
    import torch

    done = run(photos, cache, views=3, augment=HOW, dtype="float32", seed=7)
    found = load(cache=cache)
    assert (done.rows, done.views, numbers(done)) == (27, 3, (9, 0, 0))
    assert found.frame["item"].tolist() == [0, 1, 2] * 9
    assert len(set(found.frame["label"][:9])) == 1
    pre, seen = found.recipe.preprocess, []
    for path, digest, view in zip(
        found.manifest.path, found.manifest.digest, found.manifest.item.tolist(), strict=True
    ):
        [image] = images.load((photos / path).read_bytes(), pre)
        rng = generator(7, digest.tobytes(), view)
        seen.append(augmented(image, HOW, rng) if view else image)
    x = torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2) / 255
    x = (x - torch.tensor(pre.mean)[:, None, None]) / torch.tensor(pre.std)[:, None, None]
    with torch.inference_mode():
        expected = torch.flatten(tiny()(x), 1).numpy()  # type: ignore[operator]
    error = np.linalg.norm(found.X - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert error.max() < 1e-4


def test_more_views_compute_what_is_new_and_fewer_nothing(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counting(image: Any, how: Any, rng: Any) -> Any:
        made.append(1)
        return augmented(image, how, rng)

    monkeypatch.setattr("featx.embedding.reading.augmented", counting)
    first = run(photos, cache, views=2, augment=HOW)
    before = load(cache=cache)
    assert numbers(run(photos, cache, views=2, augment=HOW)) == (0, 0, 9)
    assert len(made) == 9
    more = run(photos, cache, views=5, augment=HOW)
    assert (more.store, numbers(more)) == (first.store, (9, 0, 0))
    assert len(made) == 9 + 27
    store = FeatureStore.open(first.store)
    assert store.counts()["done"] == 45
    assert not len(store.index.shadowed())
    after = load(cache=cache)
    np.testing.assert_array_equal(after.X[after.manifest.item < 2], before.X)
    assert numbers(run(photos, cache, views=3, augment=HOW)) == (0, 0, 9)
    assert len(load(cache=cache)) == 27


def test_views_do_not_depend_on_what_else_is_embedded(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "a", views=4, augment=HOW)
    run(photos, tmp_path / "b", views=4, augment=HOW, limit_per_class=1, batch_size=3)
    whole, few = load(cache=tmp_path / "a"), load(cache=tmp_path / "b")
    at = [whole.manifest.path.tolist().index(path) for path in few.manifest.path[::4]]
    rows = (np.array(at)[:, None] + np.arange(4)).ravel()
    np.testing.assert_allclose(whole.X[rows], few.X, rtol=2e-3, atol=1e-3)


def test_augmentation_and_seed_are_the_recipe_and_the_number_is_not(
    photos: Path, cache: Path
) -> None:
    plain = run(photos, cache)
    stores = [
        run(photos, cache, views=2, augment="light"),
        run(photos, cache, views=3, augment="light", seed=0),
        run(photos, cache, views=2, augment="light", seed=1),
        run(photos, cache, views=2, augment=HOW),
    ]
    paths = [done.store for done in stores]
    assert paths[0] == paths[1]
    assert len({plain.store, *paths}) == 4
    assert plain.label.endswith("@32")
    recipe = FeatureStore.open(paths[2]).recipe
    assert recipe.to_json()["preprocess"]["augment"] == {"hflip": 0.5}
    assert recipe.to_json()["preprocess"]["augment_seed"] == 1
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert "augment" not in FeatureStore.open(plain.store).recipe.canonical()
    assert any("augment" in words for words in recipe.differences(load(cache=cache).recipe))


def test_a_data_set_without_views_and_one_with_them_open_in_either_store(
    photos: Path, cache: Path
) -> None:
    plain, varied = run(photos, cache), run(photos, cache, views=3, augment="light")
    of_plain = load("photos", plain.label, cache=cache)
    assert (len(of_plain), of_plain.views) == (9, None)
    assert "item" not in of_plain.frame
    assert load("photos", varied.label, cache=cache).views is not None
    run(photos, cache)
    of_varied = load("photos", varied.label, cache=cache)
    assert (len(of_varied), of_varied.views) == (9, None)
    np.testing.assert_array_equal(of_varied.X, of_plain.X)
    with pytest.raises(UsageError, match="other views of these images"):
        load("photos", [plain.label, varied.label], cache=cache)
    with pytest.raises(AmbiguousNameError, match=r"flatten@32\+views, .*flatten@32"):
        load("photos", "helpers_photos:tiny", cache=cache)


def test_pooled_views_come_from_the_flattened_store_as_far_as_it_goes(
    photos: Path, cache: Path
) -> None:
    options = {"augment": HOW, "layers": ("0",)}
    run(photos, cache, pools=("flatten",), views=2, **options)
    assert numbers(run(photos, cache, pools=("avg",), views=2, **options)) == (0, 9, 0)
    derived = load(cache=cache)
    flat = load(features=derived.label.replace("avg", "flatten"), cache=cache)
    maps = flat.X.reshape(18, *flat.store.map_shape)
    np.testing.assert_allclose(derived.X, maps.mean(axis=(2, 3)), rtol=2e-3, atol=1e-3)
    assert numbers(run(photos, cache, pools=("avg",), views=4, **options)) == (9, 0, 0)
    both = extract(photos, cache=cache, pools=("flatten", "avg"), views=4, **options, **OPTIONS)
    assert [done.rows for done in both] == [36, 36]
    for done in both:
        assert FeatureStore.open(done.store).counts()["done"] == 36
        assert not len(FeatureStore.open(done.store).index.shadowed())


def test_a_bad_image_fails_once_in_every_run(photos: Path, cache: Path) -> None:
    (photos / "cat" / "bad.jpg").write_bytes(b"no image")
    options = {"views": 3, "augment": HOW, "max_failed": "100%"}
    for computed in (9, 0):
        done = run(photos, cache, **options)
        assert (done.computed, done.rows, len(done.failed)) == (computed, 27, 1)
    assert len(run(photos, cache, **options, retry_failed=True).failed) == 1
    assert len(run(photos, cache, **options | {"views": 4}).failed) == 1


def test_copies_of_an_image_have_their_own_rows_and_the_same_views(
    photos: Path, cache: Path
) -> None:
    (photos / "cat" / "copy.jpg").write_bytes((photos / "cat" / "0.jpg").read_bytes())
    done = run(photos, cache, views=2, augment=HOW)
    found = load(cache=cache)
    assert (done.computed, len(found)) == (9, 20)
    assert found.views is not None
    assert found.views.counts.tolist() == [2] * 10


def test_more_views_appended_belong_to_their_image(photos: Path, cache: Path) -> None:
    run(photos, cache, views=2, augment=HOW)
    run(photos, cache, views=3, augment=HOW, append=True)
    views = load(cache=cache).views
    assert views is not None
    assert views.counts.tolist() == [3] * 9
    assert views.words() == "3"
    assert views.rows(np.array([0])).tolist() == [0, 1, 18]


def test_what_looks_after_the_cache_and_takes_out_of_it_works(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    run(photos, cache, views=2, augment=HOW)
    found = verify(cache=cache, sample=3)
    assert found["damages"] == []
    assert found["drift"][0]["min_cosine"] > 0.999
    file = export(load(cache=cache), "csv", tmp_path / "photos.csv")
    table = pd.read_csv(file)
    assert table["item"].tolist() == [0, 1] * 9
    assert Embedder("helpers_photos:tiny", image_size=32, cache=cache).transform(
        [photos / "cat" / "0.jpg"]
    ).shape == (1, 16)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"views": 4}, "nothing that varies them: say how with --augment"),
        ({"augment": "light"}, "say how many views with --views N"),
        ({"views": 0, "augment": "light"}, "views is 0; expected a whole number from 1"),
        ({"views": 2, "augment": Augmentation()}, "changes nothing"),
        ({"views": 2, "augment": "light", "page": "all"}, "leave out one of the two"),
        ({"views": 2, "augment": "light", "channels": "each"}, "leave out one of the two"),
        ({"views": 2, "augment": "cartoons"}, "crop is 200 pixels, .* images of 32 x 32"),
        ({"views": 2, "augment": "cartoon"}, "did you mean 'cartoons'"),
    ],
)
def test_what_does_not_fit_is_refused(
    photos: Path, cache: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=words):
        run(photos, cache, **options)


def test_the_command_line_takes_a_file(photos: Path, cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("hflip = 0.5\ncrop = 24\n", encoding="utf-8")
    words = ["--backbone", "helpers_photos:tiny", "--image-size", "32", "--cache", str(cache)]
    done = featx("extract", str(photos), *words, "--views", "2", "--augment", str(file))
    assert done.exit_code == 0, done.output
    assert "9 images x 2 views x 16\n" in done.output
    refused = featx("extract", str(photos), *words, "--augment", "light")
    assert refused.exit_code == 2
    assert "say how many views with --views N" in " ".join(refused.output.split())
