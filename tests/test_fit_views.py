"""Heads on varied views: trained on all of them, scored and used by image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_photos import CLASSES, folder, photo
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC

from featx.augmentation import Augmentation, Jitter
from featx.curves import curve
from featx.deploy import deploy
from featx.errors import TargetError, UsageError
from featx.evaluate import Spec, evaluate
from featx.extraction import extract
from featx.features import Features, load
from featx.fitting import fit
from featx.prediction import load_model, predict

HOW = Augmentation(hflip=0.5, jitter=Jitter(0.3, 0.3, 0.3))
N, V, D = 60, 3, 12


def rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give features (N * V, D) in random order, labels (N,) and which image each row shows."""
    rng = np.random.default_rng(seed)
    y = np.arange(N) % 3
    centres = rng.normal(0, 1, (3, D))[y] + rng.normal(0, 1.5, (N, D))
    image = rng.permutation(np.repeat(np.arange(N), V))
    X = centres[image] + rng.normal(0, 1, (N * V, D))
    return X.astype(np.float32), y, image


def literal(estimator: Any, X: Any, y: Any, image: Any, train: Any, test: Any) -> np.ndarray:
    """Train on every view of the training images; average what is said of the tested ones."""
    own = np.isin(image, train)
    estimator.fit(X[own], y[image[own]])
    say = next(
        getattr(estimator, name)
        for name in ("predict_proba", "decision_function", "predict")
        if hasattr(estimator, name)
    )
    return np.stack([say(X[image == i]).mean(axis=0) for i in test])


CASES = {
    "svm": ({"C": 0.1}, LinearSVC(C=0.1, tol=1e-8, max_iter=100000)),
    "logreg": ({"C": 0.1}, LogisticRegression(C=0.1, tol=1e-8, max_iter=1000)),
}


@pytest.mark.parametrize("head", CASES)
def test_a_classifier_is_that_of_all_views_and_the_mean_over_them(head: str) -> None:
    params, estimator = CASES[head]
    X, y, image = rows()
    spec = Spec(head=head, fixed=params, search=False)
    found = evaluate(X, y, spec, images=image)
    assert len(found.prediction) == N
    assert sorted(np.concatenate([fold.test for fold in found.folds])) == list(range(N))
    for fold in found.folds:
        expected = literal(estimator, X, y, image, fold.train, fold.test)
        assert fold.scores is not None
        np.testing.assert_allclose(fold.scores, expected, atol=2e-3)
        np.testing.assert_array_equal(fold.prediction, expected.argmax(axis=1))
    assert found.n_train == N
    assert "each image scored by the mean over its views" in found.how
    assert found.metrics["accuracy"].n == N


def test_numbers_are_averaged_and_the_final_head_has_seen_every_view() -> None:
    X, _, image = rows()
    y = np.random.default_rng(1).normal(size=N)
    found = evaluate(X, y, Spec(head="ridge", fixed={"alpha": 3.0}, search=False), images=image)
    for fold in found.folds:
        expected = literal(Ridge(alpha=3.0), X, y, image, fold.train, fold.test)
        np.testing.assert_allclose(fold.prediction, expected, atol=1e-4)
    whole = Ridge(alpha=3.0).fit(X, y[image])
    np.testing.assert_allclose(found.estimator.coef_, whole.coef_, atol=1e-4)


def test_splits_and_counts_are_those_of_images_without_views() -> None:
    X, y, image = rows()
    first = np.unique(image, return_index=True)[1]
    groups = np.arange(N) // 2
    for spec in (
        Spec(fixed={"C": 1.0}, search=False, cv="random:3:0.25"),
        Spec(fixed={"C": 1.0}, search=False, train_per_class=5),
    ):
        alone = evaluate(X[first], y, spec, groups=groups)
        many = evaluate(X, y, spec, groups=groups, images=image)
        for a, b in zip(alone.folds, many.folds, strict=True):
            np.testing.assert_array_equal(a.test, b.test)
            np.testing.assert_array_equal(a.train, b.train)
        assert alone.baseline["accuracy"].mean == many.baseline["accuracy"].mean


def test_candidates_are_scored_by_what_is_said_of_images() -> None:
    X, y, image = rows()
    spec = Spec(head="logreg", grid={"C": [0.01, 0.1]}, scoring="roc_auc_ovr", cv="3")
    found = evaluate(X, y, spec, images=image)
    assert found.nested
    for candidate in found.candidates:
        estimator = LogisticRegression(C=candidate.params["C"], tol=1e-8, max_iter=1000)
        values = [
            roc_auc_score(
                y[fold.test],
                literal(estimator, X, y, image, fold.train, fold.test),
                multi_class="ovr",
            )
            for fold in found.folds
        ]
        assert candidate.mean == pytest.approx(np.mean(values), abs=0.01)


@pytest.mark.parametrize("head", ["mlp", "knn", "rbf", "ridge", "svm"])
def test_every_head_is_tuned_on_views(head: str) -> None:
    X, y, image = rows()
    grids: dict[str, dict[str, list[Any]]] = {
        "mlp": {"alpha": [1e-4, 1.0]},
        "knn": {"n_neighbors": [3, 5]},
        "ridge": {"alpha": [1.0, 10.0]},
    }
    grid = grids.get(head, {"C": [0.1, 1.0]})
    found = evaluate(X, y, Spec(head=head, grid=grid, cv="3"), images=image)
    assert found.nested
    assert found.metrics["accuracy"].mean > 0.4


def test_one_view_of_each_is_no_views() -> None:
    X, y, image = rows()
    first = np.unique(image, return_index=True)[1]
    spec = Spec(fixed={"C": 1.0}, search=False)
    plain = evaluate(X[first], y, spec)
    same = evaluate(X[first], y, spec, images=np.arange(N))
    np.testing.assert_array_equal(plain.prediction, same.prediction)


def test_numbers_of_images_that_do_not_fit_are_refused() -> None:
    X, y, image = rows()
    for wrong in (image[:-1], np.zeros(len(X), int), image + 1):
        with pytest.raises(TargetError, match="numbers of images"):
            evaluate(X, y, Spec(), images=wrong)
    with pytest.raises(UsageError, match="calibrate is not for features with several views"):
        evaluate(X, y, Spec(calibrate="sigmoid"), images=image)


# From photographs to predictions.


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("views")
    folder(root / "photos", 10)
    for k, (name, colour) in enumerate(CLASSES.items()):
        for i in range(2):
            photo(root / "new" / name / f"{i}.jpg", colour, 1000 + 10 * k + i)
    extract(
        root / "photos",
        backbone="helpers_photos:tiny",
        image_size=32,
        precision="fp32",
        cache=root / "cache",
        views=V,
        augment=HOW,
    )
    return root


@pytest.fixture(scope="module")
def view(world: Path) -> Features:
    return load(cache=world / "cache")


@pytest.fixture(scope="module")
def model(world: Path, view: Features) -> Path:
    fit(view, "svm", set={"C": 0.1}, out=world / "runs", name="views")
    return world / "runs" / "views"


def test_a_fit_counts_images(view: Features) -> None:
    result = fit(view, "svm", set={"C": 0.1}, out=None)
    assert (len(view), result.record["n"], result.record["views"]) == (30 * V, 30, V)
    assert result.predictions["path"].tolist() == view.manifest.path[::V].tolist()
    assert "item" not in result.predictions
    assert result.record["classes"][0]["rows"] == 10
    assert result.record["twins"]["pairs"] == 0
    assert result.record["confounds"] == []
    note = next(note for note in result.notes if "views of each" in note)
    assert note.startswith("3 views of each of 30 images, the first as it is, the others with hf")
    assert not any("looks like an identity" in note for note in result.notes)


def test_views_never_stand_on_both_sides(view: Features) -> None:
    from featx.problem import pose

    problem = pose(view, None, None, None, None, ())
    assert problem.images is not None
    shown = view.manifest.path[problem.fitted]
    for i in range(30):
        assert len(set(shown[problem.images == i])) == 1
    assert (view.manifest.item[problem.rows] == 0).all()


def test_near_copies_are_looked_for_among_images(view: Features) -> None:
    """Views of an image are alike, and are no twins."""
    result = fit(view, "ridge", set={"alpha": 1.0}, twins=0.999, out=None)
    assert len(result.twins) < 30
    assert (result.twins.get("path_1") != result.twins.get("path_2")).all()
    tall = fit(view, "knn", set={"n_neighbors": 3}, out=None)
    assert tall.record["twins"]["pairs"] == 0


def test_a_column_that_names_groups_is_aggregated(view: Features) -> None:
    frame = view.manifest.frame.assign(pair=np.arange(len(view)) // (2 * V))
    grouped = Features(
        type(view.manifest)(**{**vars(view.manifest), "frame": frame}),
        view.failed,
        view.store,
        view.rows,
    )
    result = fit(grouped, "svm", set={"C": 1.0}, group="pair", aggregate="group", out=None)
    assert result.record["group_metrics"]["accuracy"]["n"] == 15


def test_a_prediction_is_the_mean_over_views(world: Path, model: Path) -> None:
    loaded = load_model(model, cache=world / "cache")
    assert loaded.info.views == V
    found = predict(loaded, world / "new")
    assert found.counts == {"rows": 6, "predicted": 6, "failed": 0}
    assert "item" not in found.frame
    raw = loaded.embed(world / "new")
    assert raw.X.shape == (6 * V, 16)
    scores = loaded.head.decision_function(raw.X).reshape(6, V, 3).mean(axis=1)
    given = found.frame[[c for c in found.frame if c.startswith("score_")]].to_numpy()
    np.testing.assert_allclose(given, scores, rtol=1e-6)
    assert loaded.classes_ is not None
    expected = loaded.classes_[scores.argmax(axis=1)].tolist()
    assert found.frame["prediction"].tolist() == expected
    assert loaded.predict(world / "new").tolist() == expected
    assert loaded.predict_table(world / "new")["prediction"].tolist() == expected


def test_a_bad_image_keeps_its_row(world: Path, model: Path, tmp_path: Path) -> None:
    bad = tmp_path / "0-bad.jpg"
    bad.write_bytes(b"no image")
    images = [bad, world / "new" / "cat" / "0.jpg"]
    table = predict(load_model(model, cache=world / "cache"), images).frame
    assert table["status"].tolist() == ["failed", "ok"]
    assert table["prediction"].tolist() == [None, "cat"]


def test_an_evaluation_counts_images(world: Path, model: Path) -> None:
    found = predict(load_model(model, cache=world / "cache"), world / "photos", evaluate=True)
    assert found.metrics is not None
    assert found.metrics["accuracy"].n == 30
    told = "the head was fitted on 30 of 30 images"
    assert any(note.startswith(told) for note in found.notes)


def test_numbers_are_predicted_by_image(world: Path, view: Features) -> None:
    frame = view.manifest.frame.assign(size=np.repeat(np.arange(30) % 7 / 3, V))
    numbers = Features(
        type(view.manifest)(**{**vars(view.manifest), "frame": frame}),
        view.failed,
        view.store,
        view.rows,
    )
    fit(numbers, "ridge", target="size", out=world / "runs", name="numbers")
    loaded = load_model(world / "runs" / "numbers", cache=world / "cache")
    raw = loaded.head.predict(loaded.embed(world / "new").X).reshape(6, V).mean(axis=1)
    np.testing.assert_allclose(loaded.predict(world / "new"), raw)


def test_a_graph_of_one_image_is_refused(world: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 views of each image"):
        deploy(model, "openvino", tmp_path / "views.xml", cache=world / "cache")


def test_a_curve_ends_at_what_a_fit_says(view: Features) -> None:
    options: dict[str, Any] = {"set": {"C": 0.1}, "search": False}
    found = curve(view, "svm", sizes="3,all", metric="accuracy", draws=2, **options)
    score = fit(view, "svm", out=None, **options).metrics["accuracy"]
    assert found.table["accuracy"].iloc[-1] == pytest.approx(score)
    assert any("views of each" in note for note in found.notes)


def test_a_store_of_views_used_without_them_says_so(world: Path) -> None:
    found = load(cache=world / "cache")
    plain = found.take(found.manifest.item == 0)
    notes = fit(plain, "svm", set={"C": 1.0}, out=None).notes
    assert any("was extracted last without any" in note for note in notes)
