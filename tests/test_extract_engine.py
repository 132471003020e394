"""Which engine an extraction takes, what proves it, and what is kept of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_photos import CLASSES, folder, photo

from featx.errors import UsageError
from featx.extraction import extract
from featx.features import load
from featx.forward import choose
from featx.store import FeatureStore

OPTIONS: dict[str, Any] = {"backbone": "helpers_photos:tiny", "image_size": 32}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos", per_class=11)


@pytest.fixture
def certified(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the number of rows of each certificate that is made."""
    made: list[int] = []
    real = choose.certify

    def certify(backbone: Any, maps: Any, *rest: Any) -> Any:
        made.append(len(maps[0]))
        return real(backbone, maps, *rest)

    monkeypatch.setattr(choose, "certify", certify)
    monkeypatch.setattr("featx.embedding.engine._LAST", {})
    monkeypatch.setattr("featx.forward.devices._has_bf16_units", lambda: False)
    return made


def forget_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process would begin."""
    monkeypatch.setattr("featx.embedding.engine._LAST", {})


def provenances(store: Path) -> list[dict[str, Any]]:
    return [run["provenance"] for run in FeatureStore.open(store).runs]


def test_ten_added_images_cost_no_second_certificate(
    photos: Path, tmp_path: Path, certified: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = extract(photos, cache=tmp_path / "c", **OPTIONS)
    assert (first.computed, certified) == (33, [32])
    for i in range(10):
        photo(photos / "cat" / f"new{i}.jpg", CLASSES["cat"], 1000 + i)
    forget_engines(monkeypatch)
    (second,) = extract(photos, cache=tmp_path / "c", **OPTIONS)
    assert (second.computed, certified) == (10, [32])
    one, two = provenances(second.store)
    assert one["engine"] == two["engine"] == "openvino"
    assert one["certificates"] == two["certificates"]


def test_another_recipe_or_precision_has_a_certificate_of_its_own(
    photos: Path, tmp_path: Path, certified: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(photos, cache=tmp_path / "c", **OPTIONS)
    forget_engines(monkeypatch)
    extract(photos, cache=tmp_path / "c", **OPTIONS | {"image_size": 48})
    assert certified == [32, 32]


def test_what_computed_the_vectors_is_kept(
    photos: Path, tmp_path: Path, certified: list[int]
) -> None:
    (done,) = extract(photos, cache=tmp_path / "c", **OPTIONS)
    (made,) = provenances(done.store)
    assert (made["engine"], made["precision"], made["decoder"]) == ("openvino", "fp32", "pil")
    assert made["batch_size"] == 8
    (certificate,) = made["certificates"].values()
    assert certificate["passed"]
    assert certificate["rows"] == 32 == certified[0]
    assert 0.999999 < certificate["min_cosine"] <= certificate["mean_cosine"]


def test_engines_agree(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for engine in ("torch", "openvino"):
        forget_engines(monkeypatch)
        options = OPTIONS | {"engine": engine, "precision": "fp32", "dtype": "float32"}
        (done,) = extract(photos, cache=tmp_path / engine, **options)
        assert provenances(done.store)[0]["engine"] == engine
        found[engine] = load(cache=tmp_path / engine).X
    error = np.linalg.norm(found["torch"] - found["openvino"], axis=1)
    assert (error < 1e-5 * np.linalg.norm(found["torch"], axis=1)).all()


def test_the_reference_has_a_store_of_its_own_and_no_certificate(
    photos: Path, tmp_path: Path, certified: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (fast,) = extract(photos, cache=tmp_path / "c", **OPTIONS)
    forget_engines(monkeypatch)
    reference = OPTIONS | {"precision": "fp32", "decoder": "pil"}
    (slow,) = extract(photos, cache=tmp_path / "c", **reference)
    assert slow.store != fast.store
    (made,) = provenances(slow.store)
    assert (made["engine"], made["certificates"], certified) == ("torch", {}, [32])
    with pytest.raises(UsageError, match="engine openvino with reference numerics"):
        extract(photos, cache=tmp_path / "d", **reference, engine="openvino")


def test_names_of_engines_and_decoders_are_checked_first(photos: Path, tmp_path: Path) -> None:
    for name in ("engine", "decoder"):
        with pytest.raises(UsageError, match=f"{name} is 'quick'; expected 'auto' or"):
            extract(photos, cache=tmp_path / "c", **OPTIONS, **{name: "quick"})
    assert not (tmp_path / "c").exists()


def test_large_jpegs_are_decoded_at_a_fraction_where_it_is_certified(
    tmp_path: Path, certified: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(100):
        photo(tmp_path / "big" / f"{i}.jpg", (200 - i, 40 + i, 3 * i % 200), i, size=296)
    (done,) = extract(tmp_path / "big", cache=tmp_path / "c", **OPTIONS)
    (made,) = provenances(done.store)
    assert made["decoder"] == "scaled"
    assert done.notes[-1].count("large JPEGs decoded at a fraction") == 1
    forget_engines(monkeypatch)
    options = OPTIONS | {"precision": "fp32", "decoder": "pil"}
    extract(tmp_path / "big", cache=tmp_path / "r", **options)
    fast, slow = load(cache=tmp_path / "c").X, load(cache=tmp_path / "r").X
    cosine = (fast * slow).sum(1) / np.linalg.norm(fast, axis=1) / np.linalg.norm(slow, axis=1)
    assert cosine.min() > 0.998
    same = (fast == slow).all(axis=1)
    assert same[:60].sum() > same[64:].sum() == 0  # those read ahead of the choice are whole


def test_the_same_extraction_gives_the_same_bits(tmp_path: Path) -> None:
    for i in range(100):
        photo(tmp_path / "big" / f"{i}.jpg", (200 - i, 40 + i, 3 * i % 200), i, size=296)
    found = []
    for name in ("one", "two"):
        extract(tmp_path / "big", cache=tmp_path / name, **OPTIONS)
        found.append(load(cache=tmp_path / name).raw)
    assert np.array_equal(*found)
