"""Twins: near-identical rows are found in any feature space, and others are not."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from featx import twins
from featx._types import Array
from featx.errors import UsageError
from featx.twins import Twins, find_twins, gram_strips, row_strips


def blocks(X: Array, step: int) -> Callable[[], Iterator[Array]]:
    return lambda: (X[a : a + step] for a in range(0, len(X), step))


def search(X: Array, threshold: float | None = None) -> Twins:
    return find_twins(gram_strips(X @ X.T), len(X), threshold)


def pairs(found: Twins) -> set[tuple[int, int]]:
    return set(zip(found.i.tolist(), found.j.tolist(), strict=True))


def test_cosines_of_a_gram_matrix_are_taken_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(9, 4))
    X[3] = 0
    monkeypatch.setattr(twins, "_STRIP_VALUES", 20)
    strips = list(gram_strips(X @ X.T))
    assert [len(strip) for strip in strips] == [2, 2, 2, 2, 1]
    np.testing.assert_allclose(np.vstack(strips), normalize(X) @ normalize(X).T, atol=1e-12)


@pytest.mark.parametrize("step", [1, 4, 9, 50])
def test_rows_in_blocks_give_the_same_cosines(step: int) -> None:
    X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    X[3] = 0
    strips = list(row_strips(blocks(X, step), 9))
    assert max(map(len, strips)) == min(step, 9)
    # A product of 4 float32 values is off by some 1e-7.
    np.testing.assert_allclose(np.vstack(strips), normalize(X) @ normalize(X).T, atol=1e-6)


def test_the_rule_is_what_it_says() -> None:
    X = normalize(load_digits().data[:500])
    X = np.vstack([X, normalize(X[:7] + 0.002 * np.random.default_rng(0).normal(size=(7, 64)))])
    n = len(X)
    d, _ = NearestNeighbors(n_neighbors=2 * twins.K + 1).fit(X).kneighbors(X)
    D = d[:, twins.K]
    m = np.log(2) / np.median(np.log(d[:, 2 * twins.K] / D))
    q = min(0.5**0.5, (2 * twins.CHANCE_PAIRS / (n * twins.K)) ** (1 / m))
    every = np.sqrt(np.maximum(2 - 2 * X @ X.T, 0))
    close = np.triu(every <= q * np.minimum(D[:, None], D), 1)
    assert pairs(search(X)) == set(zip(*(a.tolist() for a in np.nonzero(close)), strict=True))
    assert pairs(search(X)) >= {(i, 500 + i) for i in range(7)}


@pytest.mark.parametrize("offset", [0.0, 3.0])
@pytest.mark.parametrize("d", [5, 20, 300])
def test_copies_are_found_and_nothing_else(d: int, offset: float) -> None:
    rng = np.random.default_rng(d)
    X = rng.normal(size=(600, d)) / np.sqrt(d) + offset / np.sqrt(d)
    X[-20:] = X[:20] + 0.003 * rng.normal(size=(20, d)) / np.sqrt(d)
    found, copies = pairs(search(X)), {(i, 580 + i) for i in range(20)}
    assert found >= copies
    assert len(found - copies) <= 1  # by chance, in 1 of 20 sets


@pytest.mark.parametrize("d", [5, 10, 50])
def test_chance_is_kept_where_rows_are_even(d: int) -> None:
    # 20 sets at a chance of 0.05 each: more than 5 pairs in all have a chance below 0.001.
    rng = np.random.default_rng(d)
    assert sum(len(search(rng.normal(size=(200, d)))) for _ in range(20)) <= 5


@pytest.mark.parametrize("m", [2, 6])
def test_the_share_knows_the_dimension(m: int) -> None:
    # Even rows on the sphere in m + 1 dimensions. The estimate's spread over 2,000 rows is some
    # 3 %, and neighbourhoods of 20 are curved: 10 %.
    X = normalize(np.random.default_rng(m).normal(size=(2000, m + 1)))
    d, _ = NearestNeighbors(n_neighbors=21).fit(X).kneighbors(X)
    q = twins.share(d[:, 1:])
    found = np.log(2 * twins.CHANCE_PAIRS / (2000 * twins.K)) / np.log(q)
    assert found == pytest.approx(m, rel=0.1)


def test_a_twin_is_closer_than_half_the_squared_distance_of_neighbours() -> None:
    # Many dimensions: nothing is near by chance, and every distance is 1.41 to some per cent.
    rng = np.random.default_rng(0)
    X = normalize(rng.normal(size=(100, 5000)))
    X[90] = normalize([0.8 * X[0] + 0.6 * X[90]])[0]  # squared distance 0.40
    X[91] = normalize([0.4 * X[1] + 0.9 * X[91]])[0]  # squared distance 1.19, above 2 / 2
    assert pairs(search(X)) == {(0, 90)}


def test_many_copies_of_one_row_are_pairs_each() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 40))
    X[:5] = X[0] + 0.01 * rng.normal(size=(5, 40))
    assert pairs(search(X)) == {(i, j) for i in range(5) for j in range(i + 1, 5)}


def test_every_row_may_have_a_twin() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 40))
    found = search(np.vstack([X, X + 0.05 * rng.normal(size=X.shape)]))
    assert pairs(found) == {(i, 100 + i) for i in range(100)}


@pytest.mark.parametrize("n", [2, 5, 39])
def test_few_rows_show_only_the_same_features(n: int) -> None:
    X = np.random.default_rng(n).normal(size=(n, 3))
    X[-1] = X[0]
    found = search(X)
    assert pairs(found) == {(0, n - 1)}
    assert "fewer than 40 rows" in found.rule
    assert found.cosine == pytest.approx([1.0])


@pytest.mark.parametrize("n", [0, 1])
def test_a_single_row_has_no_twin(n: int) -> None:
    assert len(search(np.ones((n, 3)))) == 0


def test_rows_that_are_all_the_same_do_not_break_the_rule() -> None:
    found = search(np.ones((50, 3), dtype=np.float32))
    assert set(found.i) | set(found.j) == set(range(50))


def test_rows_of_zeros_are_no_twins() -> None:
    X = np.random.default_rng(0).normal(size=(60, 8))
    X[:2] = 0
    assert (0, 1) not in pairs(search(X))


def test_a_threshold_takes_every_pair_above_it() -> None:
    X = normalize(load_digits().data[:300])
    found = search(X, 0.95)
    C = X @ X.T
    i, j = np.nonzero(np.triu(C >= 0.95 - 2e-6, 1))
    assert len(i) > 100
    assert pairs(found) == set(zip(i.tolist(), j.tolist(), strict=True))
    np.testing.assert_allclose(found.cosine, C[found.i, found.j], atol=1e-12)
    assert (np.diff(found.cosine) <= 0).all()
    assert found.rule == "a cosine of 0.95 or more"


def test_a_threshold_of_one_finds_the_same_features() -> None:
    X = np.random.default_rng(0).normal(size=(30, 1000)).astype(np.float32)
    X[5] = 3 * X[9]
    assert pairs(search(X, 1.0)) == {(5, 9)}
    assert len(search(X[:5], 1.0)) == 0


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.5])
def test_a_threshold_that_is_no_cosine_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match=r"expected a number in \(0, 1\]"):
        search(np.eye(3), threshold)


def test_a_threshold_that_takes_everything_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "MAX_PAIRS", 50)
    with pytest.raises(UsageError, match="more than 50 pairs"):
        search(np.ones((20, 2)), 0.5)


def saved(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)  # type: ignore[arg-type]  # Pillow's options
    return buffer.getvalue()


def resized(image: Image.Image) -> bytes:
    size = (round(0.95 * image.width), round(0.95 * image.height))
    return saved(image.resize(size, Image.Resampling.LANCZOS), format="PNG")


def cropped(image: Image.Image) -> bytes:
    w, h = image.size
    crop = image.crop((round(0.025 * w), round(0.025 * h), round(0.975 * w), round(0.975 * h)))
    return saved(ImageEnhance.Brightness(crop).enhance(1.1), format="PNG")


@pytest.fixture(scope="module")
def maps(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Array:
    """Give (75, 512, 13, 13): 60 photographs, and altered copies of the first 15."""
    from featx import Embedder

    files = [shared / f"data/utkface_2000/images/{i:04d}.jpg" for i in range(0, 1200, 20)]
    images = [Image.open(file).convert("RGB") for file in files[:15]]
    copies = [saved(image, format="JPEG", quality=50) for image in images[:5]]
    copies += [resized(image) for image in images[5:10]]
    copies += [cropped(image) for image in images[10:]]
    embedder = Embedder(
        "squeezenet1_1",
        weights=shared / "weights/squeezenet1_1.pth",
        pool="flatten",
        precision="fp32",
        cache=tmp_path_factory.mktemp("cache"),
        write=False,
    )
    return embedder.transform([*files, *copies]).reshape(75, 512, 13, 13)


@pytest.mark.shared
@pytest.mark.parametrize(("pool", "least"), [("flatten", 15), ("avg", 9)])
def test_altered_copies_of_photographs_are_found(maps: Array, pool: str, least: int) -> None:
    # Pooled vectors have few dimensions, in which 75 rows are few: chance must be kept out.
    found = pairs(search(maps.reshape(75, -1) if pool == "flatten" else maps.mean(axis=(2, 3))))
    assert found <= {(i, 60 + i) for i in range(15)}
    assert len(found) >= least
