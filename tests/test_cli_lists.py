from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers_cli import EXTRACTION, Workflow, featx, replace_module
from test_cli_fit import RECORD


def test_heads() -> None:
    pytest.importorskip("featx.heads")
    text = featx("heads").stdout
    assert "svm     classification              C 1e-06 to 1 (7 values)\n" in text
    assert "mlp     classification, regression  alpha 1 to 100 (3 values)\n" in text
    assert max(map(len, text.splitlines())) <= 80
    values = json.loads(featx("heads", "--json").stdout)["heads"]
    heads = {value["head"] for value in values}
    assert heads == {"svm", "svr", "ridge", "logreg", "rbf", "mlp", "nn", "knn"}


def fake_backbones(monkeypatch: pytest.MonkeyPatch) -> Workflow:
    rows = [
        {"name": "resnet18", "layer": "layer4", "dim": 25088, "weights": ["V2", "V1"]},
        {"name": "vgg16", "layer": "", "dim": None, "weights": []},
    ]
    named = [SimpleNamespace(name=row["name"], to_json=lambda row=row: row) for row in rows]
    workflow = Workflow(named)
    replace_module(monkeypatch, "backbones", list_backbones=workflow)
    return workflow


def test_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = fake_backbones(monkeypatch)
    text = featx("backbones").stdout
    assert text.splitlines()[:3] == [
        "backbone    dim  layer   weights",
        "resnet18  25088  layer4  V2 and 1 more",
        "vgg16         -  -       -",
    ]
    assert listing.args == ()
    value = json.loads(featx("backbones", "res*", "--json").stdout)
    assert [row["name"] for row in value["backbones"]] == ["resnet18"]
    assert featx("backbones", "timm/*clip*").exit_code == 0
    assert listing.args == ("timm/*clip*",)
    nothing = featx("backbones", "alex*")
    assert nothing.exit_code == 2
    assert "no backbone is called 'alex*'" in nothing.stderr


def fake_demo(monkeypatch: pytest.MonkeyPatch, **extraction: Any) -> tuple[Workflow, Workflow]:
    value = {**EXTRACTION, "data": "elpv", **extraction}
    done = SimpleNamespace(label=value["features"], to_json=lambda: value)
    extract, fit = Workflow([done]), Workflow(SimpleNamespace(record=RECORD))
    replace_module(
        monkeypatch,
        "demo",
        demo_table=Workflow(Path("cache/demo/elpv.csv")),
        demo_weights=Workflow(Path("cache/weights/lite0.safetensors")),
        NAME="elpv",
        BACKBONE="timm/tf_efficientnet_lite0",
        LICENSE="CC BY-NC-SA 4.0",
        CITATIONS=("Deitsch et al., Automatic classification " + "of cells " * 10,),
    )
    replace_module(monkeypatch, "extraction", extract=extract)
    replace_module(monkeypatch, "fitting", fit=fit)
    return extract, fit


def test_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("featx.catalog")
    extract, fit = fake_demo(monkeypatch)
    cache = str(tmp_path)
    result = featx("demo", "--cache", cache, "--out", "there")
    assert result.exit_code == 0, result.output
    assert extract.args == (Path("cache/demo/elpv.csv"),)
    assert extract.options["weights"] == str(Path("cache/weights/lite0.safetensors"))
    assert fit.args == (EXTRACTION["features"], "ridge")
    assert (fit.options["data"], fit.options["out"]) == ("elpv", "there")
    text = result.stdout
    for words in (
        "CC BY-NC-SA 4.0",
        "  Deitsch et al.",
        "$ featx extract ",
        "$ featx fit --head svm --target defective",
        "$ featx fit --head ridge --target defect_probability",
        f"  vectors  {tmp_path}",
        "Try next:",
    ):
        assert words in text
    assert "nothing was computed" not in text


def test_demo_with_a_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_demo(monkeypatch)
    report = Workflow(SimpleNamespace(path=tmp_path / "report.html"))
    replace_module(monkeypatch, "reporting", report=report)
    plain = featx("demo", "--cache", str(tmp_path)).stdout
    assert f"  featx report {RECORD['path']} --cache {tmp_path}\n" in plain
    text = featx("demo", "--cache", str(tmp_path), "--report").stdout
    assert report.args == (RECORD["path"],)
    assert f"$ featx report {RECORD['name']}\n" in text
    assert f"  report   {tmp_path / 'report.html'} (open it in a browser)\n" in text
    value = json.loads(featx("demo", "--cache", str(tmp_path), "--report", "--json").stdout)
    assert value["report"] == str(tmp_path / "report.html")


def test_a_second_demo_says_that_nothing_was_computed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("featx.catalog")
    fake_demo(monkeypatch, computed=0, reused=40)
    text = featx("demo", "--cache", str(tmp_path)).stdout
    assert "nothing was computed: the cache had 40 vectors already" in text
    value = json.loads(featx("demo", "--cache", str(tmp_path), "--json").stdout)
    assert value["extract"]["computed"] == 0
    assert [record["head"] for record in value["fits"]] == ["svm", "svm"]
