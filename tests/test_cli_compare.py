from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from helpers_cli import Workflow, featx, replace_module

from featx.comparison.result import Comparison

NAN = float("nan")


def found() -> Comparison:
    shared = {"features": "vgg16:features:flatten@224", "backbone": "vgg16", "d": 25088, "n": 40}
    score = {"accuracy_std": 0.0121, "accuracy_low": 0.87, "accuracy_high": 0.9}
    runs = [
        {"run": "a-1", "name": "vgg16 + svm", "head": "svm", "accuracy": 0.8893},
        {"run": "b-1", "name": "vgg16 + ridge", "head": "ridge", "accuracy": 0.85},
    ]
    pair = {
        "first": "vgg16 + svm", "second": "vgg16 + ridge", "difference": 0.0393, "low": 0.01,
        "high": 0.07, "p": 0.02, "p_holm": 0.02, "test": "t", "n": 5, "units": "splits", "note": "",
    }  # fmt: skip
    rest = {"fit_s": 1.25, "extract_s": NAN, "total_s": NAN, "gain": 39.0, "layers": 13}
    runs[0] |= {"s_per_point": 0.0312}
    runs[1] |= {"s_per_point": NAN}
    return Comparison(
        metrics=("accuracy",),
        table=pd.DataFrame([run | score | shared | rest for run in runs]),
        pairs=pd.DataFrame([pair]),
        verdict="vgg16 + svm is best",
        notes=("tested by t of 5 splits",),
    )


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Workflow:
    compare = Workflow(found())
    replace_module(monkeypatch, "comparison", compare=compare)
    return compare


def test_runs_are_handed_over_without_options(work: Workflow) -> None:
    result = featx("compare", "a-1", "runs/b-1")
    assert result.exit_code == 0, result.output
    assert work.args == ("a-1", "runs/b-1")
    given = {k: v for k, v in work.options.items() if k != "progress"}
    assert given == {
        "backbone": (), "head": (), "metric": (), "extract": {}, "out": "runs", "cache": None,
    }  # fmt: skip


def test_options_arrive(work: Workflow) -> None:
    words = (
        "compare photos --backbone vgg16,resnet50 --head svm --head ridge --metric srocc,rmse "
        "--target age --group person --cv 10 --repeats 2 --missing NA,-1 --scale l2 --seed 3 "
        "--limit 500 --pool avg --image-size weights --weights random --device cpu --out there "
        "--n-jobs 1 --task regression --quality"
    )
    result = featx(*words.split())
    assert result.exit_code == 0, result.output
    expected = {
        "backbone": ("vgg16", "resnet50"),
        "head": ("svm", "ridge"),
        "metric": ("srocc", "rmse"),
        "out": "there",
        "target": "age",
        "group": "person",
        "cv": "10",
        "repeats": 2,
        "missing": ("NA", "-1"),
        "scale": "l2",
        "seed": 3,
        "n_jobs": 1,
        "task": "regression",
        "quality": True,
        "extract": {
            "limit": 500, "pools": ("avg",), "image_size": "weights", "weights": "random",
            "device": "cpu",
        },
    }  # fmt: skip
    assert {name: work.options[name] for name in expected} == expected
    assert work.args == ("photos",)
    assert not {"split", "test_size"} & set(work.options)


def test_what_is_said(work: Workflow) -> None:
    assert featx("compare", "a", "b").stdout == (
        "backbone  head        accuracy  accuracy, 95 %  fit (s)      d  layers  tested\n"
        "vgg16     svm    0.889 ± 0.012  0.870 to 0.900      1.2  25088      13      40\n"
        "vgg16     ridge  0.850 ± 0.012  0.870 to 0.900      1.2  25088      13      40\n"
        "\n"
        "vgg16 + svm is best\n"
        "tested by t of 5 splits\n"
    )


def test_what_it_took_is_said_where_asked_for(work: Workflow) -> None:
    said = featx("compare", "a", "b", "--cost").stdout
    assert said.startswith(
        "backbone  head        accuracy  accuracy, 95 %  fit (s)  extract (s)  s/point\n"
        "vgg16     svm    0.889 ± 0.012  0.870 to 0.900      1.2            -    0.031\n"
        "vgg16     ridge  0.850 ± 0.012  0.870 to 0.900      1.2            -        -\n"
    )
    assert max(map(len, said.splitlines())) <= 80
    assert "for each percentage point of accuracy above" in " ".join(said.split())
    for kind in ("md", "latex"):
        assert "s/point" in featx("compare", "a", "b", "--cost", "--format", kind).stdout
    assert "s_per_point" in featx("compare", "a", "b", "--format", "csv").stdout


def test_pairs_have_no_cost(work: Workflow) -> None:
    result = featx("compare", "a", "b", "--cost", "--pairs")
    assert (result.exit_code, work.args) == (2, ())
    assert "leave out one" in result.stderr


def test_pairs_are_said(work: Workflow) -> None:
    header, row, *_ = featx("compare", "a", "b", "--pairs").stdout.splitlines()
    assert header.split("  ")[0] == "first"
    assert "0.039  0.010 to 0.070  0.02" in row


@pytest.mark.parametrize(
    ("kind", "start"),
    [("md", "| backbone | head |"), ("latex", "% \\usepackage"), ("csv", "run,name,head,")],
)
def test_formats(work: Workflow, kind: str, start: str) -> None:
    result = featx("compare", "a", "b", "--format", kind)
    assert result.stdout.startswith(start)
    # A CSV is a table and nothing else: what there is to say goes beside it.
    assert ("is best" in result.stderr) == (kind == "csv")
    assert ("is best" in result.stdout) == (kind != "csv")


def test_json_is_everything(work: Workflow) -> None:
    value = json.loads(featx("compare", "a", "b", "--json").stdout)
    assert value == found().to_json()
    assert value["runs"][0]["extract_s"] is None


@pytest.mark.parametrize(
    ("name", "start"),
    [("x.md", "| backbone"), ("x.TEX", "% "), ("x.csv", "run,"), ("x.txt", "backbone  head")],
)
def test_a_file_gets_the_format_of_its_name(
    work: Workflow, tmp_path: Path, name: str, start: str
) -> None:
    result = featx("compare", "a", "b", "-o", str(tmp_path / name))
    assert result.exit_code == 0, result.output
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    assert result.stdout.startswith("backbone  head")
    assert "written: " in result.stderr


def test_a_file_of_another_name_needs_a_format(work: Workflow, tmp_path: Path) -> None:
    file = tmp_path / "x.doc"
    result = featx("compare", "a", "b", "-o", str(file))
    assert (result.exit_code, work.args) == (2, ())
    assert "expected a name that ends with .md, .tex, .csv, .txt" in result.stderr
    assert featx("compare", "a", "b", "-o", str(file), "--format", "md").exit_code == 0
    assert file.read_text(encoding="utf-8").startswith("| backbone")


def test_help_says_both_uses() -> None:
    text = featx("compare", "--help").stdout
    assert "RUN...|DATA" in text
    assert "--backbone" in text
