from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_cli import Workflow, featx, replace_module

SCORE = {"mean": 0.875, "std": None, "low": 0.8, "high": 0.9}


def fake_predict(
    monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame, metrics: Any = None
) -> Workflow:
    failed = int((frame["status"] != "ok").sum())
    value = {
        "rows": len(frame),
        "predicted": len(frame) - failed,
        "failed": failed,
        "metrics": metrics,
        "notes": [],
    }
    workflow = Workflow(SimpleNamespace(frame=frame, to_json=lambda: value))
    replace_module(monkeypatch, "prediction", predict=workflow)
    return workflow


def labels() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": ["a.jpg", "b\n.jpg"],
            "prediction": ["cat", None],
            "probability_cat": [0.9, np.nan],
            "probability_dog": [0.1, np.nan],
            "status": ["ok", "failed"],
            "reason": ["", "zero bytes"],
        }
    )


def test_a_table_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    predict = fake_predict(monkeypatch, labels(), {"accuracy": SCORE})
    words = "predict runs/a photos more --evaluate --missing NA --max-failed 1 --cache-new"
    result = featx(*words.split())
    assert result.exit_code == 0, result.stderr
    assert predict.args == ("runs/a", ["photos", "more"])
    assert predict.options["missing"] == ("NA",)
    assert predict.options["cache_new"] is True
    assert result.stdout == (
        "path     prediction  score  reason\n"
        "a.jpg    cat         0.9\n"
        "b\\n.jpg  -           -      zero bytes\n"
        "2 rows: 1 predicted, 1 failed\n"
        "metric    value   95 % interval\n"
        "accuracy  0.875  0.800 to 0.900\n"
    )


def test_numbers_have_no_score_and_long_tables_end(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"path": [f"{i}.jpg" for i in range(25)], "prediction": 31.25})
    fake_predict(monkeypatch, frame.assign(status="ok", reason=""))
    text = featx("predict", "runs/a", "photos").stdout
    assert text.startswith("path    prediction  reason\n0.jpg   31.250\n")
    assert "and 5 more; -o FILE writes them all\n25 rows: 25 predicted\n" in text


def test_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    predict = fake_predict(monkeypatch, labels())
    result = featx("predict", "a", "x", "-o", "out.csv", "--max-failed", "50%")
    assert result.exit_code == 0
    assert predict.options["output"] == "out.csv"
    assert result.stdout.startswith("2 rows: 1 predicted, 1 failed\nwritten to ")
    fake_predict(monkeypatch, labels())
    value = json.loads(featx("predict", "a", "x", "-o", "o.csv", "--json").stdout)
    assert "predictions" not in value


@pytest.mark.parametrize("allowed", ["0", "10%"])
def test_too_many_failed(monkeypatch: pytest.MonkeyPatch, allowed: str) -> None:
    fake_predict(monkeypatch, labels())
    result = featx("predict", "a", "x", "--json", "--max-failed", allowed)
    assert result.exit_code == 3
    value = json.loads(result.stdout)
    assert value["predictions"][0]["probability_cat"] == 0.9
    assert value["predictions"][1]["prediction"] is None
    assert "1 of 2 images have no prediction, more than the 0 that --max-failed" in result.stderr


def test_an_exact_interval_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    how = "95 % exact interval (Clopper and Pearson) of 9 units (row)"
    score = {"mean": 1.0, "low": 0.66, "high": 1.0, "how": how}
    fake_predict(monkeypatch, labels(), {"accuracy": score})
    text = featx("predict", "a", "x", "-o", "o.csv", "--max-failed", "50%").stdout
    assert "95 % interval of accuracy: exact, after Clopper and Pearson\n" in text
