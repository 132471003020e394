from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from featx.cli import complete
from featx.pooling import POOLINGS


def context(**params: Any) -> Any:
    return SimpleNamespace(params=params)


def test_names_offered_are_names_that_exist() -> None:
    models = pytest.importorskip("torchvision.models")
    ours = [name for name in complete.BACKBONES if not name.startswith("timm/")]
    assert set(ours) <= set(models.list_models())
    assert set(complete.POOLINGS) == set(POOLINGS)


def test_heads_offered_are_the_heads() -> None:
    heads = pytest.importorskip("featx.heads")
    assert set(complete.HEADS) == set(heads.HEADS)


def test_data_sets_and_stores_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from helpers_store import fill

    label = fill(tmp_path, range(3)).recipe.label
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text("{", encoding="utf-8")
    for name in ("photos", "pacs"):
        (tmp_path / "datasets" / name).mkdir(parents=True)
        (tmp_path / "datasets" / name / "head.json").write_text("{}", encoding="utf-8")
    given = context(cache=str(tmp_path))
    assert complete.data_sets(given, "") == ["pacs", "photos"]
    assert complete.features(given, "vg") == [label]
    assert complete.data_sets_and_features(given, "p") == ["pacs", "photos"]
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path))
    assert complete.features(context(), "") == [label]
    monkeypatch.delenv("FEATX_CACHE")
    monkeypatch.chdir(tmp_path)
    assert complete.data_sets(context(), "") == []


def test_runs(tmp_path: Path) -> None:
    (tmp_path / "svm-1").mkdir()
    (tmp_path / "svm-1" / "result.json").write_text(json.dumps({}), encoding="utf-8")
    assert complete.runs(context(out=str(tmp_path)), "") == [str(tmp_path / "svm-1")]


def test_after_a_comma() -> None:
    assert complete.poolings("avg,s") == ["avg,std"]
    assert complete.heads("sv") == ["svm", "svr"]
    assert "vgg16" in complete.backbones("vgg1")
