"""What a report says of a run, against numpy, pandas and scikit-learn."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_cli import featx
from helpers_fit import blobs, make
from sklearn.decomposition import PCA
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score
from test_report_page import Reader, data_of

from featx.curves import curve
from featx.errors import CacheWriteError, NotFoundError, UnknownNameError, UsageError
from featx.features import load
from featx.fitting import fit
from featx.metrics import METRICS
from featx.metrics.meanings import MEANINGS
from featx.reporting import Report, report
from featx.reporting.embedding_map import map_of
from featx.reporting.glossary import WORDS
from featx.reporting.recalls import recalls
from featx.reporting.subject import Subject, read_subject
from featx.reporting.text import assigned, interval, listed, number, sentence, spread
from featx.reporting.words import methods, summary
from featx.result import FitResult

N = 90
X, KIND = blobs(N)
NAMES = np.array(["cat", "dog", "eel"])
FLIP = np.random.default_rng(1).random(N) < 0.3
LABEL = np.where(FLIP, NAMES[(KIND * 2 + 1) % 3], NAMES[KIND])
AGE = X[:, 0] * 3 + 40 + np.random.default_rng(2).normal(size=N) * 4
QUICK: dict[str, Any] = {"search": False, "cv": "3", "n_jobs": 1}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``cache`` and ``runs``."""
    folder = tmp_path_factory.mktemp("reports")
    make(folder / "cache", X, {"label": LABEL, "age": AGE})
    return folder


def fitted(place: Path, head: str = "svm", **options: Any) -> FitResult:
    cache = place / "cache"
    given: dict[str, Any] = {"out": place / "runs"} | QUICK | options
    return fit(load("blobs", cache=cache), head, cache=cache, **given)


@pytest.fixture(scope="module")
def classes(place: Path) -> FitResult:
    return fitted(place, search=True, grid="C=1,0.01,0.1", name="classes")


@pytest.fixture(scope="module")
def numbers(place: Path) -> FitResult:
    return fitted(place, "ridge", search=True, target="age", name="numbers")


def made(place: Path, runs: Any = None, **options: Any) -> Report:
    given: dict[str, Any] = {"out": place / "runs", "cache": place / "cache", "curve": False}
    return report(runs, **given | options)


def read(report: Report) -> str:
    return report.path.read_text(encoding="utf-8")


def texts(page: str) -> str:
    """Give all that a reader can see of a page, in one line."""
    seen = (text for tag, text in Reader(page).texts if tag not in ("script", "style"))
    return " ".join(" ".join(seen).split())


def subject_of(run: FitResult, place: Path) -> Subject:
    return read_subject(run, place / "cache", place / "runs")


def test_a_classification_shows_everything(place: Path, classes: FitResult) -> None:
    found = made(place, classes, curve=None)
    assert found.path == place / "runs" / "classes" / "report.html"
    assert list(found.figures) == [
        *("confusion-matrix", "class-scores", "search-C", "map", "learning-curve"),
    ]
    page = read(found)
    ids = [a["id"] for tag, a in Reader(page).tags if tag == "section"]
    assert [one for one in ids if one != "page-cautions"] == [
        "result",
        "labels",
        "images",
        "chosen",
        "embeddings",
        "words",
        "how",
    ]
    words = texts(page)
    assert all(one in words for one in found.summary)
    assert classes.record["command"] in words
    assert classes.record["how"] in words
    assert f"{classes.metrics['accuracy']:.3f}" in words


def test_the_most_frequent_confusion_and_recalls(place: Path, classes: FitResult) -> None:
    true, said = classes.predictions["target"], classes.predictions["prediction"]
    counts = confusion_matrix(true, said, labels=NAMES)
    wrong = counts - np.diag(np.diag(counts))
    a, b = np.unravel_index(wrong.argmax(), wrong.shape)
    share = round(100 * wrong[a, b] / counts[a].sum())
    recall = recall_score(true, said, average=None, labels=NAMES)
    best, worst = NAMES[recall.argmax()], NAMES[recall.argmin()]
    assert np.array_equal(subject_of(classes, place).confusion, counts)
    _, confused, recognised = summary(subject_of(classes, place))
    assert confused == (
        f"“{NAMES[a]}” is taken for “{NAMES[b]}” most often: {wrong[a, b]} of {counts[a].sum()} "
        f"images ({share} %)."
    )
    assert recognised == (
        f"“{best}” is recognised best ({100 * recall.max():.0f} % of its images), “{worst}” worst "
        f"({100 * recall.min():.0f} %)."
    )
    found = recalls(counts)
    np.testing.assert_allclose(found.recall, recall)
    precision = precision_score(true, said, average=None, labels=NAMES)
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.f1, f1_score(true, said, average=None, labels=NAMES))


def test_the_first_sentence_is_the_record(place: Path, classes: FitResult) -> None:
    score = classes.record["metrics"]["accuracy"]
    chance = classes.record["baseline"]["accuracy"]["mean"]
    assert summary(subject_of(classes, place))[0] == (
        f"{score['mean']:.3f} ± {score['std']:.3f} accuracy on {N} images that the head had not "
        f"seen; guessing the most frequent class gives {chance:.3f}."
    )


def confused(run: FitResult, pairs: str) -> FitResult:
    """Give the run as if it had said so: ``"cd dd"`` is a cat called dog, and a dog called dog."""
    names = {name[0]: name for name in NAMES}
    true, said = ([names[pair[i]] for pair in pairs.split()] for i in (0, 1))
    rows = run.predictions.iloc[: len(true)].assign(target=true, prediction=said)
    return replace(run, predictions=rows)


def test_among_equals_none_is_singled_out(place: Path, classes: FitResult) -> None:
    tied = confused(classes, "cc cd dd dc ee ee")
    assert summary(subject_of(tied, place))[1:] == (
        "The most frequent confusions, 2 of them, occur once each.",
        "“eel” is recognised best (100 % of its images), “cat” and “dog” worst (50 % each).",
    )
    other = confused(classes, "cc cc dd dd ee ec")
    assert summary(subject_of(other, place))[2] == (
        "“cat” and “dog” are recognised best (100 % of their images), “eel” worst (50 %)."
    )
    right = summary(subject_of(confused(classes, "cc dd ee"), place))
    assert right[1:] == ("No image was taken for another class.",)


def test_names_of_classes_beyond_three_are_counted() -> None:
    assert listed(["a"]) == "“a”"
    assert listed(["a", "b", "c"]) == "“a”, “b” and “c”"
    assert listed(["a", "b", "c", "d"]) == "4 classes"


def test_numbers_that_stand_together_have_as_many_decimals() -> None:
    assert number(123.4) == "123.4"
    assert number(-3.5) == "\N{MINUS SIGN}3.500"
    assert number(-3.7e-17) == "0.000"
    assert spread(1234.5, 0.25) == "1,234 ± 0"
    assert interval(0.00012, 0.5) == "0.000 to 0.500"
    assert interval(1e-5, 2e-4) == "1.0e-05 to 2.0e-04"
    assert interval(None, 1.0) == interval(np.nan, 1.0) == "-"
    assert assigned({"alpha": 100.0, "C": 1e-4, "kernel": "rbf"}) == (
        "alpha = 100, C = 0.0001, kernel = rbf"
    )


def test_a_name_at_the_beginning_keeps_its_small_letter() -> None:
    assert sentence("features.4 has the best accuracy") == "features.4 has the best accuracy."
    assert sentence("near-identical images: none.") == "Near-identical images: none."
    assert sentence("") == ""


def test_a_page_explains_the_words_that_it_uses(
    place: Path, classes: FitResult, numbers: FitResult
) -> None:
    assert set(MEANINGS) == {metric.name for task in METRICS.values() for metric in task}
    for run, others in ((classes, {"recall", "F1"}), (numbers, set())):
        meanings = texts(read(made(place, run))).partition("y: the target, p: the prediction")[2]
        told = meanings.partition("Methods, to paste")[0]
        for name in run.record["metrics"]:
            assert f"{name} {sentence(MEANINGS[name])}" in told
        assert all(f"{word} {sentence(WORDS[word])}" in told for word in {"nested", *others})
        assert "Holm" not in told


def test_wilsons_interval_is_its_formula() -> None:
    counts = np.array([[7, 3, 0], [0, 5, 0], [1, 0, 0]])
    found = recalls(counts)
    k, n, z = np.diag(counts), counts.sum(axis=1), 1.959963984540054
    middle = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(k * (n - k) / n + z * z / 4)
    np.testing.assert_allclose(found.low, middle - half, atol=1e-12)
    np.testing.assert_allclose(found.high, middle + half, atol=1e-12)
    none = recalls(np.array([[3, 0], [0, 0]]))
    assert np.isnan([none.recall[1], none.low[1], none.precision[1], none.f1[1]]).all()


def test_a_regression_says_medians(place: Path, numbers: FitResult) -> None:
    off = np.abs(numbers.predictions["prediction"] - numbers.predictions["target"])
    found = made(place, numbers)
    assert list(found.figures)[:3] == ["predicted-against-true", "residuals", "search-alpha"]
    plcc, srocc = (numbers.record["metrics"][name] for name in ("plcc", "srocc"))
    assert found.summary[1] == (
        f"Pearson's correlation (PLCC) {plcc['mean']:.3f} ± {plcc['std']:.3f}, Spearman's (SROCC) "
        f"{srocc['mean']:.3f} ± {srocc['std']:.3f}."
    )
    assert found.summary[2] == (
        f"Half of the predictions are off by less than {off.median():.3f}, one in ten by more "
        f"than {off.quantile(0.9):.3f}."
    )


def test_the_surest_mistakes_come_first(place: Path, classes: FitResult) -> None:
    shown = data_of(read(made(place, classes)))["galleries"]["mistakes"]["shots"]
    rows = classes.predictions
    wrong = rows[rows["target"] != rows["prediction"]]
    scores = wrong[[f"score_{name}" for name in NAMES]].to_numpy()
    own = scores[np.arange(len(wrong)), np.searchsorted(NAMES, wrong["target"])]
    order = np.argsort(own - scores.max(axis=1), kind="stable")
    assert [one["path"] for one in shown] == wrong["path"].iloc[order].tolist()
    assert [one["said"] for one in shown] == wrong["prediction"].iloc[order].tolist()
    assert [one["fold"] for one in shown] == wrong["fold"].iloc[order].tolist()
    first = dict(zip(NAMES, scores[order[0]], strict=True))
    best = sorted(first.items(), key=lambda item: -item[1])
    assert shown[0]["scores"] == [[name, round(float(value), 6)] for name, value in best]


def test_the_largest_errors_come_first(place: Path, numbers: FitResult) -> None:
    found = made(place, numbers)
    shown = data_of(read(found))["galleries"]["mistakes"]["shots"]
    rows = numbers.predictions
    off = (rows["prediction"] - rows["target"]).to_numpy()
    order = np.argsort(-np.abs(off), kind="stable")
    assert [one["path"] for one in shown] == rows["path"].iloc[order[:24]].tolist()
    assert shown[0]["note"] == f"off by {number(off[order[0]])}"
    assert "The first 24 are here, 66 more are in predictions.csv." in texts(read(found))


def test_the_map_is_scikit_learns_pca(place: Path) -> None:
    found = map_of(load("blobs", cache=place / "cache"), np.arange(5, N))
    pca = PCA(2).fit(X[5:].astype(np.float64))
    theirs = pca.transform(X[5:])
    signs = np.sign(np.sum(theirs * found.xy, axis=0))
    scale = np.linalg.norm(theirs) / np.linalg.norm(found.xy)
    np.testing.assert_allclose(found.xy * scale, theirs * signs, atol=1e-5 * np.abs(theirs).max())
    assert found.share == pytest.approx(pca.explained_variance_ratio_.sum(), rel=1e-6)


def test_of_many_rows_a_random_part_is_mapped(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featx.reporting.embedding_map.MOST", 20)
    view = load("blobs", cache=place / "cache")
    first, again, other = (map_of(view, np.arange(N), seed) for seed in (0, 0, 1))
    assert len(first.rows) == 20
    assert np.array_equal(first.rows, again.rows)
    assert not np.array_equal(first.rows, other.rows)


def test_the_methods_say_how_the_numbers_came_about(place: Path, classes: FitResult) -> None:
    record, said = classes.record, methods(subject_of(classes, place))
    for words in (
        f"{N} images",
        "squeezenet1_1",
        "a linear support vector machine",
        record["how"],
        f"The random seed was {record['seed']}.",
        "cut at 'features'",
        "Accuracy was",
        *(f"{name} {value}" for name, value in record["versions"].items()),
    ):
        assert words in said


def test_one_split_has_no_spread_to_speak_of(place: Path) -> None:
    run = fitted(place, test_size=0.3, out=None)
    said = methods(subject_of(run, place))
    assert "1 splits" not in said
    assert "standard deviation" not in said


def test_an_error_keeps_its_capitals(place: Path, numbers: FitResult) -> None:
    assert "RMSE was " in methods(subject_of(numbers, place))


def test_two_runs_are_compared(place: Path, classes: FitResult) -> None:
    other = fitted(place, "ridge", name="other")
    found = made(place, [classes.path, "other"])
    assert found.path.parent == place / "runs"
    assert found.path.name.startswith("comparison-")
    assert next(iter(found.figures)) == "comparison"
    words = texts(read(found))
    assert "Differences in accuracy" in words
    best = max((classes, other), key=lambda run: run.metrics["accuracy"])
    who = f"{best.record['head']} on {best.record['features']['label']}, run {best.name}"
    assert f"the first of 2 runs: {who}" in words
    parts = ("result", "images", "chosen", "embeddings", "how")
    shown = [a["id"] for tag, a in Reader(read(found)).tags if tag == "section"]
    told = f"Of one run alone, the first in the comparison: {who}."
    assert words.count(told) == len(set(parts) & set(shown)) >= 4
    assert words.count("first of these 2 runs is first by the very accuracy that is shown") == 2
    with pytest.raises(UsageError, match="the run 'other' is named twice"):
        made(place, ["other", classes, "other"])


def test_warnings_of_the_data_are_read_with_care(tmp_path: Path) -> None:
    columns = {"label": LABEL, "patient_id": np.arange(N) % 15}
    contents: list[object] = [*range(N - 1), int(np.flatnonzero(LABEL[-1] != LABEL)[0])]
    view = make(tmp_path / "cache", X, columns, contents=contents)
    run = fit(view, "svm", out=tmp_path / "runs", cache=tmp_path / "cache", **QUICK)
    box = texts(read(made(tmp_path, run))).split("Read with care")[-1].split("How good it is")[0]
    assert "1 image occurs with more than one target value: " in box
    assert "the scores are too high; --group patient_id" in box


def test_an_exact_interval_is_named_wherever_it_stands(tmp_path: Path) -> None:
    kind = np.arange(30) % 2
    make(tmp_path / "cache", np.eye(2)[kind] * 9, {"label": NAMES[kind]})
    words = ["fit", "--head", "ridge", "--cv", "3", "--no-search", "--n-jobs", "1", "--name", "all"]
    result = run_cli(tmp_path, *words)
    assert result.exit_code == 0, result.stderr
    record = json.loads((tmp_path / "runs" / "all" / "result.json").read_text(encoding="utf-8"))
    score = record["metrics"]["accuracy"]
    assert score["low"] == pytest.approx(0.025 ** (1 / 30))
    assert score["how"].startswith("95 % exact interval (Clopper and Pearson) of 30 units (row)")
    assert record["metrics"]["roc_auc"]["low"] is None
    page = texts(read(made(tmp_path, "all")))
    card = (tmp_path / "runs" / "all" / "card.md").read_text(encoding="utf-8")
    for said in (" ".join(result.stdout.split()), page, card.replace("\\_", "_")):
        assert "accuracy: exact, after Clopper and Pearson" in said
        assert "0.8843 to 1" in said or "0.884 to 1.000" in said
        assert "roc_auc: none, for all resamples score the same" in said
        assert "1.000 to 1.000" not in said


def test_a_head_that_may_only_guess_is_told_by_all(tmp_path: Path) -> None:
    label = np.where(np.arange(N) < 2, "rare", "often")
    make(tmp_path / "cache", X, {"label": label})
    words = ["fit", "--head", "svm", "--cv", "2", "--no-search", "--n-jobs", "1", "--name", "rare"]
    result = run_cli(tmp_path, *words)
    assert result.exit_code == 0, result.stderr
    card = (tmp_path / "runs" / "rare" / "card.md").read_text(encoding="utf-8")
    for said in (result.stdout, card, texts(read(made(tmp_path, "rare")))):
        assert "the head may only guess" in " ".join(said.split())


def test_runs_of_two_folders_may_share_a_name(place: Path, tmp_path: Path) -> None:
    bad = fitted(place, name="twin", set={"C": 1e-9}, train_per_class=2)
    good = fitted(place, name="twin", out=tmp_path, set={"C": 0.01})
    assert good.metrics["accuracy"] > bad.metrics["accuracy"]
    for runs in ([bad.path, good.path], [good, bad]):
        assert good.record["command"] in texts(read(made(place, runs)))


def test_runs_of_different_targets_are_refused(
    place: Path, classes: FitResult, numbers: FitResult
) -> None:
    with pytest.raises(UsageError, match="predict different things"):
        made(place, [classes, numbers])


def test_a_learning_curve_may_be_given(place: Path) -> None:
    view = load("blobs", cache=place / "cache")
    given = curve(view, "svm", sizes="5,10,all", search=False, cv="3", n_jobs=1)
    found = report(curve=given, out=place / "there", cache=place / "cache")
    assert found.path == place / "there" / "curve-1.html"
    assert list(found.figures) == ["learning-curve"]
    words = texts(read(found))
    assert found.summary[0][:20] in words
    assert "featx curve --data blobs" in words
    assert "--sizes 5,10,all" in words
    for fact in (view.manifest.hash, view.recipe.hash, view.fingerprint, "python"):
        assert fact in words


def test_a_learning_curve_is_made_where_it_is_asked_for(place: Path) -> None:
    run = fitted(place, "knn", set={"n_neighbors": 3}, name="knn")
    assert "learning-curve" not in made(place, run, curve=None).figures
    assert "learning-curve" in made(place, run, curve=True).figures


def test_no_curve_is_made_unasked_where_the_fit_took_long(place: Path, classes: FitResult) -> None:
    slow = replace(classes, record=classes.record | {"seconds": {"search": 61.0}})
    assert "learning-curve" not in made(place, slow, curve=None).figures
    assert "learning-curve" in made(place, slow, curve=True).figures


def test_the_curve_ends_where_the_fit_does(place: Path, classes: FitResult) -> None:
    words = texts(read(made(place, classes, curve=True)))
    assert "Would more labels help?" in words
    assert f"{classes.metrics['accuracy']:.3f}" in words.partition("Fewer labels")[2]


def test_a_run_without_its_cache(place: Path, classes: FitResult, tmp_path: Path) -> None:
    found = report(classes.path, cache=tmp_path / "none", file=tmp_path / "r.html")
    assert list(found.figures) == ["confusion-matrix", "class-scores", "search-C"]
    page = read(found)
    assert "No learning curve and no map" in texts(page)
    less = report(classes.path, cache=tmp_path / "none", file=tmp_path / "r.html", curve=False)
    assert "No map: " in texts(read(less))
    shots = data_of(page)["galleries"]["mistakes"]["shots"]
    assert {one["missing"] for one in shots} == {"the cache does not know this image any more"}


def test_a_run_that_was_moved(place: Path, tmp_path: Path) -> None:
    run = fitted(place, name="before")
    assert run.path is not None
    moved = run.path.rename(tmp_path / "after")
    (moved / "suspects.csv").write_text(
        'path,evidence\n"003.png",4.5\n"unknown.png",4\n', encoding="utf-8"
    )
    found = made(place, moved)
    assert found.path == moved / "report.html"
    assert not (place / "runs" / "before").exists()
    (one,) = data_of(read(found))["galleries"]["suspects"]["shots"]
    assert (one["path"], one["note"]) == ("003.png", "more than 10,000 to 1 against the label")
    here = made(place, run)
    assert here.path.parent == place / "runs"


def test_a_run_that_was_not_written(place: Path, tmp_path: Path) -> None:
    run = fitted(place, out=None)
    (tmp_path / "model.json").write_text("{", encoding="utf-8")
    found = made(place, run, out=tmp_path, curve=None)
    assert found.path == tmp_path / "report-1.html"
    assert {"map", "learning-curve"} <= set(found.figures)


def test_twins_of_a_run_that_was_not_written(tmp_path: Path) -> None:
    vectors, labels = X[:80].copy(), NAMES[KIND[:80]]
    vectors[72:] = vectors[:8] + 0.003 * np.random.default_rng(1).normal(size=(8, X.shape[1]))
    labels[72:] = labels[:8]
    view = make(tmp_path, vectors, {"label": labels, "age": np.arange(80) % 8 + 0.5})
    runs = [
        fit(view, "svm", out=out, cache=tmp_path, set={"C": 0.1}, **QUICK)
        for out in (None, tmp_path / "runs")
    ]
    given = (runs[0], runs[1], runs[1].path)
    pages = [read(report(one, out=tmp_path, cache=tmp_path, curve=False)) for one in given]
    first, *others = (data_of(page)["galleries"]["twins"]["shots"] for page in pages)
    assert others == [first, first]
    paths = {(one["path"], one["other"]["path"]) for one in first}
    assert paths == set(runs[0].twins[["path_1", "path_2"]].itertuples(index=False, name=None))
    assert f"{len(first)} pairs of all" in texts(pages[0])
    assert f"They were found by {view.label}: other features" in texts(pages[0])
    aged = fit(view, "ridge", target="age", out=None, cache=tmp_path, set={"alpha": 1.0}, **QUICK)
    page = read(report(aged, out=tmp_path, cache=tmp_path, curve=False))
    shown = {one["target"] for one in data_of(page)["galleries"]["twins"]["shots"]}
    assert shown == {number(float(age)) for age in aged.twins["target_1"]}
    assert "Where their targets are far apart, look which one is right." in texts(page)


def test_the_newest_run_is_taken(place: Path, classes: FitResult) -> None:
    last = fitted(place, name="zz-last")
    assert last.path is not None
    record = last.record | {"created": "2999-01-01T00:00:00+00:00"}
    (last.path / "result.json").write_text(json.dumps(record), encoding="utf-8")
    assert made(place).path == last.path / "report.html"


@pytest.mark.parametrize("name", ["report.txt", "report", "report.html.gz"])
def test_a_report_is_html(place: Path, classes: FitResult, name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"end it with \.html"):
        made(place, classes, file=tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_is_said(place: Path, classes: FitResult, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'clases'.*classes.*featx runs"):
        made(place, "clases")
    with pytest.raises(NotFoundError, match="featx fit"):
        made(place, None, out=tmp_path / "none")
    with pytest.raises(UsageError, match="type int"):
        made(place, [3])


def test_a_page_is_there_whole_or_not_at_all(
    place: Path, classes: FitResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "r.html"
    file.write_text("before", encoding="utf-8")

    def full(path: Path, text: str, **_: Any) -> int:
        path.write_bytes(text[:1000].encode())
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(CacheWriteError, match="the disk is full"):
            made(place, classes, file=file)
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
    assert file.read_text(encoding="utf-8") == "before"
    (tmp_path / "file").touch()
    with pytest.raises(CacheWriteError, match="cannot write to"):
        made(place, classes, file=tmp_path / "file" / "r.html")


def test_figures_are_saved(place: Path, classes: FitResult, tmp_path: Path) -> None:
    found = made(place, classes, save_plots=tmp_path / "plots" / "deep")
    names = {p.name for p in (tmp_path / "plots" / "deep").iterdir()}
    assert names == {f"{name}{end}" for name in found.figures for end in (".png", ".svg")}
    for name in found.figures:
        stem = tmp_path / "plots" / "deep" / name
        assert stem.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
        assert "<svg" in stem.with_suffix(".svg").read_text(encoding="utf-8")


def test_images_may_be_left_out(place: Path, classes: FitResult) -> None:
    shots = data_of(read(made(place, classes, images=False)))["galleries"]["mistakes"]["shots"]
    assert {one["missing"] for one in shots} == {"images were left out"}


def test_the_same_run_gives_the_same_page(place: Path, classes: FitResult) -> None:
    pages = [re.sub(r"\d\d:\d\d UTC", "", read(made(place, classes))) for _ in range(2)]
    assert pages[0] == pages[1]


def run_cli(place: Path, *words: str) -> Any:
    return featx(*words, "--out", str(place / "runs"), "--cache", str(place / "cache"))


def test_the_command_says_where_the_report_is(place: Path, classes: FitResult) -> None:
    result = run_cli(place, "report", "classes", "--no-curve")
    assert result.exit_code == 0, result.stderr
    file = place / "runs" / "classes" / "report.html"
    assert result.stdout.splitlines()[-1] == f"report: {file}"
    assert "pictures cannot be shown: " in result.stderr
    value = json.loads(run_cli(place, "report", "classes", "--no-curve", "--json").stdout)
    assert value["report"] == str(file)
    assert value["figures"][0] == "confusion-matrix"
    assert value["summary"][0].endswith(".")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("report clases", 2, "featx runs"),
        ("report classes -o page.txt", 2, "end it with .html"),
        ("report classes numbers", 2, "predict different things"),
        ("report --out nowhere", 2, "featx fit"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(
    place: Path,
    classes: FitResult,
    numbers: FitResult,
    words: str,
    code: int,
    said: str,
) -> None:
    given = words.split()
    result = featx(*given) if "--out" in given else run_cli(place, *given)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr.splitlines()[-1]


def test_fit_says_where_to_look_and_does_it(place: Path, tmp_path: Path) -> None:
    words = ["fit", "--head", "svm", "--cv", "3", "--no-search", "--n-jobs", "1"]
    result = run_cli(place, *words, "--name", "looked")
    assert result.exit_code == 0, result.stderr
    (look,) = [line for line in result.stdout.splitlines() if line.startswith("look: ")]
    command = look.removeprefix("look: featx ").split()
    assert featx(*command).exit_code == 0
    assert (place / "runs" / "looked" / "report.html").is_file()

    both = ("--report", "--target", "label,age", "--name", "two", "--head", "ridge")
    result = run_cli(place, *words, *both, "--save-plots", str(tmp_path))
    assert result.exit_code == 0, result.stderr
    assert "look: " not in result.stdout
    assert result.output.count("report: ") == 2
    assert {p.name for p in tmp_path.iterdir()} == {"two-label", "two-age"}
    assert (tmp_path / "two-age" / "residuals.png").is_file()
    assert f"figures: {tmp_path / 'two-age'}\n" in result.stdout
    assert "residuals" in result.stdout.partition(str(tmp_path / "two-age"))[2]


def test_figures_of_several_runs_say_whose_they_are(
    place: Path, classes: FitResult, tmp_path: Path
) -> None:
    other = fitted(place, "ridge", name="beside")
    result = run_cli(place, "compare", "classes", "beside", "--save-plots", str(tmp_path))
    assert result.exit_code == 0, result.stderr
    best = max((classes, other), key=lambda run: run.metrics["accuracy"])
    said = " ".join(result.stdout.partition("figures: ")[2].split())
    assert said.startswith(f"{tmp_path} comparison, confusion-matrix, class-scores, ")
    assert said.endswith(f"as PNG and SVG; all but comparison are of {best.name}")


def test_runs_in_other_folders_are_compared_and_reported(place: Path, tmp_path: Path) -> None:
    runs = [fitted(place, head, out=tmp_path / head, name="x") for head in ("svm", "ridge")]
    paths = [str(run.path) for run in runs]
    result = run_cli(place, "compare", *paths, "--report")
    assert result.exit_code == 0, result.stderr
    assert re.search(
        rf"report: {re.escape(str(place / 'runs'))}/comparison-\d+\.html", result.output
    )


def test_predictions_of_no_class_are_refused(place: Path) -> None:
    run = fitted(place, name="strange")
    assert run.path is not None
    table = pd.read_csv(run.path / "predictions.csv", dtype=str, keep_default_na=False)
    table.loc[3, "prediction"] = "fox"
    table.to_csv(run.path / "predictions.csv", index=False)
    with pytest.raises(Exception, match="'fox', which is no class of its head"):
        made(place, run.path)
