"""A graph that was written says what ``featx predict`` says, and what differs is not written."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers_cli import featx
from helpers_deploy import about, prepared, run_onnxruntime, scores
from helpers_photos import folder
from PIL import Image

from featx import manage
from featx.deploy import GRAPHS, TOLERANCE, Deployed, deploy
from featx.deploy.place import format_of, target_of
from featx.errors import (
    MissingDependencyError,
    NotFoundError,
    NumericsError,
    RecipeMismatchError,
    UnknownNameError,
    UsageError,
)
from featx.extraction import extract
from featx.features import load
from featx.fitting import fit
from featx.forward import torch_pooling, write_graph
from featx.prediction import predict

TINY = "helpers_photos:tiny:output:{}@32"
POOLS = ("flatten", "avg", "max", "std", "gem")
BOTH = [pytest.param("onnx", marks=pytest.mark.slow), "openvino"]
OPTIONS: dict[str, Any] = {"image_size": 32, "precision": "fp32"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of three classes and of two, a table with numbers, and their features."""
    root = tmp_path_factory.mktemp("deploy")
    photos = folder(root / "photos")
    folder(root / "new", per_class=2)
    files = sorted(photos.rglob("*.jpg"))
    grey = [np.asarray(Image.open(file).convert("L")).mean() / 8 for file in files]
    names = [str(file.relative_to(photos)) for file in files]
    pd.DataFrame({"path": names, "light": grey}).to_csv(photos / "light.csv", index=False)
    two = [file for file in files if file.parent.name != "dog"]
    kinds = [file.parent.name for file in two]
    pd.DataFrame({"path": map(str, two), "kind": kinds}).to_csv(root / "two.csv", index=False)
    options = OPTIONS | {"cache": root / "cache"}
    extract(photos, backbone="helpers_photos:tiny", pools=POOLS, **options)
    extract(photos / "light.csv", backbone="helpers_photos:tiny", pools=("avg",), **options)
    extract(root / "two.csv", backbone="helpers_photos:tiny", pools=("avg",), **options)
    pools = ("cls", "tokens-avg", "flatten")
    extract(photos, backbone="helpers_deploy:tokens", pools=pools, **options)
    return root


def fitted(home: Path, into: Path, head: str = "svm", **options: Any) -> Path:
    """Fit a head in the folder of runs ``into`` and give the run's folder."""
    names = options.pop("features", TINY.format("avg"))
    view = load(options.pop("data", "photos"), names, cache=home / "cache")
    search: dict[str, Any] = {"search": False, "cv": "3", "twins": "off"}
    fit(view, head, out=into, name="model", cache=home / "cache", **search | options)
    return into / "model"


def exported(home: Path, run: Path, to: str = "openvino") -> Deployed:
    return deploy(run, to, run.parent / f"graph{GRAPHS[to]}", cache=home / "cache")


def load_rows(home: Path, done: Deployed) -> int:
    first = done.sidecar["features"][0]["label"]
    return len(load(done.sidecar["data"], first, cache=home / "cache"))


def check(home: Path, run: Path, done: Deployed) -> pd.DataFrame:
    """Compare what the graph says of new images, run on its own, with ``featx predict``."""
    files = sorted((home / "new").rglob("*.jpg"))
    table = predict(run, files, cache=home / "cache", precision="fp32").frame
    said = scores(done.path, files)
    names = [name for name in table if str(name).startswith(("score_", "probability_"))]
    expected = table[names or ["prediction"]].to_numpy(dtype=float).reshape(said.shape)
    size = np.sqrt((expected**2).mean())
    # What predict says, it says of vectors rounded to float16.
    assert np.abs(said - expected).max() < 2e-3 * size
    if names:
        classes = np.array(done.sidecar["classes"])
        assert classes[said.argmax(axis=1)].tolist() == table["prediction"].tolist()
    parity = done.sidecar["parity"]
    assert parity["largest_difference"] < 2e-5
    assert parity["largest_difference_to_stored"] < 2e-3
    assert parity["images"] == min(32, load_rows(home, done))
    assert "which the head was fitted on" in parity["origin"]
    return table


HEADS: dict[str, dict[str, Any]] = {
    "svm": {},
    "svm standard": {"scale": "standard"},
    "svm l2": {"scale": "l2"},
    "svm sigmoid": {"calibrate": "sigmoid"},
    "svm temperature": {"calibrate": "temperature", "scale": "standard"},
    "ridge": {},
    "logreg": {},
    "mlp": {"set": "alpha=1"},
    "svm two": {"data": "two", "target": "kind"},
    "svm two sigmoid": {"data": "two", "target": "kind", "calibrate": "sigmoid"},
    "logreg two": {"data": "two", "target": "kind"},
    "ridge light": {"data": "light", "target": "light"},
    "svr light": {"data": "light", "target": "light", "scale": "standard"},
    "mlp light": {"data": "light", "target": "light"},
    "nn": {"set": {"hidden": (8, 4), "activation": "gelu", "epochs": 5}},
    "nn light": {"data": "light", "target": "light", "set": {"epochs": 5}},
}


@pytest.mark.parametrize("name", HEADS)
def test_heads(home: Path, tmp_path: Path, name: str) -> None:
    run = fitted(home, tmp_path, name.split()[0], **HEADS[name])
    check(home, run, exported(home, run))


@pytest.mark.parametrize("pooling", POOLS)
def test_poolings(home: Path, tmp_path: Path, pooling: str) -> None:
    for scale in ("none", "standard"):
        run = fitted(home, tmp_path / scale, features=TINY.format(pooling), scale=scale)
        check(home, run, exported(home, run))


@pytest.mark.parametrize("pooling", ["cls", "tokens-avg", "flatten"])
def test_tokens(home: Path, tmp_path: Path, pooling: str) -> None:
    for scale in ("none", "standard"):
        name = f"helpers_deploy:tokens:output:{pooling}@32"
        run = fitted(home, tmp_path / scale, features=name, scale=scale)
        check(home, run, exported(home, run))


ONNX: dict[str, tuple[str, dict[str, Any]]] = {
    "scores": ("svm", {"features": TINY.format("flatten"), "scale": "l2"}),
    "probabilities": ("svm", {"features": TINY.format("std"), "calibrate": "sigmoid"}),
    "prediction": ("ridge", {"data": "light", "target": "light", "scale": "standard"}),
    "tokens": ("logreg", {"features": "helpers_deploy:tokens:output:tokens-avg@32"}),
}


@pytest.mark.parametrize(
    "name",
    [name if name == "scores" else pytest.param(name, marks=pytest.mark.slow) for name in ONNX],
)
def test_onnx(home: Path, tmp_path: Path, name: str) -> None:
    head, options = ONNX[name]
    run = fitted(home, tmp_path, head, **options)
    done = exported(home, run, "onnx")
    check(home, run, done)
    assert done.sidecar["parity"]["runtime"].startswith("onnxruntime ")


def test_several_poolings_and_networks(home: Path, tmp_path: Path) -> None:
    names = [
        TINY.format("gem"), "helpers_deploy:tokens:output:cls@32", TINY.format("max"),
    ]  # fmt: skip
    for scale in ("standard", "l2"):
        run = fitted(home, tmp_path / scale, features=names, scale=scale)
        done = exported(home, run)
        check(home, run, done)
        assert [part["label"] for part in done.sidecar["features"]] == names


def test_networks_that_see_images_in_two_ways_are_refused(home: Path, tmp_path: Path) -> None:
    options = OPTIONS | {"cache": home / "cache", "resize": "squash"}
    extract(home / "photos", backbone="helpers_deploy:other", pools=("avg",), **options)
    names = [TINY.format("avg"), "helpers_deploy:other:output:avg@32"]
    run = fitted(home, tmp_path, features=names)
    with pytest.raises(UsageError, match=r"prepared in two ways \(resize"):
        exported(home, run)


def test_the_file_beside_it(home: Path, tmp_path: Path) -> None:
    run = fitted(home, tmp_path)
    done = exported(home, run)
    value = json.loads(about(done.path))
    assert value == done.sidecar
    files = {file.name for file in tmp_path.iterdir() if file.is_file()}
    assert files - {".lock"} == {"graph.xml", "graph.bin", "graph.xml.json"}
    for name, identity in value["files"].items():
        data = (tmp_path / name).read_bytes()
        assert identity["size_bytes"] == len(data)
        assert identity["sha256"] == hashlib.sha256(data).hexdigest()
        assert identity["blake2b"] == hashlib.blake2b(data).hexdigest()
    assert (value["graph"], value["format"]) == ("graph.xml", "openvino")
    assert value["input"]["shape"] == ["batch", 32, 32, 3]
    assert value["input"]["dtype"] == "uint8"
    assert value["output"]["name"] == "scores"
    assert value["output"]["shape"] == ["batch", 3]
    assert value["classes"] == ["bird", "cat", "dog"]
    assert value["prepare"]["resize"] == "crop"
    assert value["prepare"]["resize_size"] == 37
    assert value["run"] == "model"
    view = load("photos", TINY.format("avg"), cache=home / "cache")
    assert [part["hash"] for part in value["features"]] == [view.recipe.hash]
    assert value["manifest"] == view.manifest.hash
    assert {"featx", "torch", "scikit-learn", "openvino"} <= set(value["written_with"])
    assert value["latency"]["batch"] == 1
    assert 0 < value["latency"]["median_s"] <= value["latency"]["p95_s"]


def test_squashed_images(home: Path, tmp_path: Path) -> None:
    options = OPTIONS | {"cache": tmp_path / "cache", "resize": "squash"}
    extract(home / "photos", backbone="helpers_photos:tiny", pools=("avg",), **options)
    view = load("photos", cache=tmp_path / "cache")
    fit(view, "svm", out=tmp_path, name="model", search=False, cv="3", cache=tmp_path / "cache")
    done = deploy(tmp_path / "model", "openvino", tmp_path, cache=tmp_path / "cache")
    assert done.path == tmp_path / "model.xml"
    files = sorted((home / "new").rglob("*.jpg"))
    table = predict(tmp_path / "model", files, cache=tmp_path / "cache", precision="fp32").frame
    expected = table[["score_bird", "score_cat", "score_dog"]].to_numpy()
    assert np.abs(scores(done.path, files) - expected).max() < 2e-3


def test_deep_images_are_floats(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k, name in enumerate(("dark", "light")):
        (tmp_path / "deep" / name).mkdir(parents=True)
        for i in range(6):
            values = rng.integers(800 * k, 2000 + 2000 * k, (40, 48)).astype(np.uint16)
            Image.fromarray(values).save(tmp_path / "deep" / name / f"{i}.png")
            # A file that was written just now could change without its time showing it.
            os.utime(tmp_path / "deep" / name / f"{i}.png", (1_600_000_000, 1_600_000_000))
    cache = tmp_path / "cache"
    options = OPTIONS | {"cache": cache, "intensity": "fixed:0:4095"}
    extract(tmp_path / "deep", backbone="helpers_photos:tiny", pools=("avg",), **options)
    fit(load(cache=cache), "svm", out=tmp_path, name="m", search=False, cv="3", cache=cache)
    done = deploy(tmp_path / "m", "onnx", tmp_path / "m.onnx", cache=cache)
    assert done.sidecar["input"]["dtype"] == "float32"
    assert done.sidecar["input"]["range"] == [0, 1]
    assert done.sidecar["prepare"]["intensity"] == "fixed:0:4095"
    assert done.sidecar["parity"]["images"] == 12
    said = run_onnxruntime(done.path, rng.random((2, 32, 32, 3), np.float32))
    assert said.shape == (2, 2)


@pytest.mark.parametrize(("head", "options"), [
    ("knn", {}), ("rbf", {}), ("svm", {"calibrate": "isotonic"}),
])  # fmt: skip
def test_other_heads_are_refused(
    home: Path, tmp_path: Path, head: str, options: dict[str, Any]
) -> None:
    run = fitted(home, tmp_path, head, **options)
    with pytest.raises(UsageError, match="heads that can: svm, svr, ridge, logreg, mlp and nn"):
        exported(home, run)
    assert not [file for file in tmp_path.iterdir() if file.name.startswith("graph")]


def files_of(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()} - {"model", ".lock"}


@pytest.mark.parametrize("to", BOTH)
def test_nothing_is_overwritten(home: Path, tmp_path: Path, to: str) -> None:
    run = fitted(home, tmp_path)
    done = exported(home, run, to)
    before = {name: (tmp_path / name).read_bytes() for name in files_of(tmp_path)}
    with pytest.raises(UsageError, match="exists; name another file"):
        exported(home, run, to)
    assert {name: (tmp_path / name).read_bytes() for name in files_of(tmp_path)} == before
    for name in before:
        done.path.unlink(missing_ok=True)
        for other in set(before) - {name}:
            (tmp_path / other).unlink(missing_ok=True)
        (tmp_path / name).write_bytes(b"mine")
        with pytest.raises(UsageError, match="exists; name another file"):
            exported(home, run, to)
        assert (tmp_path / name).read_bytes() == b"mine"


@pytest.mark.parametrize("to", BOTH)
def test_a_graph_that_says_something_else_is_not_left(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    run = fitted(home, tmp_path)
    monkeypatch.setitem(torch_pooling.POOLINGS, "avg", lambda x: x.flatten(2).mean(2) * 1.002)
    with pytest.raises(NumericsError, match=f"expected at most {TOLERANCE:g}: nothing was"):
        exported(home, run, to)
    assert files_of(tmp_path) == set()
    monkeypatch.setitem(torch_pooling.POOLINGS, "avg", lambda x: x.flatten(2).mean(2) / 0)
    with pytest.raises(NumericsError, match="differs from featx by nan"):
        exported(home, run, to)
    assert files_of(tmp_path) == set()


def test_without_its_images_it_is_tried_on_noise(home: Path, tmp_path: Path) -> None:
    run = fitted(home, tmp_path)
    done = deploy(run, "openvino", tmp_path / "g.xml", cache=tmp_path / "elsewhere")
    parity = done.sidecar["parity"]
    assert (parity["images"], parity["origin"]) == (32, "noise: no image of photos is where it was")
    assert parity["largest_difference"] < 1e-4


def test_other_weights_are_refused(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fitted(home, tmp_path)
    value = json.loads((run / "model.json").read_text())
    value["source"]["image_size"] = 64
    (run / "model.json").write_text(json.dumps(value))
    with pytest.raises(RecipeMismatchError, match="image_size"):
        exported(home, run)
    assert files_of(tmp_path) == set()


def test_a_missing_package_leaves_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fitted(home, tmp_path)
    monkeypatch.setattr(write_graph, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'featx\[onnx\]'"):
        exported(home, run, "onnx")
    assert files_of(tmp_path) == set()


def test_where_it_goes(tmp_path: Path) -> None:
    assert target_of("onnx", None, "m") == Path("m.onnx")
    assert target_of("openvino", tmp_path, "m") == tmp_path / "m.xml"
    assert target_of("onnx", tmp_path / "new", "m") == tmp_path / "new" / "m.onnx"
    assert target_of("onnx", tmp_path / "v1.2", "m") == tmp_path / "v1.2" / "m.onnx"
    assert target_of("onnx", tmp_path / "a.onnx", "m") == tmp_path / "a.onnx"
    for wrong in ("a.xml", "a.csv"):
        with pytest.raises(UsageError, match=f"{wrong} ends in .* --to onnx writes .onnx"):
            target_of("onnx", wrong, "m")
    with pytest.raises(UnknownNameError, match="format of a graph"):
        target_of("onx", None, "m")


def test_which_of_the_two_is_meant() -> None:
    assert [format_of(to, None) for to in ("onnx", "openvino", "npz", None)] == [
        "onnx", "openvino", None, None,
    ]  # fmt: skip
    assert format_of(None, "a.onnx") == "onnx"
    assert format_of(None, "a.xml") == "openvino"
    assert format_of(None, "a.csv") is None


def test_a_data_set_and_a_head_are_not_mixed_up(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fitted(home, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="photos is a data set, and --to onnx writes a fitted"):
        deploy("photos", "onnx", cache=home / "cache")
    with pytest.raises(NotFoundError, match="photos is a folder of images, not a run"):
        deploy(home / "photos", "onnx", cache=home / "cache")
    with pytest.raises(UnknownNameError, match="unknown run 'modle'"):
        deploy("modle", "onnx", cache=home / "cache")
    for name in ("model", str(run)):
        with pytest.raises(UsageError, match="is a fitted head, and this writes the features"):
            manage.export(name, "csv", cache=home / "cache")
    with pytest.raises(NotFoundError):
        manage.export("nothing", "csv", cache=home / "cache")


def test_the_command(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted(home, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATX_CACHE", str(home / "cache"))
    result = featx("export", "model", "--to", "openvino", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert "takes images (batch, 32, 32, 3) uint8, gives scores (batch, 3)" in result.stdout
    assert "100.0% of the labels are the same" in result.stdout
    assert f"written to {tmp_path / 'model.xml'}" in result.stdout
    result = featx("export", "model", "--out", "graphs/a.xml", "--json")
    value = json.loads(result.stdout)
    assert value["path"] == str(tmp_path / "graphs" / "a.xml")
    assert value["parity"]["same_labels"] == 1.0
    assert json.loads((tmp_path / "graphs" / "a.xml.json").read_text()).items() <= value.items()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--to", "onnx"], "name a run"),
    (["model", "--to", "onnx", "--features", "vgg16"], "leave it out"),
    (["photos", "--to", "npz", "--weights", "a.pth"], "--weights is for a fitted head"),
])  # fmt: skip
def test_options_of_the_other(arguments: list[str], message: str) -> None:
    result = featx("export", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_help_tells_the_two_apart() -> None:
    text = " ".join(featx("export", "--help", env={"COLUMNS": "200"}).stdout.split())
    assert "npz ... h5ad: features of DATA; onnx, openvino: MODEL as a graph" in text


def test_what_the_helper_prepares_is_what_featx_prepares(home: Path) -> None:
    from featx import images

    recipe = load("photos", TINY.format("avg"), cache=home / "cache").recipe
    how = {"resize": "crop", "resize_size": 37, "image_size": [32, 32], "interpolation": "bilinear"}
    for file in (home / "new").rglob("*.jpg"):
        [expected] = images.load(file.read_bytes(), recipe.preprocess)
        assert np.array_equal(prepared(file, {"prepare": how}), expected)
