"""Several kinds of features in one head: from names to a saved model that predicts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers_backbones import photos
from helpers_cli import featx
from helpers_fit import RECIPE, blobs, make
from sklearn.model_selection import cross_val_predict
from sklearn.svm import LinearSVC

from featx import datasets
from featx._types import Silent
from featx.artifact import read_artifact, read_info
from featx.cli.parsing import weights
from featx.comparison import compare
from featx.curves import curve
from featx.doubts import Cosines, cosines_of, mean_cosines
from featx.embedding import embed_wanted, engine, passes
from featx.embedding.wanted import side_by_side
from featx.errors import (
    NotFoundError,
    RecipeMismatchError,
    SchemaVersionError,
    UnknownNameError,
    UsageError,
    WeightsNotFoundError,
)
from featx.export import export
from featx.features import load
from featx.fitting import fit, fit_targets
from featx.gram import ArrayVectors
from featx.prediction import load_model, predict
from featx.sources import open_source
from featx.store import StoreWriter

N = 48
OTHER = replace(RECIPE, backbone="resnet18", weights="b" * 32, layer="layer4")
A, CLASSES = blobs(N)
B = np.random.default_rng(5).normal(size=(N, 7)).astype(np.float16).astype(np.float32) * 32
NAMES = np.array(["ant", "bee", "cow"])[CLASSES]
LABELS = [RECIPE.label, OTHER.label]


def add(cache: Path, X: np.ndarray, recipe: Any = OTHER, failed: tuple[int, ...] = ()) -> None:
    """Write a second store of the images that the first one holds."""
    digests = datasets.load(cache, "blobs").digest
    request = {"name": recipe.backbone, "weights": "random"}
    writer = StoreWriter(
        cache, recipe, (X.shape[1], 1, 1), X.shape[1], provenance={"request": request}
    )
    for i in range(len(X)):
        if i in failed:
            writer.append_failure(digests[i].tobytes(), 0, "too small")
        else:
            writer.append(digests[i].tobytes(), 0, X[i])
    writer.close()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fused") / "cache"
    columns = {"label": list(NAMES), "age": (A[:, 0] + B[:, 0] / 32).tolist()}
    make(folder, A, columns)
    add(folder, B)
    return folder


@pytest.fixture(scope="module")
def view(cache: Path) -> Any:
    return load("blobs", LABELS, cache=cache)


def test_a_view_holds_all_kinds_side_by_side(view: Any, cache: Path) -> None:
    assert view.X.dtype == np.float32
    assert np.array_equal(view.X, np.hstack([A, B]))
    assert np.array_equal(view.raw, view.X)
    assert (view.dim, len(view.kinds), view.label) == (19, 2, " + ".join(LABELS))
    some = view.take(np.array([5, 2]))
    assert np.array_equal(some.X, view.X[[5, 2]])
    assert list(some.y) == list(NAMES[[5, 2]])
    swapped = load("blobs", LABELS[::-1], cache=cache)
    assert np.array_equal(swapped.X, np.hstack([B, A]))
    alone = load("blobs", RECIPE.label, cache=cache)
    prints = {view.fingerprint, swapped.fingerprint, some.fingerprint, alone.fingerprint}
    assert len(prints) == 4
    assert "48 x 19" in repr(view)
    assert LABELS[1] in view._repr_html_()


def test_rows_without_one_of_the_vectors_have_failed(tmp_path: Path) -> None:
    make(tmp_path, A, {"label": list(NAMES)}, failed=(3,))
    add(tmp_path, B, failed=(3, 8))
    found = load("blobs", LABELS, cache=tmp_path)
    lost = found.manifest.path.tolist()
    assert len(found) == N - 2
    assert dict(found.failed.to_numpy().tolist()) == {"003.png": "no image", "008.png": "too small"}
    assert "008.png" not in lost
    keep = [i for i in range(N) if i not in (3, 8)]
    assert np.array_equal(found.X, np.hstack([A, B])[keep])


def test_names_that_do_not_serve(cache: Path) -> None:
    full = f"{RECIPE.label}#{RECIPE.hash[:8]}"
    with pytest.raises(UsageError, match="named twice"):
        load("blobs", [RECIPE.label, full], cache=cache)
    with pytest.raises(NotFoundError, match="vgg16"):
        load("blobs", [full, "vgg16"], cache=cache)
    with pytest.raises(UsageError, match="a list of such names"):
        fit([A, B], data="blobs", cache=cache)  # type: ignore[list-item]


def test_a_file_of_fused_features_names_both_recipes(view: Any, tmp_path: Path) -> None:
    with np.load(export(view, "npz", tmp_path / "x.npz")) as file:
        assert np.array_equal(file["X"], view.X)
        assert json.loads(str(file["recipe"]))["recipes"][1] == OTHER.to_json()


HEADS = {
    "svm": ("label", {}),
    "logreg": ("label", {}),
    "knn": ("label", {"n_neighbors": 3}),
    "rbf": ("label", {}),
    "mlp": ("label", {"max_iter": 30}),
    "ridge": ("age", {}),
    "svr": ("age", {}),
}


@pytest.mark.parametrize("scale", ["none", "l2", "standard"])
@pytest.mark.parametrize("head", HEADS)
def test_every_head_and_scaling_is_saved_and_read_back(
    view: Any, tmp_path: Path, head: str, scale: Any
) -> None:
    target, params = HEADS[head]
    done = fit(
        view,
        head,
        target=target,
        scale=scale,
        cv=3,
        search=False,
        set=params,
        mix="1:0.5",
        out=tmp_path,
        n_jobs=1,
    )
    assert done.path is not None
    saved, info = read_artifact(done.path, print)
    assert [part.recipe for part in info.parts] == [RECIPE, OTHER]
    assert info.dim == 19
    assert np.array_equal(saved.predict(view.X), done.estimator.predict(view.X))


def test_an_estimate_is_scikit_learns_on_features_divided_by_their_spread(view: Any) -> None:
    """The variance is that of all rows here, of each fold's in the fit: hence the tolerance."""
    done = fit(view, "svm", search=False, set={"C": 0.1}, out=None, seed=1)
    X = np.hstack([Z / np.sqrt(Z.var(axis=0).sum()) for Z in (A, B)])
    folds = np.array(done.predictions["fold"])
    splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)]
    truth = cross_val_predict(LinearSVC(C=0.1), X, NAMES, cv=splits)
    assert np.mean(truth == done.predictions["prediction"]) > 0.9
    assert done.record["metrics"]["accuracy"]["mean"] > 0.8


def test_a_record_says_what_it_was_fitted_on(view: Any, cache: Path, tmp_path: Path) -> None:
    done = fit(view, "ridge", target="age", mix=["search"], cv=3, out=tmp_path)
    record = done.record
    assert record["d"] == 19
    features = record["features"]
    assert [part["hash"] for part in features["parts"]] == [RECIPE.hash, OTHER.hash]
    assert [part["d"] for part in features["parts"]] == [12, 7]
    assert features["label"] == " + ".join(LABELS)
    assert len(features["hash"]) == 32
    assert done.name == "ridge-blobs-squeezenet1_1+resnet18-1"
    assert record["best_params"]["mix"] in ("equal", "only 1", "only 2")
    named = ",".join(f"{r.label}#{r.hash[:8]}" for r in (RECIPE, OTHER))
    assert f"--features '{named}' --mix search" in record["command"]
    card = (tmp_path / done.name / "card.md").read_text()
    assert f"weights: {record['best_params']['mix']}" in card
    assert OTHER.hash in card
    words = record["command"].replace("'", "").split()
    again = featx(*words[1:], "--out", str(tmp_path), "--cache", str(cache), "--json")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["metrics"] == record["metrics"]
    listed = featx("runs", "--out", str(tmp_path))
    assert features["label"] in listed.stdout
    shown = featx(*words[1:], "--out", str(tmp_path), "--cache", str(cache))
    assert "48 x 19" in shown.stdout


def test_one_kind_is_recorded_as_ever(cache: Path, tmp_path: Path) -> None:
    done = fit(RECIPE.label, data="blobs", cache=cache, search=False, out=tmp_path)
    assert "parts" not in done.record["features"]
    assert done.record["features"]["recipe"] == RECIPE.to_json()
    assert "--mix" not in done.record["command"]
    model = json.loads((tmp_path / done.name / "model.json").read_text())
    assert (model["schema"], model["recipe_hash"]) == (1, RECIPE.hash)
    with pytest.raises(UsageError, match="--features takes several"):
        fit(RECIPE.label, data="blobs", cache=cache, mix="search", out=None)


def test_an_old_featx_refuses_a_model_of_several_kinds(
    view: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = fit(view, search=False, out=tmp_path)
    assert done.path is not None
    assert json.loads((done.path / "model.json").read_text())["schema"] == 2
    assert "recipe" not in json.loads((done.path / "model.json").read_text())
    monkeypatch.setattr("featx.artifact.SCHEMA_VERSION", 1)
    with pytest.raises(SchemaVersionError, match="schema version 2"):
        read_info(done.path)


def test_a_changed_recipe_of_the_second_kind_is_noticed(view: Any, tmp_path: Path) -> None:
    done = fit(view, search=False, out=tmp_path)
    assert done.path is not None
    file = done.path / "model.json"
    value = json.loads(file.read_text())
    value["parts"][1]["recipe"]["layer"] = "layer3"
    file.write_text(json.dumps(value))
    with pytest.raises(RecipeMismatchError, match="changed by hand"):
        read_info(done.path)


def test_targets_and_comparisons_take_fused_runs(view: Any, cache: Path, tmp_path: Path) -> None:
    fused = fit_targets(["label", "age"], view, "knn", cv=3, search=False, out=tmp_path)
    assert [done.record["target"] for done in fused] == ["label", "age"]
    alone = fit(RECIPE.label, "knn", data="blobs", cache=cache, cv=3, search=False, out=tmp_path)
    table = compare(fused[0], alone).table
    assert sorted(table["backbone"]) == ["squeezenet1_1", "squeezenet1_1 + resnet18"]


def test_a_curve_chooses_the_mix_inside_each_training_set(view: Any) -> None:
    found = curve(view, "svm", sizes="10,all", draws=1, mix="search", grid={"C": [0.01, 1]})
    fitted = fit(view, "svm", mix="search", grid={"C": [0.01, 1]}, twins="off", out=None)
    want = fitted.metrics["accuracy"]
    assert found.table["accuracy"].iloc[-1] == pytest.approx(want, rel=1e-9)


def test_twins_are_looked_for_in_the_mean_of_cosines() -> None:
    both = [cosines_of(ArrayVectors(X), None) for X in (A, B)]
    fused = mean_cosines(both)
    assert fused.strips is not None
    found = np.vstack(list(fused.strips()))
    units = [X / np.linalg.norm(X, axis=1, keepdims=True) for X in (A, B)]
    assert np.allclose(found, sum(U @ U.T for U in units) / 2, atol=1e-6)  # float32 products
    assert fused.seconds == both[0].seconds + both[1].seconds
    assert mean_cosines([both[0], Cosines(None, 3.0)]).strips is None
    assert mean_cosines(both[:1]) is both[0]


SIZE = ("--weights", "random", "--image-size", "32", "--precision", "fp32")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in class folders, and a cache with three kinds of features of two backbones."""
    root = tmp_path_factory.mktemp("home")
    for i, photo in enumerate(photos(8)):
        (root / "train" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        photo.resize((48, 40)).save(root / "train" / "ab"[i % 2] / f"{i}.png")
    layers = ("--layer", "features.3,features.5", "--pool", "avg,max")
    for words in (("squeezenet1_1", *layers), ("helpers_photos:tiny",)):
        more = SIZE if words[0] == "squeezenet1_1" else SIZE[2:]
        options = ("--backbone", *words, *more, "--cache", str(root / "cache"))
        done = featx("extract", str(root / "train"), *options)
        assert done.exit_code == 0, done.stderr
    return root


NET = "squeezenet1_1(random seed 0)"
TINY = "helpers_photos:tiny:output:flatten@32"
KINDS = (f"{NET}:features.3:avg@32,{TINY}", f"{NET}:features.5:max@32")


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    """A head on three kinds out of two networks, those of one of them not beside each other."""
    words = [
        "fit",
        "--head",
        "svm",
        "--data",
        "train",
        "--no-search",
        "--cv",
        "2",
        "--name",
        "m",
        "--out",
    ]
    chosen = [word for name in KINDS for word in ("--features", name)]
    done = featx(*words, str(home / "runs"), *chosen, "--cache", str(home / "cache"))
    assert done.exit_code == 0, done.stderr
    return home / "runs" / "m"


def images(home: Path) -> list[str]:
    found = load("train", TINY, cache=home / "cache")
    return [str(home / "train" / path) for path in found.manifest.path]


def test_a_saved_model_embeds_images_under_every_recipe(home: Path, run: Path) -> None:
    names = [name for part in KINDS for name in part.split(",")]
    X = load("train", names, cache=home / "cache").X
    model = load_model(run, cache=home / "cache")
    assert model.info.label == " + ".join(names)
    found = model.embed(images(home))
    assert np.array_equal(found.X, X)
    assert np.array_equal(model.predict(images(home)), model.head.predict(X))
    assert "svm for label" in repr(model)


def test_each_network_runs_once_and_stays_loaded(
    home: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines, passes_made = [], []
    choose, go = engine.choose_engine, passes.pipeline.embed
    monkeypatch.setattr(engine, "_LAST", {})
    monkeypatch.setattr(
        engine, "choose_engine", lambda *a, **k: engines.append(a[0]) or choose(*a, **k)
    )
    monkeypatch.setattr(
        passes.pipeline, "embed", lambda *a, **k: passes_made.append(len(a[2])) or go(*a, **k)
    )
    model = load_model(run, cache=tmp_path / "empty", precision="fp32")
    names = [name for part in KINDS for name in part.split(",")]
    stored = load("train", names, cache=home / "cache").X
    for _ in range(2):
        found = model.embed(images(home))
        assert np.allclose(found.X, stored, rtol=2**-10, atol=1e-6)  # one step of float16
    assert len(engines) == 2
    assert passes_made == [2, 1, 2, 1]  # recipes: of squeezenet two, not all four combinations
    assert not list((tmp_path / "empty").glob("*.zarr"))
    embedded = model.embed(images(home), how=replace(model.how, write=True))
    assert np.array_equal(embedded.X, found.X)
    assert len(list((tmp_path / "empty").glob("*.zarr"))) == 3


def test_the_command_predicts_and_compares(home: Path, run: Path, tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "new" / label).mkdir(parents=True)
        for i, photo in enumerate(photos(2)):
            photo.resize((48, 40)).save(tmp_path / "new" / label / f"{i}.png")
    (tmp_path / "new" / "a" / "bad.png").write_bytes(b"no image")
    words = ("--evaluate", "--json", "--max-failed", "100%", "--cache", str(home / "cache"))
    done = featx("predict", str(run), str(tmp_path / "new"), *words)
    assert done.exit_code == 0, done.stderr
    value = json.loads(done.stdout)
    assert (value["rows"], value["failed"]) == (5, 1)
    assert value["metrics"]["accuracy"]["n"] == 4
    [bad] = [row for row in value["predictions"] if row["status"] == "failed"]
    assert bad["path"].endswith("bad.png")
    assert bad["reason"]


def test_an_image_that_fails_under_one_recipe_has_failed(home: Path, run: Path) -> None:
    """What one store knows to be bad, the other need not."""
    source = open_source(images(home)[:3])
    model = load_model(run, cache=home / "cache")
    how, quiet = replace(model.how, write=False), Silent()
    order = [part.recipe for part in model.info.parts]
    group = model.wanted[0]
    found = embed_wanted(source, [group], order[:1], home / "cache", how, quiet)
    assert found.X.shape[0] == 3
    worse = replace(found, reasons=[None, "grey", None], row_of=np.array([0, -1, 1]), X=found.X[1:])
    both = side_by_side([found, worse])
    assert both.reasons == [None, "grey", None]
    assert both.row_of.tolist() == [0, -1, 1]
    assert np.array_equal(both.X, np.hstack([found.X[[0, 2]], worse.X]))
    pages = replace(found.manifest, item=np.array([0, 1, 2], np.uint16))
    with pytest.raises(UsageError, match="other pages or channels"):
        side_by_side([found, replace(found, manifest=pages)])


def test_weights_are_named_for_the_backbone_that_they_are_of(home: Path, run: Path) -> None:
    cache = home / "cache"
    with pytest.raises(UsageError, match="has 2: squeezenet1_1, helpers_photos:tiny;"):
        load_model(run, weights="w.pth", cache=cache)
    with pytest.raises(UnknownNameError, match="vgg16"):
        load_model(run, weights={"vgg16": "w.pth"}, cache=cache)
    model = load_model(run, weights={"squeezenet1_1": home / "gone.pth"}, cache=cache)
    with pytest.raises(WeightsNotFoundError, match="--weights squeezenet1_1=FILE"):
        model.predict(images(home)[:1])
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5, stride=4))
    other = load_model(run, backbone={"helpers_photos:tiny": net}, cache=cache)
    with pytest.raises(RecipeMismatchError, match="fitted on for helpers_photos:tiny:output"):
        other.predict(images(home)[:1])
    done = featx("predict", str(run), images(home)[0], "--weights", "w.pth", "--cache", str(cache))
    assert done.exit_code == 2
    assert "say which one is meant: --weights squeezenet1_1=" in done.stderr


def test_the_option_weights(tmp_path: Path) -> None:
    odd = tmp_path / "a=b.pth"
    odd.write_bytes(b"")
    assert weights(None) is None
    assert weights(["w.pth"]) == "w.pth"
    assert weights([str(odd)]) == str(odd)
    assert weights(["vgg16=a,b.pth", "timm/x=c"]) == {"vgg16": "a,b.pth", "timm/x": "c"}
    with pytest.raises(UsageError, match="NAME=FILE for each"):
        weights(["w.pth", "vgg16=v.pth"])


def test_predicting_with_a_loaded_model_of_several_kinds(home: Path, run: Path) -> None:
    done = predict(load_model(run, cache=home / "cache"), images(home), on_error="raise")
    assert done.counts == {"rows": 8, "predicted": 8, "failed": 0}
