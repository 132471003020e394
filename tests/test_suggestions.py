"""What columns are taken for where a command suggests the next one: as a fit would."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from featx import suggestions
from featx.problem import target_task
from featx.suggestions import roles

N = 40
FRAME = pd.DataFrame(
    {
        "label": ["cat", "dog"] * 20,
        "stars": np.arange(N) % 5 + 1,
        "age": np.linspace(1.5, 80, N),
        "years": np.arange(N) + 20,
        "mos": [f"{x:.2f}" for x in np.linspace(0, 1, N)],
        "some": [None, 2.5, 3.25, ""] * 10,
        "part": ["train", "train", "val", "Test"] * 10,
    }
)
NOTHING = pd.DataFrame(
    {
        "title": [f"picture {i}" for i in range(N)],
        "rare": ["a"] * (N - 2) + ["b"] * 2,
        "same": "x",
        "flat": 0.5,
        "empty": None,
        "id": np.arange(N),
        "patientId": np.arange(N) + 1000,
        "comma": ["3,5", "4,5"] * 20,
        "mixed": [1.5, 2.5, 3.5, "unknown"] * 10,
    }
)


def test_columns_are_taken_for_what_a_fit_takes_them_for() -> None:
    found = roles(FRAME, list(FRAME.columns))
    assert found.pop("part") == {"role": "split"}
    assert list(found) == ["label", "stars", "age", "years", "mos", "some"]
    assert [found[name].get("least") for name in ("label", "stars", "age")] == [20, 8, None]
    tasks = {name: one["role"] for name, one in found.items()}
    assert tasks == {name: target_task(FRAME, name, None, ()) for name in found}


def test_what_stands_for_no_number_is_to_be_named() -> None:
    frame = pd.DataFrame({"age": [*(np.arange(30) + 0.5), "NaN", "n/a", None, "NaN"]})
    found = roles(frame, ["age"])["age"]
    assert found == {"role": "regression", "missing": ["NaN", "n/a"]}
    assert target_task(frame, "age", None, found["missing"]) == "regression"


@pytest.mark.parametrize("name", NOTHING.columns)
def test_what_cannot_be_predicted_is_not_suggested(name: str) -> None:
    assert roles(NOTHING, [name]) == {}


def test_a_long_table_is_looked_at_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions, "MOST_ROWS", 10)
    frame = pd.DataFrame({"label": ["cat"] * 20 + ["dog"] * 20})
    assert roles(frame, ["label"])["label"]["role"] == "classification"


def test_few_of_a_class_are_counted() -> None:
    few = ["a"] * 9 + ["b"] * 8 + ["c"] * 2
    assert roles(pd.DataFrame({"x": few}), ["x"]) == {"x": {"role": "classification", "least": 2}}
    tiny = pd.DataFrame({"label": list("aabb"), "other": list("aabb")})
    assert roles(tiny, list(tiny)) == {"label": {"role": "classification", "least": 2}}
