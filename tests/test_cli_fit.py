from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers_cli import Workflow, featx, replace_module

from featx.errors import UsageError


def score(mean: float, std: float | None = 0.0121, low: float | None = None) -> dict[str, Any]:
    high = None if low is None else 0.9
    return {"mean": mean, "std": std, "low": low, "high": high, "n": 40, "splits": 5, "how": ""}


RECORD: dict[str, Any] = {
    "name": "svm-photos-vgg16-1",
    "path": "runs/svm-photos-vgg16-1",
    "head": "svm",
    "target": "label",
    "task": "classification",
    "n": 40,
    "d": 25088,
    "features": {"label": "vgg16:features:flatten@224"},
    "created": "2026-01-02T03:04:05+00:00",
    "arguments": {"cv": "5", "repeats": 1, "split": None, "test_size": None},
    "data": {"name": "photos", "left_out": [{"rows": 1, "why": "no value in column 'label'"}]},
    "candidates": [
        {"params": {"C": c, "tol": 1e-4}, "mean": 0.8, "std": 0.1} for c in (1e-6, 1e-3, 1.0)
    ],
    "best_params": {"C": 0.001, "tol": 1e-4},
    "criterion": "accuracy",
    "metrics": {"accuracy": score(0.8893, low=0.87), "log_loss": score(123.456, None)},
    "baseline": {"accuracy": score(0.1733)},
    "baseline_kind": "most frequent class",
    "how": "nested 5-fold cross-validation",
    "notes": ["column 'person' looks like an identity"],
    "seconds": {"products": 0.2, "search": 1.1},
}


def fake_fit(
    monkeypatch: pytest.MonkeyPatch, *records: dict[str, Any]
) -> tuple[Workflow, Workflow]:
    results = [SimpleNamespace(record=record) for record in records]
    one, many = Workflow(results[0]), Workflow(results)
    replace_module(monkeypatch, "fitting", fit=one, fit_targets=many)
    return one, many


def test_options_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, _ = fake_fit(monkeypatch, RECORD)
    words = (
        "fit --head ridge --data photos --features vgg16 --target age --group person --cv 10 "
        "--repeats 2 --grid alpha=0.1,1 --set tol=1e-3 --no-search --missing NA,-1 --missing ? "
        "--class-weight balanced --scale l2 --scoring plcc --n-jobs 1 --name best --out there "
        "--device cuda --quality --lower-is-better --aggregate group --calibrate sigmoid "
        "--twins 0.95"
    )
    result = featx(*words.split())
    assert result.exit_code == 0, result.output
    assert fit.args == ("vgg16", "ridge")
    expected = {
        "target": "age",
        "data": "photos",
        "group": "person",
        "cv": "10",
        "repeats": 2,
        "grid": ("alpha=0.1,1",),
        "set": ("tol=1e-3",),
        "search": False,
        "missing": ("NA", "-1", "?"),
        "class_weight": "balanced",
        "scale": "l2",
        "scoring": "plcc",
        "quality": True,
        "lower_is_better": True,
        "aggregate": "group",
        "calibrate": "sigmoid",
        "twins": "0.95",
        "n_jobs": 1,
        "device": "cuda",
        "name": "best",
        "out": "there",
        "task": None,
        "split": None,
    }
    assert {name: fit.options[name] for name in expected} == expected


def test_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_fit(monkeypatch, RECORD)
    text = featx("fit", "--head", "svm").stdout
    assert text == (
        "svm for label (classification)\n"
        "  40 x 25088 vgg16:features:flatten@224\n"
        "  left out: 1 row, no value in column 'label'\n"
        "  tuned C over 1e-06, 0.001, 1 by accuracy\n"
        "  chosen: C=0.001, tol=0.0001\n"
        "\n"
        "metric       mean ± std      new images  baseline\n"
        "accuracy  0.889 ± 0.012  0.870 to 0.900     0.173\n"
        "log_loss          123.5               -         -\n"
        "\n"
        "new images: 95 % interval for other test images, the heads as they are;\n"
        "baseline: most frequent class\n"
        "nested 5-fold cross-validation\n"
        "note: column 'person' looks like an identity\n"
        "results: runs/svm-photos-vgg16-1 (1.3 s)\n"
        "look: featx report runs/svm-photos-vgg16-1\n"
        "next: featx predict runs/svm-photos-vgg16-1 FOLDER\n"
    )


def test_both_intervals_the_median_and_groups_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    many = score(0.8893, low=0.87) | {"splits": 50, "median": 0.891}
    many |= {"corrected_low": 0.85, "corrected_high": 0.93}
    groups = {"accuracy": score(0.95, low=0.91)}
    record = {**RECORD, "group": "person", "metrics": {"balanced_accuracy": many}}
    fake_fit(monkeypatch, {**record, "group_metrics": groups, "group_baseline": RECORD["baseline"]})
    text = featx("fit", "--head", "svm").stdout
    expected = (
        "metric                mean ± std  median      new images    trained anew  baseline\n"
        "balanced_accuracy  0.889 ± 0.012   0.891  0.870 to 0.900  0.850 to 0.930         -\n"
        "\n"
        "the mean of each group (person):\n"
        "metric       mean ± std      new images  baseline\n"
        "accuracy  0.950 ± 0.012  0.910 to 0.900     0.173\n"
        "\n"
        "new images: 95 % interval for other test images, the heads as they are; trained\n"
        "anew: for other training images, too; baseline: most frequent class\n"
    )
    assert expected in text


def test_what_may_fool_the_numbers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    twins = {"rows": 12, "tested": 40, "pairs": 7, "different_targets": 0, "why": None}
    record = RECORD | {
        "twins": twins | {"metrics": {"accuracy": 0.8841}},
        "suspects": {"rows": 5},
    }
    fake_fit(monkeypatch, record)
    text = " ".join(featx("fit", "--head", "svm").stdout.split())
    folder = Path("runs/svm-photos-vgg16-1")
    assert (
        "12 of 40 test images have a near-identical one in their training rows, as "
        "vgg16:features:flatten@224 sees them (accuracy 0.889, and 0.884 without them): "
        f"{folder / 'twins.csv'} "
        f"5 labels are likely wrong (look at the images): {folder / 'suspects.csv'} results:"
    ) in text
    assert json.loads(featx("fit", "--head", "svm", "--json").stdout) == record


def test_json_is_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_fit(monkeypatch, RECORD)
    assert json.loads(featx("fit", "--head", "svm", "--json").stdout) == RECORD


def test_several_targets_are_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {**RECORD, "candidates": RECORD["candidates"][:1], "best_params": {}, "target": "age"}
    _, fit_targets = fake_fit(monkeypatch, RECORD, plain)
    text = featx("fit", "--head", "svm", "--target", "label,age").stdout
    assert fit_targets.args == (("label", "age"), None, "svm")
    assert "  parameters: the defaults\n" in text
    assert "target  metric" in text
    assert text.count("nested 5-fold") == 1
    fake_fit(monkeypatch, RECORD, plain)
    value = json.loads(featx("fit", "--head", "svm", "--target", "label,age", "--json").stdout)
    assert [one["target"] for one in value["fits"]] == ["label", "age"]


def test_a_bad_grid_stops_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, _ = fake_fit(monkeypatch, RECORD)
    result = featx("fit", "--head", "svm", "--grid", "0.1,1")
    assert (result.exit_code, result.stdout, fit.options) == (2, "", {})
    assert "--grid is '0.1,1'; expected NAME=VALUE" in result.stderr


def test_runs_are_listed(tmp_path: Path) -> None:
    empty = featx("runs", "--out", str(tmp_path / "none"))
    assert "no run in" in empty.stdout
    for name, text in (("a", json.dumps(RECORD)), ("b", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text, encoding="utf-8")
    result = featx("runs", "--out", str(tmp_path))
    header, bad, why, *row = result.stdout.splitlines()
    assert header == "run  made         n  score           baseline"
    assert bad.split() == ["b", "-", "-", "-", "-"]
    assert why.startswith("  cannot be read: ")
    assert row == [
        "a    2026-01-02  40  accuracy 0.889     0.173",
        "  label of photos, cv 5, vgg16:features:flatten@224",
    ]
    value = json.loads(featx("runs", "--out", str(tmp_path), "--json").stdout)
    assert {row["name"] for row in value["runs"]} == {"a", "b"}


def test_runs_fit_a_terminal(tmp_path: Path) -> None:
    names = ["svm-photos-mobilenet_v2-12", "n" * 80 + "-1", "n" * 80 + "-2"]
    features = {"label": " + ".join(f"mobilenet_v2:features.{i}:avg@320" for i in range(9))}
    for name in names:
        (tmp_path / name).mkdir()
        text = json.dumps(RECORD | {"features": features, "target": "t" * 90})
        (tmp_path / name / "result.json").write_text(text, encoding="utf-8")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "result.json").write_text("{" + "x" * 100, encoding="utf-8")
    lines = featx("runs", "--out", str(tmp_path)).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith(f"{names[0]} ") for line in lines)
    assert [line.split()[0][-2:] for line in lines if line.startswith("nnn")] == ["-1", "-2"]
    value = json.loads(featx("runs", "--out", str(tmp_path), "--json").stdout)
    assert {row["name"] for row in value["runs"]} == {"b", *names}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["--hidden", "512, 32", "--lr", "1e-3"], {"set": ("hidden=512x32", "lr=1e-3")}),
        (["--hidden", "none", "--dropout", "0.2"], {"set": ("hidden=none", "dropout=0.2")}),
        (["--lr", "1e-2,1e-3", "--set", "momentum=0"],
         {"set": ("momentum=0",), "grid": ("lr=1e-2,1e-3",)}),
        (["--lr", "1e-2", "--lr", "1e-3"], {"set": (), "grid": ("lr=1e-2,1e-3",)}),
        (["--hidden", "512,32", "--hidden", "64"], {"set": (), "grid": ("hidden=512x32,64",)}),
        (["--early-stopping", "5", "--epochs", "9", "--batch-size", "8"],
         {"set": ("epochs=9", "batch_size=8", "early_stopping=5")}),
    ],
)  # fmt: skip
def test_options_of_networks_are_parameters(
    monkeypatch: pytest.MonkeyPatch, written: list[str], expected: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {}

    def fake(*_: Any, **options: Any) -> Any:
        asked.update(options)
        raise UsageError("enough")

    monkeypatch.setattr("featx.fitting.fit", fake)
    featx("fit", "--head", "nn", *written)
    assert {name: asked[name] for name in expected} == expected


@pytest.mark.parametrize("given", ["8 4", "8,,4", "none,8", "", "8.5"])
def test_widths_that_are_none(given: str) -> None:
    result = featx("fit", "--head", "nn", "--hidden", given)
    assert result.exit_code == 2
    assert f"hidden is {given!r}; expected the widths" in result.stderr


def test_options_of_networks_are_refused_for_other_heads() -> None:
    result = featx("fit", "--head", "svm", "--lr", "0.1")
    assert result.exit_code == 2
    assert "--lr is for networks: --head nn" in result.stderr
