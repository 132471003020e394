from __future__ import annotations

import copy
import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_fit import blobs, make
from helpers_photos import folder
from sklearn.metrics import root_mean_squared_error

import featx
from featx._types import Silent
from featx.comparison import Comparison, Run, compare, put_together, read_run
from featx.comparison import make as making
from featx.comparison.cost import points_gained
from featx.comparison.formats import Cells, csv_text, latex, latex_cell, markdown
from featx.comparison.result import _backbones as shown_backbones
from featx.comparison.words import Against, say_number, say_p, verdict
from featx.errors import (
    HeadTaskError,
    ModelFileError,
    NotFoundError,
    SchemaVersionError,
    SourceNotFoundError,
    TargetError,
    UnknownNameError,
    UsageError,
)
from featx.features import Features
from featx.metrics import METRICS, Metric
from featx.paired import Difference, bootstrap, corrected_t, mcnemar
from featx.result import FitResult

X, KIND = blobs(90)
X[::4] = X[::4, ::-1]  # so that heads err
NAMES = np.array(["cat", "NA", "<b>|*x*\n=1+1"])
COLUMNS: dict[str, Any] = {
    "label": NAMES[KIND],
    "age": (X[:, 0] * 3 + 40).round(1),
    "person": [f"p{i // 3}" for i in range(90)],
    "side": ["test" if i % 9 < 3 else "train" for i in range(90)],
}
ACCURACY, RMSE = METRICS["classification"][0], METRICS["regression"][1]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def features(home: Path) -> Features:
    return make(home / "cache", X, COLUMNS)


@pytest.fixture(scope="module")
def fitted(home: Path, features: Features) -> dict[tuple[Any, ...], tuple[Any, FitResult]]:
    """Fits by head, view and options; views are kept, or another would get their id."""
    return {}


@pytest.fixture
def fit(
    home: Path, features: Features, fitted: dict[tuple[Any, ...], tuple[Any, FitResult]]
) -> Any:
    def one(head: str, view: Features | None = None, **options: Any) -> FitResult:
        key = (head, id(view), *sorted(options.items()))
        if key not in fitted:
            chosen = {"search": False, "cv": "3", "n_jobs": 1, "out": home / "runs"} | options
            fitted[key] = view, featx.fit(view or features, head, **chosen)
        return fitted[key][1]

    return one


def only(found: Comparison) -> pd.Series[Any]:
    """The one pair of two runs."""
    assert len(found.pairs) == 1
    return found.pairs.iloc[0]


def folds(result: FitResult, metric: str) -> np.ndarray:
    return np.array([fold["metrics"][metric] for fold in result.record["folds"]])


def same(row: pd.Series[Any], expected: Difference) -> None:
    found = row[["difference", "low", "high", "p"]].to_numpy(dtype=float)
    d = expected
    np.testing.assert_allclose(found, [d.value, d.low, d.high, d.p], rtol=1e-10, atol=1e-14)
    assert (row["test"], row["n"]) == (d.test, d.n)


def test_folds_of_their_own_do_not_decide_who_is_first(fit: Any) -> None:
    """An RMSE of single rows is their mean absolute error, and lower than that of many rows."""
    few = fit("ridge", target="age", set="alpha=10")
    alone = fit("ridge", target="age", set="alpha=20", cv="90")
    assert alone.metrics["rmse"] < few.metrics["rmse"]
    found = compare(alone.path, few.path, metric="rmse")
    assert "had the better mean rmse over folds of its own" in found.notes[-1]
    assert list(found.table["run"]) == [few.path.name, alone.path.name]
    assert "worse" not in found.verdict
    d = found.pairs.iloc[0]
    assert d["difference"] < 0


@pytest.mark.parametrize(("repeats", "J"), [(1, 3), (4, 12)])
def test_the_same_splits_are_compared_split_by_split(fit: Any, repeats: int, J: int) -> None:
    svm, knn = fit("svm", repeats=repeats), fit("knn", repeats=repeats)
    found = compare(svm, knn)
    first, second = sorted((svm, knn), key=lambda r: -r.metrics["accuracy"])
    d = folds(first, "accuracy") - folds(second, "accuracy")
    row = only(found)
    assert len(d) == J
    same(row, corrected_t(d, 0.5))
    assert (row["units"], row["note"]) == ("splits", "")
    assert row["p_holm"] == row["p"]
    assert found.table["accuracy"].tolist() == [r.metrics["accuracy"] for r in (first, second)]
    assert f"corrected resampled t-test of {J} splits" in " ".join(found.notes)


def test_runs_on_disk_and_results_in_hand_are_the_same(fit: Any, home: Path) -> None:
    runs = [fit("svm"), fit("ridge"), fit("knn")]
    by_value = compare(*runs)
    by_name = compare(*[run.name for run in runs], out=home / "runs")
    by_path = compare(*[run.path for run in runs], metric="accuracy")
    for found in (by_name, by_path):
        assert found.to_json() == by_value.to_json()
    assert len(by_value.pairs) == 3
    p, adjusted = (by_value.pairs[name].to_numpy() for name in ("p", "p_holm"))
    assert (adjusted >= p).all()
    assert "p after Holm for 3 pairs" in " ".join(by_value.notes)
    json.dumps(by_value.to_json(), allow_nan=False)


def test_the_table_says_what_a_reader_asks(fit: Any) -> None:
    svm, ridge = fit("svm"), fit("ridge")
    table = compare(svm, ridge, metric=["accuracy", "f1_macro"]).table.set_index("head")
    row, score = table.loc["svm"], svm.record["metrics"]["accuracy"]
    assert row["accuracy_std"] == score["std"]
    assert (row["accuracy_low"], row["accuracy_high"]) == (
        score["corrected_low"],
        score["corrected_high"],
    )
    assert row["f1_macro"] == svm.metrics["f1_macro"]
    assert row["fit_s"] == pytest.approx(sum(svm.record["seconds"].values()))
    assert (row["run"], row["d"], row["n"]) == (svm.name, 12, 90)
    assert np.isnan(row["layers"])
    assert np.isnan([row["extract_s"], row["total_s"], row["s_per_point"]]).all()
    assert row["features"] == svm.record["features"]["label"]


def test_a_run_is_not_compared_with_itself(fit: Any) -> None:
    svm = fit("svm")
    for again in (svm, svm.path):
        with pytest.raises(UsageError, match=f"the run '{svm.name}' is named twice"):
            compare(svm, fit("ridge"), again)


def test_a_run_made_twice_shows_nothing(fit: Any, home: Path) -> None:
    found = compare(*(fit("svm", out=home / name) for name in ("one", "two")))
    assert found.table["name"].tolist() == [
        "squeezenet1_1:features:avg@224 + svm (1)",
        "squeezenet1_1:features:avg@224 + svm (2)",
    ]
    assert (only(found)["difference"], only(found)["p"]) == (0, 1)
    assert " has, with " in found.verdict
    assert "can be told" in found.verdict


def rows_of(result: FitResult) -> pd.DataFrame:
    return result.predictions.set_index("path")


def test_one_split_of_single_rows_is_a_table_of_right_and_wrong(fit: Any) -> None:
    svm, knn = fit("svm", test_size=0.4), fit("knn", test_size=0.4)
    first, second = sorted((svm, knn), key=lambda r: -r.metrics["accuracy"])
    right = [r["target"] == r["prediction"] for r in map(rows_of, (first, second))]
    row = only(compare(svm, knn))
    same(row, mcnemar(right[0].to_numpy(), right[1].to_numpy()))
    assert (row["units"], row["note"]) == ("rows", "")


def test_one_split_of_a_regression_draws_rows(fit: Any) -> None:
    runs = [fit(head, target="age", task="regression", test_size=0.4) for head in ("ridge", "knn")]
    found = compare(*runs)
    assert found.metrics == ("rmse",)
    first, second = sorted(runs, key=lambda r: r.metrics["rmse"])
    y = rows_of(first)["target"]
    errors = [root_mean_squared_error(y, rows_of(r)["prediction"]) for r in (first, second)]
    row = only(found)
    assert row["difference"] == pytest.approx(errors[0] - errors[1])
    assert (row["test"], row["units"], row["n"]) == ("paired bootstrap", "rows", len(y))
    assert row["low"] <= row["difference"] <= row["high"]
    best = first.record["head"]
    assert found.verdict.startswith(f"squeezenet1_1 + {best}")


def test_groups_are_the_units(fit: Any) -> None:
    runs = [fit(head, split="side", group="person") for head in ("svm", "knn")]
    row = only(compare(*runs))
    assert (row["test"], row["units"], row["n"]) == ("paired bootstrap", "groups", 10)
    loose = fit("ridge", split="side")
    pair = only(compare(runs[0], loose))
    assert (pair["units"], pair["n"]) == ("groups", 10)
    assert (only(compare(loose, fit("knn", split="side")))["units"]) == "rows"


def test_groups_of_two_kinds_are_joined(home: Path, fit: Any) -> None:
    """Pairs (0 1)(2 3).. and (1 2)(3 4).. make chains; here two chains of 45 rows."""
    columns = {
        "label": COLUMNS["label"],
        "one": [i // 2 if i % 45 else -i for i in range(90)],
        "two": [(i + 1) // 2 if i % 45 else 100 + i for i in range(90)],
    }
    rows = np.arange(90)
    columns["one"] = ["a" if i < 3 else f"a{i}" for i in rows]
    columns["two"] = ["b" if 2 <= i < 6 else f"b{i}" for i in rows]
    view = make(home / "joined", X, columns)
    runs = [fit("svm", view, group="one", cv="2"), fit("knn", view, group="two", cv="3")]
    pair = only(compare(*runs))
    assert (pair["units"], pair["n"]) == ("groups", 85)  # rows 0 to 5 are one


def test_other_splits_are_compared_on_the_rows_that_both_tested(fit: Any) -> None:
    runs = [fit("svm"), fit("knn", seed=1)]
    found = compare(*runs)
    pair = only(found)
    assert (pair["test"], pair["n"]) == ("McNemar's exact test", 90)
    note = "the splits differ: compared on the 90 rows that both tested, not for other training"
    assert note in pair["note"]
    assert note in " ".join(found.notes)
    right = [rows_of(r).loc[rows_of(runs[0]).index] for r in runs]
    hits = [float((r["target"] == r["prediction"]).mean()) for r in right]
    assert abs(pair["difference"]) == pytest.approx(abs(hits[0] - hits[1]))


def test_scores_of_other_rows_than_the_differences_are_told(fit: Any) -> None:
    whole, part = fit("svm"), fit("knn", test_size=0.2)
    found = compare(whole, part)
    n = found.table.set_index("head")["n"]
    assert (n["svm"], n["knn"]) == (90, 18)
    scores = found.table["accuracy"]
    told = f"is {say_number(only(found)['difference'])} there and "
    told += f"{say_number(scores[0] - scores[1])} in the table"
    assert told in found.notes[-1]
    assert "of the rows that both runs tested" in found.notes[-1]
    assert not any("in the table" in note for note in compare(whole, fit("knn")).notes)


def test_the_first_is_said_to_be_picked_by_its_score(fit: Any) -> None:
    assert "first by the very accuracy that is shown" in compare(fit("svm"), fit("knn")).notes[1]


def test_a_ranking_metric_of_other_splits_is_drawn(fit: Any) -> None:
    pair = only(compare(fit("svm"), fit("knn", seed=1), metric="roc_auc"))
    assert pair["test"] == "paired bootstrap"
    assert pair["low"] <= pair["difference"] <= pair["high"]


def test_grown_data_is_compared_on_what_both_have(home: Path, fit: Any) -> None:
    part = make(home / "part", X[:60], {k: v[:60] for k, v in COLUMNS.items()})
    pair = only(compare(fit("svm"), fit("svm", part)))
    assert pair["n"] == 60
    assert "the splits differ" in pair["note"]


def test_corrected_labels_leave_out_the_rows_that_changed(home: Path, fit: Any) -> None:
    labels = COLUMNS["label"].copy()
    labels[:4] = labels[1:5]
    other = make(home / "relabelled", X, COLUMNS | {"label": labels})
    assert only(compare(fit("svm"), fit("svm", other)))["n"] == 86


def test_other_images_are_not_compared(home: Path, fit: Any) -> None:
    """The same paths, but other bytes."""
    other = make(home / "other", X, COLUMNS, contents=[f"other {i}" for i in range(90)])
    found = compare(fit("svm"), fit("knn", other))
    pair = only(found)
    assert np.isnan([pair["difference"], pair["p"], pair["p_holm"], pair["n"]]).all()
    assert pair["note"] == "they were fitted on different images"
    assert "not tested against" in found.verdict
    assert not any("tested by" in note for note in found.notes)
    assert "| - | - | - | - |" in found.to_markdown(pairs=True)
    unknown = fit("svm", other, out=None)  # nothing on disk says which images these were
    assert only(compare(fit("svm"), unknown))["note"] == "they were fitted on different images"


def test_rows_that_only_one_tested_tell_nothing(fit: Any, home: Path) -> None:
    features = make(home / "halves", X, COLUMNS | {
        "a": ["test" if i < 45 else "train" for i in range(90)],
        "b": ["train" if i < 45 else "test" for i in range(90)],
    })  # fmt: skip
    pair = only(compare(fit("svm", features, split="a"), fit("svm", features, split="b")))
    assert "rows that both tested: 0" in pair["note"]


def test_sizes_of_training_sets_are_told_and_count(fit: Any) -> None:
    small, whole = fit("svm", train_per_class=5), fit("svm")
    pair = only(compare(small, whole))
    assert pair["note"] in ("trained on 15 and 60 rows", "trained on 60 and 15 rows")
    d = folds(whole, "accuracy") - folds(small, "accuracy")
    expected = corrected_t(d if d.mean() >= 0 else -d, 30 / 15)
    same(pair, expected)


def test_a_metric_that_one_head_does_not_have(fit: Any) -> None:
    found = compare(fit("logreg"), fit("svm"), metric="log_loss")
    assert only(found)["note"] == "log_loss is not known of svm"
    assert found.table["head"].tolist() == ["logreg", "svm"]  # the one without a value comes last
    assert "the lowest log_loss" in found.verdict
    with pytest.raises(UsageError, match="no run has a value of log_loss; they have accuracy"):
        compare(fit("svm"), fit("ridge"), metric="log_loss")


def test_a_metric_that_is_undefined_in_most_splits(fit: Any) -> None:
    runs = [read_run(fit(head)) for head in ("svm", "knn")]
    for fold in runs[1].record["folds"][1:]:
        fold["metrics"]["roc_auc"] = None
    found = put_together(runs, ["roc_auc"])
    assert only(found)["note"] == "roc_auc is undefined in all splits but 1"


def test_kendalls_of_too_many_rows_is_not_drawn(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [fit(h, target="age", task="regression", test_size=0.4) for h in ("ridge", "knn")]
    metric = next(m for m in METRICS["regression"] if m.name == "krocc")
    monkeypatch.setattr("featx.comparison.pairing.bootstrap", None)
    object.__setattr__(metric, "max_resampled", 10)
    try:
        assert "is too slow" in only(compare(*runs, metric="krocc"))["note"]
    finally:
        object.__setattr__(metric, "max_resampled", 5000)


def test_runs_of_different_classes_are_refused(fit: Any, features: Features) -> None:
    fewer = fit("svm", missing="cat")
    with pytest.raises(UsageError, match=r"(?s)different classes apart .*, NA; .*, NA, cat\)"):
        compare(fewer, fit("svm"))
    assert len(compare(fewer, fit("ridge", missing="cat")).table) == 2


def test_runs_of_different_targets_are_refused(fit: Any) -> None:
    other = fit("ridge", target="age", task="regression")
    with pytest.raises(UsageError, match=r"predict different things .*age \(regression\)"):
        compare(fit("svm"), other)


def test_what_is_no_pair_of_runs(fit: Any, home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 run to compare; expected two or more"):
        compare(fit("svm"))
    with pytest.raises(UsageError, match="a run of type int"):
        compare(1, 2)
    with pytest.raises(UsageError, match=r"got a list of 2 runs; .* compare\('a', 'b'\), or"):
        compare(["a", "b"], out=tmp_path)
    with pytest.raises(UsageError, match=r"compare\(\.\.\., 'b', 'c', \.\.\.\), or compare\(\*"):
        compare((fit("svm"), "b", "c", "d"))
    with pytest.raises(NotFoundError, match="featx fit"):
        compare("a", "b", out=tmp_path)
    with pytest.raises(UnknownNameError, match="did you mean"):
        compare("svm-blobs", "b", out=home / "runs")
    with pytest.raises(UsageError, match="'accurcy' is none of a classification"):
        compare(fit("svm"), fit("knn"), metric="accurcy")
    with pytest.raises(UsageError, match="'cv' is for runs that are made here"):
        compare(fit("svm"), fit("knn"), cv="3")


@pytest.mark.parametrize(
    ("file", "damage", "said"),
    [
        ("result.json", lambda text: text[: len(text) // 2], "no whole JSON"),
        ("result.json", lambda _: "[]", "has no 'schema'"),
        ("result.json", lambda _: "{}", "has no 'schema'"),
        ("result.json", lambda _: "\udcff", "no text in UTF-8"),
        ("result.json", lambda text: text.replace('"schema": 1', '"schema": "x"'), "no number"),
        ("predictions.csv", None, "it is not there"),
        ("predictions.csv", lambda _: "", "it is empty"),
        ("predictions.csv", lambda _: "\n", "no CSV table"),
        ("predictions.csv", lambda text: text.replace('"fold"', '"f"'), "no column 'fold'"),
        ("predictions.csv", lambda text: "".join(text.splitlines(True)[:9]), "rows, and"),
        ("predictions.csv", lambda text: text.rstrip().rsplit(",", 1)[0], "last row is cut off"),
        ("predictions.csv", lambda text: text.rstrip() + "x\n", "is no number"),
    ],
)
def test_a_damaged_run_is_named(
    fit: Any, tmp_path: Path, file: str, damage: Callable[[str], str] | None, said: str
) -> None:
    copy = shutil.copytree(fit("svm").path, tmp_path / "copy")
    text = (copy / file).read_text(encoding="utf-8")
    (copy / file).unlink()
    if damage is not None:
        (copy / file).write_text(damage(text), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(
        ModelFileError, match=f"{file} cannot be read: .*{said}.*make the run again"
    ):
        compare(copy, fit("knn"))


def test_a_run_of_a_newer_featx_is_refused(fit: Any, tmp_path: Path) -> None:
    copy = shutil.copytree(fit("svm").path, tmp_path / "copy")
    record = json.loads((copy / "result.json").read_text(encoding="utf-8")) | {"schema": 99}
    (copy / "result.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(SchemaVersionError, match="schema 99"):
        compare(copy, fit("knn"))


# What is said


def against(name: str, value: float, p: float) -> Against:
    return Against(name, Difference(value, value - 0.01, value + 0.01, p, "t", 5), p)


NAN = float("nan")
UNTESTED = Against("E", None, NAN, "they were fitted on different images")


LEAD = "A has the highest accuracy (0.889)"
BY_021 = "better than B by 0.021 (95 % 0.011 to 0.031, p = 0.02"
VERDICTS: dict[str, tuple[list[str], list[Against], int]] = {
    f"A is best (accuracy 0.889); {BY_021})": ([], [against("B", 0.021, 0.02)], 1),
    f"{LEAD}; {BY_021} after Holm); no difference to C (p = 0.4) can be told": (
        [],
        [against("B", 0.021, 0.02), against("C", 0.001, 0.4)],
        3,
    ),
    "A has, with B, the highest accuracy (0.889); no difference to B (p = 1) can be told": (
        ["B"],
        [against("B", 0.0, 1.0)],
        1,
    ),
    f"{LEAD}; worse than B by 0.030 (95 % 0.020 to 0.040, p < 0.001); "
    "not tested against E: they were fitted on different images": (
        [],
        [UNTESTED, against("B", -0.03, 0.0001)],
        1,
    ),
    f"{LEAD}; no difference to B (p cannot be given) can be told": (
        [],
        [against("B", 0.1, NAN)],
        0,
    ),
    "A is best (accuracy 0.889); better than all 4 others (every p <= 0.04 after Holm), the least "
    "of these differences being that to B: 0.020 (95 % 0.010 to 0.030, p = 0.04 after Holm)": (
        [],
        [against("B", 0.02, 0.04), *(against(x, 0.1, 0.001) for x in "CDE")],
        10,
    ),
    "A has, with B, C, D and 1 more, the highest accuracy (0.889); no difference to any of the 4 "
    "others can be told, the smallest p being that of B (p = 1)": (
        list("BCDE"),
        [against(x, 0.0, 1.0) for x in "BCDE"],
        10,
    ),
    f"{LEAD}; better than Z by 0.200 (95 % 0.190 to 0.210, p = 0.01 after Holm); no difference to "
    "4 of the 5 others can be told, the smallest p being that of B (p = 0.2)": (
        [],
        [against("Z", 0.2, 0.01), *(against(x, 0.01, 0.2) for x in "BCDE")],
        15,
    ),
}


@pytest.mark.parametrize("said", VERDICTS)
def test_the_verdict(said: str) -> None:
    ties, others, m = VERDICTS[said]
    assert verdict("A", 0.8893, ties, others, ACCURACY, m) == said


def test_where_less_is_better_the_verdict_turns_around() -> None:
    d = Difference(-0.5, -0.8, -0.2, 0.01, "t", 5)
    said = verdict("A", 3.25, [], [Against("B", d, 0.01)], RMSE, 1)
    assert said == (
        "A is best (rmse 3.250); better than B by 0.500 (95 % 0.200 to 0.800, p = 0.01)"
    )


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.0004, "p < 0.001"), (0.0496, "p = 0.0496"), (0.05, "p = 0.05"), (0.0504, "p = 0.05"),
     (0.049999, "p = 0.049999"), (0.02, "p = 0.02"), (1.0, "p = 1")],
)  # fmt: skip
def test_p_is_said_on_its_side_of_the_level(p: float, said: str) -> None:
    assert say_p(p) == said


def test_numbers_are_said_so_that_they_are_not_nothing() -> None:
    said = [say_number(v) for v in (-4e-17, 0.00012, -0.0004, 0.5, 123.456, NAN)]
    assert said == ["0.000", "0.0001", "-0.0004", "0.500", "123.5", "-"]


# How it is written

HOSTILE = [
    "a|b", "=1+1", "@x", "-2", "+cmd|' /C calc'!A0", "x\ny\r\tz", "\\alpha{}_^~&%$#", "[2] *x*",
    '<b>"q"`', "\x1b[31m", "--", "é ± €", "",
]  # fmt: skip


def test_csv_holds_no_formula_and_no_broken_row() -> None:
    table = pd.DataFrame({"=a": HOSTILE, "n": [1.5, NAN, -2.0] + [0.0] * (len(HOSTILE) - 3)})
    header, *rows = csv.reader(io.StringIO(csv_text(table), newline=""))
    assert header == ["'=a", "n"]
    assert [len(row) for row in rows] == [2] * len(HOSTILE)
    assert [row[1] for row in rows[:3]] == ["1.5", "", "-2.0"]
    texts = [row[0] for row in rows]
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@"))]
    assert [t.removeprefix("'") for t in texts if "a" in t] == ["a|b", HOSTILE[4], HOSTILE[6]]
    assert texts[5] == "x y z"


def undo(text: str) -> str:
    """Read LaTeX back, as far as `latex_cell` writes it."""
    names = {"textbackslash": "\\", "textasciicircum": "^", "textasciitilde": "~"}
    names |= {"textless": "<", "textgreater": ">", "textbar": "|"}
    names |= {"textquotedbl": '"', "textasciigrave": "`"}
    for name, mark in names.items():
        text = text.replace(f"\\{name}{{}}", f"\0{ord(mark)}\0")
    text = text.replace("$\\pm$", "±").replace("$-$", "-").replace("-{}-", "--")
    for mark in "[]*":
        text = text.replace(f"{{{mark}}}", mark)
    for mark in "{}$&#%_":
        text = text.replace(f"\\{mark}", f"\0{ord(mark)}\0")
    assert not set(text) & set("\\{}$&#%_^~")
    parts = text.split("\0")
    return "".join(chr(int(p)) if i % 2 else p for i, p in enumerate(parts))


@pytest.mark.parametrize("text", HOSTILE)
def test_latex_shows_a_text_as_it_is(text: str) -> None:
    plain = " ".join(text.split()).replace("\x1b", " ")
    assert undo(latex_cell(text)) == plain
    assert "\n" not in latex_cell(text)


def test_latex_is_a_booktabs_table() -> None:
    cells = Cells(["a_b", "n"], [["[x]", "-1.5"], ["*", "2"]], frozenset([1]))
    assert latex(cells) == (
        "% \\usepackage{booktabs}\n\\begin{tabular}{lr}\n\\toprule\na\\_b & n \\\\\n\\midrule\n"
        "{[}x{]} & $-$1.5 \\\\\n{*} & 2 \\\\\n\\bottomrule\n\\end{tabular}\n"
    )


def test_markdown_keeps_its_columns() -> None:
    text = markdown(Cells(["a", "n"], [[cell, "1"] for cell in HOSTILE], frozenset([1])))
    header, marks, *rows = text.splitlines()
    assert (header, marks) == ("| a | n |", "| --- | ---: |")
    assert len(rows) == len(HOSTILE)
    assert {row.replace("\\|", "").count("|") for row in rows} == {3}


def test_a_comparison_shows_itself(fit: Any) -> None:
    found = compare(fit("svm"), fit("ridge"), fit("knn"))
    assert found.verdict in repr(found)
    html = found._repr_html_()
    assert "<table" in html
    assert "font-weight:bold" in html
    assert found.to_markdown().startswith("| backbone | head | accuracy |")
    assert found.to_latex().count("\\\\\n") == 4
    last = found.to_latex().splitlines()[-1]
    assert last.startswith("% ")
    assert len(list(csv.reader(io.StringIO(found.to_csv())))) == 4
    assert len(list(csv.reader(io.StringIO(found.to_csv(pairs=True))))) == 4
    wide = found.cells(pairs=True)
    assert wide.header[2] == "accuracy"
    assert {len(row) for row in wide.rows} == {len(wide.header)}


def test_what_tells_runs_apart_is_shown(fit: Any) -> None:
    one, two = fit("svm"), fit("svm", seed=1)
    found = compare(one, two)
    assert list(found.table["name"]) == list(found.table["run"])
    assert found.cells().header[0] == "run"
    assert "layers" not in found.cells().header  # nobody knows them here


def test_runs_are_named_by_what_tells_them_apart(fit: Any) -> None:
    runs = [read_run(fit("svm")), read_run(fit("svm", seed=1))]

    def names(**changed: str) -> list[str]:
        features = copy.deepcopy(runs[1].record["features"])
        features["recipe"] |= changed
        features["label"] = " ".join(features["recipe"][k] for k in ("layer", "pooling"))
        other = replace(runs[1], record={**runs[1].record, "features": features})
        return put_together([runs[0], other]).table["name"].tolist()

    assert set(names(backbone="vgg16")) == {"squeezenet1_1 + svm", "vgg16 + svm"}
    assert set(names(pooling="max")) == {"squeezenet1_1 avg + svm", "squeezenet1_1 max + svm"}
    both = {"squeezenet1_1 features + svm", "squeezenet1_1 features.3 + svm"}
    assert set(names(layer="features.3")) == both
    assert set(names()) == {"squeezenet1_1:features:avg@224 + svm", "features avg + svm"}


# What it took


@pytest.mark.parametrize(
    ("value", "baseline", "metric", "points"),
    [(0.8, 0.5, ACCURACY, 30), (0.4, 0.5, ACCURACY, -10), (0.8, NAN, ACCURACY, NAN),
     (6.0, 8.0, RMSE, 25), (9.0, 8.0, RMSE, -12.5), (0.0, 0.0, RMSE, NAN), (NAN, 8.0, RMSE, NAN)],
)  # fmt: skip
def test_points_above_the_baseline(
    value: float, baseline: float, metric: Metric, points: float
) -> None:
    assert points_gained(value, baseline, metric) == pytest.approx(points, nan_ok=True)


def timed(result: FitResult, **changed: Any) -> Run:
    run = read_run(result)
    return replace(run, record={**run.record, "seconds": {"a": 1.5, "b": 0.5}, **changed})


@pytest.mark.parametrize(("task", "metric"), [("label", "accuracy"), ("age", "rmse")])
def test_a_point_costs_extraction_and_fit(fit: Any, task: str, metric: str) -> None:
    runs = [timed(fit(head, target=task), extract_s=6.0) for head in ("ridge", "knn")]
    found = put_together(runs)
    for run in runs:
        row = found.table.set_index("head").loc[run.record["head"]]
        score, base = (run.record[k][metric]["mean"] for k in ("metrics", "baseline"))
        gain = 100 * (score - base if metric == "accuracy" else 1 - score / base)
        assert (row["fit_s"], row["extract_s"], row["total_s"]) == (2, 6, 8)
        assert row["gain"] == pytest.approx(gain)
        assert row["s_per_point"] == pytest.approx(8 / gain)
    cells = found.cells(cost=True)
    assert list(cells.header[-3:]) == ["fit (s)", "extract (s)", "s/point"]
    assert metric in found.said(cost=True)[-1]
    assert len(found.said()) == len(found.said(cost=True)) - 1
    assert "s/point" in found.to_markdown(cost=True)
    assert "s/point" in found.to_latex(cost=True)
    assert "s/point" not in found.to_markdown() + found.to_latex() + repr(found)


def test_what_is_not_known_or_not_gained_has_no_cost(fit: Any) -> None:
    worse = {"accuracy": {"mean": 1.0}}
    runs = [timed(fit("ridge"), extract_s=6.0, baseline=worse), timed(fit("knn"), extract_s=None)]
    found = put_together(runs)
    assert found.table["s_per_point"].isna().all()
    costs = [list(row)[-2:] for row in found.cells(cost=True).rows]
    assert sorted(costs) == [["-", "-"], ["6.0", "-"]]
    assert {row["s_per_point"] for row in found.to_json()["runs"]} == {None}


@pytest.mark.parametrize(
    "kept", [None, {"label": "resnet18, trained"}, {"recipe": {"backbone": "resnet18"}}]
)
def test_a_run_without_a_store_costs_its_own_seconds(fit: Any, tmp_path: Path, kept: Any) -> None:
    """Such as a network that was trained on the images themselves."""
    copied = shutil.copytree(fit("ridge").path, tmp_path / "trained")
    record = json.loads((copied / "result.json").read_text(encoding="utf-8"))
    for name in ("features", "d", "extract_s"):
        del record[name]
    record |= {"head": "finetune", "seconds": {"train": 90.0, "score": 10.0}}
    record |= {"backbone": "resnet18"} if kept is None else {"features": kept}
    (copied / "result.json").write_text(json.dumps(record), encoding="utf-8")
    found = compare(copied, fit("knn"))
    row = found.table.set_index("head").loc["finetune"]
    assert row["backbone"].startswith("resnet18")
    assert (row["fit_s"], row["extract_s"], row["total_s"]) == (100, 0, 100)
    assert row["s_per_point"] == pytest.approx(100 / row["gain"])
    assert np.isnan(row["d"])
    assert "-" in [cell for cells in found.cells().rows for cell in cells]
    for file in ("images.npy", "head.skops", "model.json"):
        (copied / file).unlink()
    assert not np.isnan(only(compare(copied, fit("knn")))["p"])  # the manifest is the same


# Made here


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("photos") / "shots", 6)


OPTIONS: dict[str, Any] = {"cv": "3", "n_jobs": 1, "search": False}


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def test_runs_are_made_and_cached_features_are_used(photos: Path, tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "backbone": "helpers_photos:tiny",
        "head": ["svm", "ridge"],
        "cache": tmp_path / "cache",
        "out": tmp_path / "runs",
    }
    small, said = {"pools": ["avg"], "image_size": 40}, Said()
    first = compare(str(photos), extract=small, progress=said, **asked, **OPTIONS)
    assert sorted(first.table["head"]) == ["ridge", "svm"]
    assert (first.table["extract_s"] > 0).all()
    assert (first.table["layers"] == 2).all()
    assert sorted(p.name for p in (tmp_path / "runs").glob("*-*")) == sorted(first.table["run"])
    assert [line for line in said.lines if line.startswith("svm on ")]
    part = compare(photos, extract={**small, "limit": 16}, metric="f1_macro", **asked, **OPTIONS)
    np.testing.assert_allclose(part.table["extract_s"] * 18, first.table["extract_s"] * 16)
    assert set(part.table["n"]) == {16}
    assert part.metrics == ("f1_macro",)
    cached = compare("shots", **asked, **OPTIONS)
    np.testing.assert_allclose(cached.table["extract_s"], first.table["extract_s"])
    assert set(cached.table["n"]) == {18}  # the part did not take the place of the whole
    assert "extract (s)" not in cached.cells().header


def test_a_data_set_of_the_cache_is_taken_as_it_is(features: Features, home: Path) -> None:
    asked: dict[str, Any] = {"cache": home / "cache", "out": None}
    found = compare("blobs", backbone="squeezenet1_1", head=["svm", "ridge"], **asked, **OPTIONS)
    assert set(found.table["run"]) == {""}
    assert not np.isnan(only(found)["p"])
    with pytest.raises(UsageError, match="'image_size', give the folder"):
        compare("blobs", backbone="vgg16", head=["svm", "knn"], extract={"image_size": 40}, **asked)
    with pytest.raises(HeadTaskError, match="'svr' does regression"):
        compare("blobs", backbone="squeezenet1_1", head=["svr", "svm"], **asked)
    with pytest.raises(NotFoundError, match="no store 'vgg16'"):
        compare("blobs", backbone=["squeezenet1_1", "vgg16"], head="svm", **asked)


@pytest.mark.parametrize(
    ("asked", "options", "error", "words"),
    [
        ({"backbone": "vgg16", "head": ["svr", "svm"]}, {}, HeadTaskError, "'svr' does regression"),
        ({"backbone": "vgg16", "head": ["smv", "ridge"]}, {}, UnknownNameError, "'svm'"),
        ({"backbone": ["vgg99", "vgg16"], "head": "svm"}, {}, UnknownNameError, "'vgg19'"),
        ({"backbone": "vgg16", "head": "svm"}, {}, UsageError, "make one run"),
        ({"backbone": "vgg16"}, {}, UsageError, "--head is missing"),
        ({"head": "svm"}, {}, UsageError, "--backbone is missing"),
        ({"backbone": "vgg16", "head": ["svm", "knn"]}, {"tset_size": 1}, UnknownNameError,
         "'test_size'"),
        ({"backbone": "vgg16", "head": ["svm", "knn"], "extract": {"lmit": 1}}, {},
         UnknownNameError, "'limit'"),
        ({"backbone": "vgg16", "head": ["svm", "knn"]}, {"target": "lable"}, UnknownNameError,
         "'label'"),
        ({"backbone": "vgg16", "head": ["svm", "knn"]}, {"missing": "bird,cat,dog"}, TargetError,
         "no row has a value"),
    ],
)  # fmt: skip
def test_slips_are_found_before_the_first_image(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, Any], options: dict[str, Any], error: type[Exception], words: str,
) -> None:  # fmt: skip
    def stop(*args: Any, **options: Any) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr("featx.extraction.run_pass", stop)
    monkeypatch.setattr(making, "fit", stop)
    with pytest.raises(error, match=words):
        compare(photos, cache=tmp_path, out=tmp_path / "runs", **asked, **options)
    assert not (tmp_path / "runs").exists()


def test_data_must_be_named_and_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="DATA is missing"):
        compare(backbone="vgg16", head=["svm", "knn"])
    with pytest.raises(SourceNotFoundError, match="there is no"):
        compare("nowhere", backbone="vgg16", head=["svm", "knn"], cache=tmp_path)


def test_bootstrap_of_the_pair_is_that_of_its_metric(fit: Any) -> None:
    runs = [fit(h, target="age", task="regression", test_size=0.4) for h in ("ridge", "knn")]
    first, second = (rows_of(r) for r in sorted(runs, key=lambda r: r.metrics["rmse"]))
    y = first["target"].to_numpy(dtype=float)
    squares = [(y - r["prediction"].to_numpy(dtype=float)) ** 2 for r in (first, second)]
    expected = bootstrap(
        lambda W: np.subtract(*(np.sqrt((W @ s) / W.sum(axis=1)) for s in squares)),
        np.arange(len(y)),
    )
    same(only(compare(*runs)), expected)


def test_many_fused_features_are_counted() -> None:
    fused = " + ".join(f"vgg16:features.{i}:avg@224" for i in range(8))
    table = pd.DataFrame({"backbone": ["vgg16", "vgg16"], "features": [fused, "vgg16:avg@224"]})
    assert shown_backbones(table) == ["vgg16 (8 fused)", "vgg16:avg@224"]
