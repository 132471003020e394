from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from helpers_cli import Workflow, featx, replace_module

from featx.curves.result import LearningCurve

NAN = float("nan")


def found() -> LearningCurve:
    score = {"accuracy_std": 0.0432, "accuracy_low": 0.559, "accuracy_high": 0.612}
    sizes = [
        {"size": "5", "rows": 35.0, "draws": 10, "fits": 50, "accuracy": 0.5853} | score,
        {"size": "all", "rows": 1875.2, "draws": 1, "fits": 1, "accuracy": 0.8893}
        | dict.fromkeys(score, NAN),
    ]
    return LearningCurve(
        head="svm",
        task="classification",
        metric="accuracy",
        n=2344,
        table=pd.DataFrame(sizes),
        fits=pd.DataFrame({"size": ["5"], "draw": [0], "accuracy": [NAN]}),
        verdict="still improving at the end",
        how="5-fold cross-validation",
        notes=("classes with fewer training rows than a size give all they have: 'guitar' 3",),
        target="label",
        features="vgg16:features:flatten@224",
        data="photos",
        seconds=12.3,
    )


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Workflow:
    curve = Workflow(found())
    replace_module(monkeypatch, "curves", curve=curve)
    return curve


def test_a_table_that_fits_the_terminal_and_a_sentence(work: Workflow) -> None:
    result = featx("curve")
    assert result.exit_code == 0, result.output
    assert work.args == (None, "svm")
    assert result.stdout.splitlines() == [
        "svm for label (classification), 2,344 rows of photos",
        "  vgg16:features:flatten@224",
        "",
        "a class  training rows  fits  accuracy ± std  95 %",
        "      5             35    50  0.585 ± 0.043   0.559 to 0.612",
        "    all           1875     1  0.889           -",
        "",
        "accuracy ▁█",
        "still improving at the end",
        "5-fold cross-validation",
        "note: classes with fewer training rows than a size give all they have: 'guitar'",
        "3",
        "(12 s)",
    ]
    assert all(len(line) < 80 for line in result.stdout.splitlines())


def test_options_arrive(work: Workflow) -> None:
    words = (
        "curve --head ridge --data photos --features vgg16 --features resnet50 --target age "
        "--sizes 25,100 --sizes all --draws 3 --metric plcc --group person --split side "
        "--test-size 0.2 --cv random:5:0.2 --repeats 2 --task regression --grid alpha=1,10 "
        "--no-search --set tol=1e-6 --class-weight balanced --scale l2 --scoring srocc "
        "--missing NA,-1 --seed 3 --n-jobs 1 --cache there --mix equal,1:2 "
        "--calibrate sigmoid --device cuda"
    )
    result = featx(*words.split())
    assert result.exit_code == 0, result.output
    assert work.args == (["vgg16", "resnet50"], "ridge")
    given = {k: v for k, v in work.options.items() if k != "progress"}
    assert given == {
        "data": "photos",
        "target": "age",
        "sizes": ("25", "100", "all"),
        "draws": 3,
        "metric": "plcc",
        "group": "person",
        "split": "side",
        "test_size": 0.2,
        "cv": "random:5:0.2",
        "repeats": 2,
        "task": "regression",
        "grid": ("alpha=1,10",),
        "set": ("tol=1e-6",),
        "search": False,
        "mix": ("equal", "1:2"),
        "calibrate": "sigmoid",
        "device": "cuda",
        "class_weight": "balanced",
        "scale": "l2",
        "scoring": "srocc",
        "missing": ("NA", "-1"),
        "seed": 3,
        "n_jobs": 1,
        "cache": "there",
    }


def test_json_has_null_for_what_there_is_not(work: Workflow) -> None:
    result = featx("curve", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert [point["size"] for point in answer["points"]] == ["5", "all"]
    assert answer["points"][1]["accuracy_low"] is None
    assert answer["fits"][0]["accuracy"] is None
    assert answer["verdict"] == "still improving at the end"
    assert answer["unit"] == "rows a class"


def test_the_table_goes_to_a_file_in_full(work: Workflow, tmp_path: Path) -> None:
    file = tmp_path / "curve.csv"
    result = featx("curve", "-o", str(file))
    assert result.exit_code == 0, result.output
    pd.testing.assert_frame_equal(pd.read_csv(file, dtype={"size": str}), found().table)
    assert "written: " in result.stderr


def test_a_file_of_another_kind_is_refused_first(work: Workflow) -> None:
    result = featx("curve", "-o", "curve.png")
    assert result.exit_code == 2
    assert "expected a name that ends with .csv" in result.stderr
    assert work.options == {}
