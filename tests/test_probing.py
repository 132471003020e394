"""Layers of one backbone side by side, and the honest score of choosing one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers_cli import Workflow, featx, replace_module
from helpers_photos import CLASSES, photo
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from featx.backbones import BackboneRequest
from featx.backbones.cut import Trace
from featx.backbones.spread import spread, waists
from featx.errors import LayerError, SourceNotFoundError, UnknownNameError, UsageError
from featx.extraction import extract
from featx.features import load
from featx.folds import Rows, make_plan
from featx.probing import Probe, probe_layers
from featx.probing.result import verdict

TINY = "helpers_photos:tiny"


class Residual(nn.Module):
    """A branch that goes around two layers, a value without users, and parts that are picked."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.inner = nn.Conv2d(4, 4, 1)
        self.last = nn.Conv2d(2, 2, 1)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give (B, 2, H, W)."""
        torch._assert(x.ndim == 4, "a batch")
        x = self.stem(x)
        x = x + self.inner(x) * self.scale
        return self.last(x.chunk(2, 1)[0]).relu()


def test_waists_are_what_everything_passes_through() -> None:
    trace = Trace(Residual().eval())
    assert waists(trace) == ["stem", "add", "getitem", "last", "relu"]
    assert waists(trace, "last") == ["stem", "add", "getitem", "last"]


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet18", ("relu", "layer1", "layer2", "layer3", "layer4")),
        ("squeezenet1_1", ("features.1", "features.4", "features.7", "features")),
        (TINY, ("1", "2", "output")),
    ],
)
def test_the_last_layer_of_each_stage(name: str, layers: tuple[str, ...]) -> None:
    weights = None if ":" in name else "random"
    assert spread(BackboneRequest(name, weights=weights, layers=("ignored",))) == layers


def test_every_so_many_layers_from_the_default_one_back() -> None:
    request = BackboneRequest("resnet18", weights="random", image_size=64)
    every = spread(request, 1)
    assert every[:2] == ("relu", "layer1.0")
    assert every[-1] == "layer4"
    assert spread(request, 3) == every[::-3][::-1]
    with pytest.raises(UsageError, match="every is 0"):
        spread(request, 0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of photographs, every fourth of another colour than its label says."""
    folder = tmp_path_factory.mktemp("layers")
    rows = []
    for i in range(36):
        names = list(CLASSES)
        shown = names[(i + (i % 4 == 0)) % 3]
        photo(folder / f"{i}.jpg", CLASSES[shown], i)
        rows.append({"file": f"{i}.jpg", "label": names[i % 3], "number": i % 7 / 3})
    pd.DataFrame(rows).to_csv(folder / "photos.csv", index=False)
    return folder / "photos.csv"


@pytest.fixture(scope="module")
def probe(photos: Path) -> Probe:
    options = {"cv": 3, "seed": 2, "search": False}
    return probe_layers(photos, TINY, head="knn", cache=photos.parent / "cache", **options)


def test_layers_stand_from_shallow_to_deep(probe: Probe) -> None:
    assert list(probe.table["layer"]) == ["1", "2", "output"]
    assert list(probe.table["depth"]) == [1, 2, 2]
    assert list(probe.table["d"]) == [8, 16, 16]
    assert probe.default == "output"
    assert np.isnan(probe.table["p"].iloc[2])
    assert (probe.table["p"][:2] <= 1).all()
    assert probe.best in list(probe.table["layer"])
    assert probe.best in probe.verdict
    assert probe.verdict in repr(probe)


def test_the_layer_is_chosen_inside_the_training_rows(probe: Probe, photos: Path) -> None:
    """scikit-learn's neighbours of each layer, the layer chosen by hand in the inner splits."""
    cache = photos.parent / "cache"
    views = [load("photos", f"{TINY}:{layer}:avg", cache=cache) for layer in ("output", "1", "2")]
    classes, y = np.unique(views[0].y.astype(str), return_inverse=True)
    rows = Rows(len(y), y.astype(np.int64), tuple(classes.tolist()), None, "image")
    plan = make_plan(
        rows, cv="3", repeats=1, test_size=None, split=None, split_name="split",
        train_per_class=None, search=True, seed=2,
    )  # fmt: skip

    def right(X: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
        model = KNeighborsClassifier().fit(X[train], y[train])
        return float(model.score(X[test], y[test]))

    outer, chosen = [], []
    for fold in plan.folds:
        inner = [np.mean([right(v.X, *split) for split in fold.inner]) for v in views]
        best = int(np.argmax(inner))
        chosen.append(views[best].recipe.layer)
        outer.append(right(views[best].X, fold.train, fold.test))
    assert probe.nested.mean == pytest.approx(np.mean(outer), abs=1e-12)
    assert probe.chosen == {layer: chosen.count(layer) for layer in sorted(set(chosen))}
    alone = probe.table.set_index("layer")["accuracy"]
    for view in views:
        scores = [right(view.X, fold.train, fold.test) for fold in plan.folds]
        assert alone[view.recipe.layer] == pytest.approx(np.mean(scores), abs=1e-12)
    assert f"{probe.nested.mean:.3f}" in probe.notes[0]


@pytest.mark.parametrize("scale", ["l2", "standard"])
def test_a_parameter_means_the_same_inside(photos: Path, scale: str) -> None:
    """With one layer beside a copy of itself the nested score is the layer's own."""
    found = probe_layers(
        photos, TINY, ["2"], head="ridge", target="number", task="regression", scale=scale,
        extract={"limit": 30}, cache=photos.parent / "cache", cv=3, search=False,
    )  # fmt: skip
    assert found.metric == "rmse"
    assert found.table["layer"].tolist() == ["2", "output"]
    low, high = sorted(found.table["rmse"])
    # The variance of all rows stands for that of the training rows, which moves alpha by some
    # per cent, and these scores by far less.
    assert low - 1e-2 < found.nested.mean < high + 1e-2


def test_two_names_of_a_layer_are_one(photos: Path) -> None:
    """A module ends with its last operation: their vectors are the same and stored once."""
    cache = photos.parent / "cache"
    options = {"head": "knn", "cache": cache, "cv": 3, "search": False}
    found = probe_layers(photos, "squeezenet1_1", ["features.4", "features.4.cat"],
                         extract={"weights": "random", "image_size": 48}, **options)  # fmt: skip
    assert found.table["layer"].tolist() == ["features.4", "features"]
    assert found.notes[-1] == "features.4.cat is the layer features.4"
    with pytest.raises(UsageError, match=r"one layer .*features\.12 is the layer features"):
        probe_layers(photos, "squeezenet1_1", ["features.12"],
                     extract={"weights": "random", "image_size": 48}, **options)  # fmt: skip


def test_runs_are_kept_on_request(photos: Path, tmp_path: Path) -> None:
    probe_layers(
        photos, TINY, every=2, head="knn", out=tmp_path, cache=photos.parent / "cache", cv=3,
        missing="bird",
    )  # fmt: skip
    assert len(list(tmp_path.glob("*/result.json"))) == 2


def test_what_was_extracted_last_stays_the_last(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    [done] = extract(photos, backbone=TINY, image_size=32, cache=cache)
    probe_layers(photos, TINY, ["1", "2"], cv=2, cache=cache, extract={"image_size": 32})
    assert len(list(cache.glob("*.zarr"))) > 1
    assert load(cache=cache).label == done.label


def test_what_cannot_be_asked(photos: Path) -> None:
    cache = photos.parent / "cache"
    with pytest.raises(UsageError, match="both given"):
        probe_layers(photos, TINY, ["1"], every=2, cache=cache)
    with pytest.raises(UsageError, match="one layer to probe"):
        probe_layers(photos, TINY, every=9, cache=cache)
    with pytest.raises(LayerError, match="no layer 'nope'"):
        probe_layers(photos, TINY, ["nope"], head="knn", cache=cache)
    with pytest.raises(UnknownNameError):
        probe_layers(photos, TINY, head="smv", cache=cache)
    with pytest.raises(SourceNotFoundError):
        probe_layers(photos.parent / "nowhere", TINY, ["1"], head="knn", cache=cache)


def test_a_certain_gain_is_told() -> None:
    rows = pd.DataFrame(
        {
            "layer": ["a", "b"],
            "rmse": [1.0, 2.0],
            "gain": [-1.0, np.nan],
            "gain_low": [-1.5, np.nan],
            "gain_high": [-0.5, np.nan],
            "p": [0.01, np.nan],
        }
    ).set_index("layer")
    said = verdict(rows, "a", "b", "rmse", -1)
    assert "better than the default layer b by 1.000 (95 % 0.500 to 1.500, p = 0.01" in said
    rows["p"] = 0.4
    assert "no difference to the default layer b can be told (p = 0.4" in verdict(
        rows, "a", "b", "rmse", -1
    )
    best = verdict(rows, "b", "b", "rmse", -1)
    assert "the default layer b has the best rmse" in best
    assert best.endswith("no difference to another layer can be told (p = 0.4 or more after Holm)")
    rows[["gain", "p"]] = [[0.5, 0.01], [np.nan, np.nan]]
    certain = "; it is better than all others for certain (p < 0.05 after Holm)"
    assert verdict(rows, "b", "b", "rmse", -1).endswith(certain)
    rows["rmse"] = 1.0
    assert "a, like b, has the best rmse" in verdict(rows, "a", "b", "rmse", -1)
    assert "layer b, like a, has the best rmse" in verdict(rows, "b", "b", "rmse", -1)


def test_the_command(probe: Probe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    work = Workflow(probe)
    replace_module(monkeypatch, "probing", probe_layers=work)
    file = tmp_path / "layers.csv"
    words = "layers photos --backbone vgg16 --layer a,b --pool std --head ridge --cv 3 --limit 9"
    result = featx(*words.split(), "--target", "age", "--image-size", "64", "-o", str(file))
    assert result.exit_code == 0, result.output
    assert work.args == ("photos", "vgg16", ("a", "b"))
    extracted = {"limit": 9, "image_size": 64, "device": "auto", "dtype": "float16"}
    assert work.options["extract"] == extracted
    expected = {"pool": "std", "head": "ridge", "cv": "3", "target": "age", "out": None}
    assert {name: work.options[name] for name in expected} == expected
    assert "(default)" in result.stdout
    assert "chosen inside the training rows" in " ".join(result.stdout.split())
    assert list(pd.read_csv(file)["layer"].astype(str)) == ["1", "2", "output"]
    said = json.loads(featx("layers", "photos", "--backbone", "vgg16", "--keep", "--json").stdout)
    assert said["default"] == "output"
    assert work.options["out"] == "runs"
