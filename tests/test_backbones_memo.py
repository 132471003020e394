from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers_backbones import Net, seeded_model, small

from featx.backbones import BackboneRequest, memo, resolve
from featx.errors import CacheWriteError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "w.pth"
    torch.save(seeded_model("squeezenet1_1").state_dict(), file)
    os.utime(file, ns=(2, 2))
    return file


def memos(cache: Path) -> list[Path]:
    return sorted(cache.glob("memo/*.json"))


def test_the_second_time_needs_no_torch(tmp_path, weights):
    cache = tmp_path / "cache"
    request = small(weights=str(weights), layers=("features.3", "features"))
    first = resolve(request, cache)
    assert first.backbone is not None
    code = (
        "import json, sys; from pathlib import Path\n"
        "from featx.backbones import BackboneRequest, resolve\n"
        "import featx.forward\n"
        f"r = resolve(BackboneRequest.from_json({request.to_json()!r}), Path({str(cache)!r}))\n"
        "assert 'torch' not in sys.modules\n"
        "print(json.dumps([[x.hash for x in r.recipes], list(r.notes), r.provenance]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    hashes, notes, provenance = json.loads(out.stdout)
    assert hashes == [recipe.hash for recipe in first.recipes]
    assert notes == list(first.notes)
    assert provenance == first.provenance


def test_a_memo_gives_what_loading_gives(tmp_path):
    first, second = resolve(small(), tmp_path), resolve(small(), tmp_path)
    assert second == replace(first, backbone=None)
    assert second.recipes == tuple(recipe for recipe, *_ in first.filled)


def test_another_request_has_another_memo(tmp_path):
    resolve(small(), tmp_path)
    resolve(small(seed=1), tmp_path)
    resolve(small(image_size=80), tmp_path)
    assert len(memos(tmp_path)) == 3


def test_a_changed_weights_file_is_read_again(tmp_path, weights):
    request = small(weights=str(weights))
    first = resolve(request, tmp_path)
    torch.save(seeded_model("squeezenet1_1", seed=1).state_dict(), weights)
    os.utime(weights, ns=(1, 1))
    second = resolve(request, tmp_path)
    assert second.backbone is not None
    assert second.recipes != first.recipes
    weights.unlink()
    with pytest.raises(FileNotFoundError):
        resolve(request, tmp_path)


def test_weights_that_have_just_changed_have_no_memo(tmp_path, weights, monkeypatch):
    """They may change again without their time stamp showing it, or have while they were read."""
    request, real = small(weights=str(weights)), memo.load_backbone

    def load_while_replaced(*args):
        backbone = real(*args)
        os.utime(weights)
        return backbone

    monkeypatch.setattr(memo, "load_backbone", load_while_replaced)
    resolve(request, tmp_path)
    resolve(request, tmp_path)
    assert memos(tmp_path) == []
    monkeypatch.undo()
    os.utime(weights, ns=(3, 3))
    resolve(request, tmp_path)
    assert len(memos(tmp_path)) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"token": null, "provenance": null}'])
def test_a_damaged_memo_is_made_again(tmp_path, text):
    first = resolve(small(), tmp_path)
    (path,) = memos(tmp_path)
    whole = path.read_text()
    path.write_text(text)
    assert resolve(small(), tmp_path).filled == first.filled
    assert path.read_text() == whole


def test_a_memo_of_a_newer_recipe_is_made_again(tmp_path):
    first = resolve(small(), tmp_path)
    (path,) = memos(tmp_path)
    path.write_text(path.read_text().replace('"backbone"', '"spine"'))
    assert resolve(small(), tmp_path).filled == first.filled


def test_versions_and_the_hub_folder_are_part_of_the_key(tmp_path, monkeypatch):
    resolve(small(), tmp_path)
    monkeypatch.setattr(memo, "version", lambda _package: "9.9")
    assert resolve(small(), tmp_path).backbone is not None
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert resolve(small(), tmp_path).backbone is not None
    assert len(memos(tmp_path)) == 3


def test_a_package_that_is_not_installed_has_no_version():
    assert memo._version("no-such-package-at-all") == ""


def test_the_hub_folder_without_torch_is_the_one_torch_uses(tmp_path, monkeypatch):
    for home in (None, str(tmp_path)):
        if home:
            monkeypatch.setenv("TORCH_HOME", home)
        with_torch = memo._hub_folder()
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "torch")
            assert memo._hub_folder() == with_torch


def test_code_and_timms_downloads_have_no_memo(tmp_path):
    assert resolve(BackboneRequest(Net(), image_size=32), tmp_path).backbone is not None
    assert memos(tmp_path) == []
    assert memo._memo_path(BackboneRequest("timm/test_vit"), tmp_path) is None
    assert memo._memo_path(BackboneRequest("timm/test_vit", weights="random"), tmp_path)


def test_without_a_cache_it_is_loaded(tmp_path):
    assert resolve(small()).backbone is not None


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path, monkeypatch):
    def read_only(*_args):
        raise CacheWriteError("read-only")

    monkeypatch.setattr(memo, "write_json", read_only)
    assert resolve(small(), tmp_path).recipes
    assert memos(tmp_path) == []
