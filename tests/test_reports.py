"""The recipe files of the five reports run to their end on real images, every row filled.

Networks are untrained or tiny and images small: what is tested is the files, not their numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers_cli import featx

from featx.pipeline import plan_pipeline, read_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.shared]
PIPELINES = Path(__file__).resolve().parents[1] / "pipelines"
TINY = "helpers_photos:tiny"
REFERENCE = ("precision=fp32", "decoder=pil", "dtype=float32")
"""No certificate, which takes longer than these few images; untrained values are too small else."""
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give what runs a recipe file where no weights can be downloaded."""
    import torch

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)

    def run_file(name: str, data: Path, *changes: str) -> dict[str, Any]:
        general = [f"{kind}.{text}" for kind in ("extract", "finetune") for text in REFERENCE]
        words = [word for text in (*general, *changes) for word in ("--set", text)]
        where = ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "runs")]
        file = str(PIPELINES / f"{name}.toml")
        result = featx("run", file, str(data), "--json", "--device", "cpu", *words, *where)
        assert result.exit_code == 0, result.output
        said: dict[str, Any] = json.loads(result.stdout)
        return said

    return run_file


def check_rows(said: dict[str, Any], skipped: dict[str, str], *metrics: str) -> None:
    """Raise unless every row is filled, but for those that are skipped for the reason given."""
    for row in said["rows"]:
        if row["step"] in skipped:
            assert row["mean"] is None
            assert skipped[row["step"]] in row["skipped"]
            continue
        assert row["skipped"] is None, row
        assert row["mean"] is not None, row
        assert row["total_s"] > 0
        assert set(metrics) <= set(row["metrics"]), row
    assert {row["step"] for row in said["rows"]} >= set(skipped)


def faces(shared: Path, target: Path, column: str, n: int, scale: float = 1.0) -> Path:
    """Write a table of photographs of faces with their ages, or these as scores."""
    folder = shared / "data" / "utkface_2000"
    table = pd.read_csv(folder / "ages.csv").iloc[:n]
    paths = [str(folder / path) for path in table["path"]]
    pd.DataFrame({"path": paths, column: table["age"] * scale}).to_csv(target, index=False)
    return target


def cartoons(shared: Path, target: Path, per_class: int, *classes: str) -> Path:
    """Lay links to a few cartoons of some classes, or of all, into class folders."""
    source = shared / "data" / "pacs_cartoon"
    for folder in sorted(source.iterdir()):
        if classes and folder.name not in classes:
            continue
        (target / folder.name).mkdir(parents=True)
        for image in sorted(folder.iterdir())[:per_class]:
            (target / folder.name / image.name).symlink_to(image)
    return target


def test_image_quality(run: Run, shared: Path, tmp_path: Path) -> None:
    data = faces(shared, tmp_path / "scores.csv", "score", 40, 1 / 116)
    said = run(
        "image-quality", data, "extract.weights=random", "extract.image-size=64",
        f"finetune.backbone={TINY}", "finetune.image-size=64", "finetune.epochs=2",
    )  # fmt: skip
    check_rows(said, {}, "mae", "plcc", "srocc")
    assert [row["row"] for row in said["rows"]][2:] == [
        f"{TINY}, all frozen",
        f"{TINY}, none frozen",
        f"{TINY}, all frozen",
        f"{TINY}, none frozen",
    ]
    assert {row["metric"] for row in said["rows"]} == {"srocc"}
    assert len(said["compare"][0]["runs"]) == 6


def test_age(run: Run, shared: Path, tmp_path: Path) -> None:
    data = faces(shared, tmp_path / "ages.csv", "age", 24)
    changes = [f"extract.{i}.weights=random" for i in (1, 2, 4, 6)]
    changes += [f"extract.3.backbone={TINY}"]
    changes += [f"finetune.{i}.backbone={TINY}" for i in range(1, 33)]
    said = run(
        "age", data, *changes, "extract.image-size=48", "finetune.image-size=32",
        "finetune.epochs=1", "finetune.lr=0.001",
        "fit.2.set={ hidden = [16], loss = 'l1', epochs = 2 }",
    )  # fmt: skip
    missing = "the pretrained weights regnet_y_128gf"
    check_rows(
        said,
        {"fit 3": "needs extract 5, which is skipped"}
        | {f"finetune {i}": missing for i in range(33, 41)},
        "mae",
        "plcc",
        "srocc",
    )
    assert len(said["rows"]) == 43
    assert said["rows"][3]["row"] == f"{TINY}, all frozen, 512,256,32, sgd"
    assert said["rows"][-1]["row"] == "regnet_y_128gf, none frozen, 2048,512,128, adam"


def test_extraction_or_tuning(run: Run, shared: Path, tmp_path: Path) -> None:
    data = cartoons(shared, tmp_path / "photos", 10)  # 8 of them train
    small = [f"fit.{i}.train-per-class=4" for i in (4, 5, 6, 10)]
    nets = [f"fit.{i}.set={{ hidden = [8, 4], dropout = 0.2, epochs = 2 }}" for i in (7, 8)]
    said = run(
        "extraction-or-tuning", data, *small, *nets, "extract.weights=random",
        "extract.image-size=64", "extract.3.image-size=112",
        "extract.6.image-size=112", "finetune.image-size=64", f"finetune.backbone={TINY}",
        "finetune.epochs=2", "finetune.3.train-per-class=4", "finetune.4.train-per-class=4",
    )  # fmt: skip
    few = "training rows, fewer than 80 a class"
    check_rows(said, {"fit 8": few, "finetune 6": few}, "accuracy", "f1_macro")
    assert len(said["rows"]) == 16
    assert [row["n_train"] for row in said["rows"]][:4] == [56, 56, 56, 28]
    assert said["rows"][1]["row"] == "resnet50:*:flatten@*, SVM, 500 a class"
    assert all(row["d"] for row in said["rows"] if not row["skipped"])


def test_cartoons(run: Run, shared: Path, tmp_path: Path) -> None:
    data = cartoons(shared, tmp_path / "cartoons", 10)
    said = run(
        "cartoons", data, "extract.weights=random", "extract.image-size=64",
        f"finetune.backbone={TINY}", "finetune.image-size=64", "finetune.epochs=2",
        "finetune.lr=0.01,0.001", "fit.2.test-size=0.7", "fit.4.test-size=0.7",
        *(f"finetune.{i}.test-size=0.7" for i in (4, 5, 6, 7)),
    )  # fmt: skip
    check_rows(said, {"finetune 7": "crop is 200 pixels"}, "accuracy")
    published = {row["step"]: row["published"] for row in said["rows"]}
    assert [published[f"finetune {i}"] for i in range(1, 8)] == [
        *(None, 0.797, 0.928),
        *(None, 0.688, 0.812, 0.825),
    ]
    assert [row["row"] for row in said["rows"]][:4] == [
        "frozen, SVM, 2,108 train",
        "frozen, SVM, 236 train",
        "best frozen, fused, 2,108 train",
        "best frozen, fused, 236 train",
    ]
    assert len({row["n_train"] for row in said["rows"] if not row["skipped"]}) == 2
    assert [len(one["runs"]) for one in said["compare"]] == [5, 5]
    assert [len(one["pairs"]) for one in said["compare"]] == [10, 10]


def test_varied_cartoons_train_at_their_own_size(run: Run, shared: Path, tmp_path: Path) -> None:
    data = cartoons(shared, tmp_path / "cartoons", 6)
    said = run(
        "cartoons", data, "extract.weights=random", "extract.image-size=64",
        f"finetune.backbone={TINY}", "finetune.image-size=64", "finetune.7.image-size=224",
        "finetune.epochs=1", "finetune.lr=0.01", "fit.test-size=0.3", "finetune.test-size=0.3",
    )  # fmt: skip
    check_rows(said, {}, "accuracy")


def test_biomedical(run: Run, shared: Path, tmp_path: Path) -> None:
    data = cartoons(shared, tmp_path / "two", 16, "dog", "house")
    tiny = [f"finetune.{i}.backbone={TINY}" for i in range(1, 21) if i != 2]
    said = run(
        "biomedical", data, *tiny, "extract.weights=random", "extract.image-size=64",
        "finetune.2.weights=random", "finetune.image-size=64", "finetune.epochs=2",
    )  # fmt: skip
    check_rows(said, {}, "accuracy", "balanced_accuracy", "roc_auc")
    assert len(said["rows"]) == 23
    assert said["rows"][4]["row"] == "resnet50, all frozen"
    assert said["rows"][-1]["row"] == f"{TINY}, all frozen, all three"


def test_the_plans_of_all_five(shared: Path, tmp_path: Path) -> None:
    data = cartoons(shared, tmp_path / "cartoons", 3)
    counts = {}
    for name in ("image-quality", "age", "extraction-or-tuning", "cartoons", "biomedical"):
        found = read_pipeline(PIPELINES / f"{name}.toml", str(data))
        steps = plan_pipeline(found, cache=tmp_path / "cache")
        assert len(steps) == len(found.extracts) + len(found.rows)
        counts[name] = sum(step.numbers.get("trainings", 0) for step in steps)
    assert counts == {
        "image-quality": 4,
        "age": 120,
        "extraction-or-tuning": 6,
        "cartoons": 35,
        "biomedical": 20,
    }
