from __future__ import annotations

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
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

from featx.artifact import write_artifact, write_images
from featx.embedding import engine
from featx.errors import (
    ImageError,
    NotFoundError,
    RecipeMismatchError,
    SchemaVersionError,
    TargetError,
    UnknownNameError,
    UsageError,
)
from featx.extraction import extract
from featx.features import Features, load
from featx.modelinfo import ModelInfo
from featx.prediction import Model, load_model, predict

SIZE = 64
COLOURS = {"blue": (40, 40, 200), "red": (200, 40, 40)}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def picture(colour: str, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    pixels = np.array(COLOURS[colour]) + rng.normal(0, 30, (SIZE, SIZE, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``train`` and ``new`` of class folders, and ``cache`` with the features of train."""
    root = tmp_path_factory.mktemp("world")
    for folder, n, first in (("train", 8, 0), ("new", 3, 100)):
        for colour in COLOURS:
            (root / folder / colour).mkdir(parents=True)
            for i in range(n):
                picture(colour, first + i).save(root / folder / colour / f"{i}.png")
    options: dict[str, Any] = {"weights": "random", "image_size": SIZE, "precision": "fp32"}
    extract(root / "train", backbone="squeezenet1_1", cache=root / "cache", **options)
    return root


@pytest.fixture
def home(world: Path, tmp_path: Path) -> Path:
    shutil.copytree(world, tmp_path, dirs_exist_ok=True)
    return tmp_path


def save(home: Path, head: Any, y: Callable[[Features], np.ndarray], **changes: Any) -> Path:
    features = load(cache=home / "cache")
    head.fit(features.X, y(features))
    regression = not hasattr(head, "classes_")
    info = ModelInfo(
        head="svm",
        task="regression" if regression else "classification",
        target="label",
        scale="none",
        classes=() if regression else tuple(head.classes_.tolist()),
        dim=features.store.dim,
        recipe=features.recipe,
        source=features.provenance["request"],
        data=features.name,
        manifest=features.manifest.hash,
        versions={},
    )
    write_artifact(home / "runs" / "model", head, replace(info, **changes))
    return home / "runs" / "model"


def labels(features: Features) -> np.ndarray:
    return features.column("label").astype(str)


@pytest.fixture
def svm(home: Path) -> Path:
    return save(home, LinearSVC(C=0.01, max_iter=100_000), labels)


@pytest.fixture
def model(home: Path, svm: Path) -> Model:
    return load_model(svm, cache=home / "cache", precision="fp32")


def table_of(home: Path, **columns: Any) -> Path:
    """A CSV that names the new pictures in an order of its own."""
    paths = ["red/2.png", "blue/0.png", "red/0.png", "blue/2.png", "red/1.png", "blue/1.png"]
    frame = pd.DataFrame({"id": [f"{i:03d}" for i in range(6)], "file": paths} | columns)
    frame.to_csv(home / "new" / "table.csv", index=False)
    return home / "new" / "table.csv"


def test_a_folder(home: Path, svm: Path) -> None:
    done = predict(svm, home / "new", cache=home / "cache", precision="fp32")
    frame = done.frame
    columns = ["path", "label", "prediction", "score_blue", "score_red", "status", "reason"]
    assert list(frame) == columns
    assert frame["prediction"].tolist() == frame["label"].tolist()
    assert np.array_equal(frame["score_blue"], -frame["score_red"])
    assert set(frame["status"]) == {"ok"}
    assert frame["reason"].isna().all()
    assert done.to_json() == {"rows": 6, "predicted": 6, "failed": 0, "metrics": None, "notes": []}
    assert "<table" in done._repr_html_()


def test_predictions_equal_scikit_learns_on_the_cached_vectors(home: Path, model: Model) -> None:
    features = load(cache=home / "cache")
    table = model.predict_table(home / "train")
    assert table["prediction"].tolist() == model.head.predict(features.X).tolist()
    assert np.array_equal(table["score_red"], model.head.decision_function(features.X))


def test_a_table_keeps_its_columns_and_order(home: Path, svm: Path) -> None:
    path = table_of(home, prediction=list("abcdef"), status="mine")
    done = predict(svm, path, cache=home / "cache", precision="fp32")
    assert list(done.frame) == [
        "id", "file", "prediction", "status",
        "prediction_featx", "score_blue", "score_red", "status_featx", "reason",
    ]  # fmt: skip
    assert done.frame["id"].tolist() == [f"{i:03d}" for i in range(6)]
    assert done.frame["prediction"].tolist() == list("abcdef")
    assert done.frame["prediction_featx"].tolist() == ["red", "blue"] * 3


def test_bad_images_are_rows_with_a_reason(home: Path, svm: Path) -> None:
    (home / "new" / "red" / "0.png").write_bytes(b"")
    (home / "new" / "blue" / "2.png").unlink()
    done = predict(svm, table_of(home), cache=home / "cache", precision="fp32")
    assert done.counts == {"rows": 6, "predicted": 4, "failed": 2}
    frame = done.frame
    assert frame["status"].tolist() == ["ok", "ok", "failed", "failed", "ok", "ok"]
    assert frame["prediction"].tolist() == ["red", "blue", None, None, "red", "blue"]
    assert frame["score_red"].isna().tolist() == [False, False, True, True, False, False]
    assert all(frame["reason"][2:4])
    with pytest.raises(ImageError):
        predict(svm, table_of(home), cache=home / "cache", precision="fp32", on_error="raise")


def test_all_images_bad(home: Path, svm: Path) -> None:
    (home / "bad").mkdir()
    (home / "bad" / "x.png").write_bytes(b"")
    done = predict(svm, home / "bad", cache=home / "cache", precision="fp32")
    assert done.counts == {"rows": 1, "predicted": 0, "failed": 1}
    assert done.frame["prediction"].tolist() == [None]
    assert done.frame[["score_blue", "score_red"]].isna().all(axis=None)
    path = save(home, Ridge(), lambda f: (labels(f) == "red").astype(float))
    regression = predict(path, home / "bad", cache=home / "cache", precision="fp32").frame
    assert regression["prediction"].isna().tolist() == [True]
    assert list(regression) == ["path", "prediction", "status", "reason"]
    with pytest.raises(TargetError, match="no row has both"):
        predict(svm, table_of_bad(home), evaluate=True, cache=home / "cache")


def table_of_bad(home: Path) -> pd.DataFrame:
    return pd.DataFrame({"path": [str(home / "bad" / "x.png")], "label": ["red"]})


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".json"])
def test_output_files(home: Path, svm: Path, suffix: str) -> None:
    path = home / f"out{suffix}"
    done = predict(svm, table_of(home), output=path, cache=home / "cache", precision="fp32")
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        ".csv": lambda: pd.read_csv(path, dtype={"id": str}),
        ".tsv": lambda: pd.read_csv(path, dtype={"id": str}, sep="\t"),
        ".parquet": lambda: pd.read_parquet(path),
        ".json": lambda: pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))),
    }
    read = readers[suffix]()
    assert list(read) == list(done.frame)
    assert read["id"].tolist() == done.frame["id"].tolist()
    assert read["prediction"].tolist() == done.frame["prediction"].tolist()
    assert np.allclose(read["score_red"], done.frame["score_red"].astype(float))


def test_an_unknown_output_is_refused_before_the_work(home: Path, svm: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv, \.tsv, \.parquet, \.json"):
        predict(svm, home / "nowhere", output=home / "out.xls", cache=home / "cache")


def test_evaluate(home: Path, svm: Path) -> None:
    done = predict(svm, home / "new", evaluate=True, cache=home / "cache", precision="fp32")
    assert done.metrics is not None
    score = done.metrics["accuracy"]
    assert (score.mean, score.n) == (1, 6)
    assert score.low <= 1
    assert done.to_json()["metrics"]["accuracy"]["mean"] == 1


def test_evaluate_resamples_the_groups_of_the_fit(home: Path) -> None:
    path = save(home, LogisticRegression(), labels, group="person")
    data = table_of(home, label=["red", "blue"] * 3, person=list("aabbbb"))
    done = predict(path, data, evaluate=True, cache=home / "cache", precision="fp32")
    assert done.metrics is not None
    assert "2 units (person)" in done.metrics["accuracy"].how


def test_labels_with_zeros_before_them_stay_names(home: Path) -> None:
    def names(features: Features) -> np.ndarray:
        return np.where(labels(features) == "red", "01", "other")

    path = save(home, LogisticRegression(), names)
    data = table_of(home, label=["01", "", "01", "", "01", ""])
    done = predict(path, data, evaluate=True, cache=home / "cache", precision="fp32")
    assert done.metrics is not None
    assert done.metrics["accuracy"].mean == 1


def test_evaluate_names_what_is_missing(home: Path, svm: Path) -> None:
    path = table_of(home, colour=["red", "blue", "?", "green", "red", "red"])
    options: dict[str, Any] = {"evaluate": True, "cache": home / "cache", "precision": "fp32"}
    with pytest.raises(UnknownNameError, match="unknown column 'label'"):
        predict(svm, path, **options)
    with pytest.raises(TargetError, match="not fitted on: green; it knows blue, red"):
        predict(svm, path, target="colour", missing=["?"], **options)
    done = predict(svm, path, target="colour", missing=["?", "green"], **options)
    assert done.metrics is not None
    assert done.metrics["accuracy"].n == 4
    assert done.metrics["accuracy"].mean == pytest.approx(3 / 4)
    assert done.notes == ("scored: 4 of 6 rows; the others failed or have no target",)
    flat = home / "flat"
    flat.mkdir()
    (home / "new" / "red" / "1.png").rename(flat / "1.png")
    with pytest.raises(TargetError, match="come without labels"):
        predict(svm, flat, **options)


def test_images_of_the_fit_are_not_new_to_the_head(home: Path, svm: Path) -> None:
    options: dict[str, Any] = {"evaluate": True, "cache": home / "cache", "precision": "fp32"}
    digests = load_model(svm, cache=home / "cache").embed(home / "new").manifest.digest
    write_images(svm, digests, np.arange(2))
    (note,) = predict(svm, home / "new", **options).notes
    assert note.startswith("the head was fitted on 2 of 6 images")


def test_regression(home: Path) -> None:
    def redness(features: Features) -> np.ndarray:
        return np.where(labels(features) == "red", 1.0, 0.0)

    path = save(home, Ridge(), redness, target="redness")
    (home / "new" / "blue" / "1.png").write_bytes(b"")
    data = table_of(home, redness=["1", "0", "1", "0", "NA", "0"])
    options: dict[str, Any] = {"cache": home / "cache", "precision": "fp32", "evaluate": True}
    with pytest.raises(TargetError, match="--missing NA"):
        predict(path, data, **options)
    done = predict(path, data, missing=["NA"], **options)
    assert done.frame["prediction"].dtype == np.float64
    assert np.isnan(done.frame["prediction"].iloc[-1])
    assert done.metrics is not None
    assert done.metrics["mae"].mean < 0.5
    assert done.metrics["mae"].n == 4
    assert [c for c in done.frame if str(c).startswith("score")] == []


def test_scores_that_run_the_other_way_are_compared_turned_around(home: Path) -> None:
    def blueness(features: Features) -> np.ndarray:
        return np.where(labels(features) == "red", 0.0, 1.0)

    path = save(home, Ridge(), blueness, target="dmos", lower_is_better=True)
    data = table_of(home, mos=[5, 4, 5, 1, 2, 1])
    options: dict[str, Any] = {"cache": home / "cache", "precision": "fp32", "evaluate": True}
    quality = {"target": "mos", "quality": True}
    turned = predict(path, data, lower_is_better=False, **quality, **options)
    alike = predict(path, data, **quality, **options)
    assert turned.metrics is not None
    assert alike.metrics is not None
    assert turned.metrics["plcc"].mean == -alike.metrics["plcc"].mean
    assert set(alike.metrics) - set(turned.metrics) == {"mae", "rmse", "r2"}
    assert "plcc_logistic4" in turned.metrics
    assert any("runs against the head's target, dmos" in note for note in turned.notes)
    assert not any("runs against" in note for note in alike.notes)
    assert turned.frame["prediction"].tolist() == alike.frame["prediction"].tolist()


def test_classes_have_no_quality(home: Path, svm: Path) -> None:
    with pytest.raises(UsageError, match="are for heads that predict numbers"):
        predict(svm, home / "new", evaluate=True, quality=True, cache=home / "cache")


def test_numbers_as_classes(home: Path) -> None:
    path = save(home, LogisticRegression(), lambda f: (labels(f) == "red").astype(int))
    data = table_of(home, label=["1", "0", "1", "0", "1", "0"])
    done = predict(path, data, evaluate=True, cache=home / "cache", precision="fp32")
    assert done.frame["prediction"].tolist() == [1, 0] * 3
    assert np.allclose(done.frame["probability_0"] + done.frame["probability_1"], 1)
    assert done.metrics is not None
    assert done.metrics["accuracy"].mean == 1


def test_cached_vectors_are_used_and_new_ones_kept_only_on_request(home: Path, svm: Path) -> None:
    def rows() -> int:
        return int(load("train", cache=home / "cache").store.counts()["done"])

    options: dict[str, Any] = {"cache": home / "cache", "precision": "fp32"}
    before = rows()
    predict(svm, home / "new", **options)
    assert rows() == before
    predict(svm, home / "new", cache_new=True, **options)
    assert rows() == before + 6


def test_a_model_stays_warm(model: Model, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[object] = []
    original = engine.load_backbone

    def counting(*args: Any, **options: Any) -> Any:
        loads.append(args)
        return original(*args, **options)

    monkeypatch.setattr(engine, "load_backbone", counting)
    pictures = [picture("red", 900), picture("blue", 901)]
    assert model.predict(pictures).tolist() == ["red", "blue"]
    assert model.predict([picture("blue", 902)]).tolist() == ["blue"]
    assert model.predict(np.asarray(picture("red", 903))[None]).tolist() == ["red"]
    buffer = io.BytesIO()
    picture("blue", 904).save(buffer, "PNG")
    assert model.predict([buffer.getvalue()]).tolist() == ["blue"]
    assert model.predict(home / "new").tolist() == ["blue"] * 3 + ["red"] * 3
    assert len(loads) <= 1


def test_items_of_one_image_are_told_apart(model: Model, home: Path) -> None:
    found = model.embed(home / "new")
    assert "item" not in model.table(found, model.outputs(found.X))
    found.manifest.item[1] = 1
    table = model.table(found, model.outputs(found.X))
    assert table["item"].tolist() == [0, 1, 0, 0, 0, 0]


def test_a_bad_image_has_no_place_in_an_array(model: Model, home: Path) -> None:
    (home / "new" / "red" / "0.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"0\.png"):
        model.predict(home / "new")
    assert model.predict_table(home / "new")["status"].tolist().count("failed") == 1


def test_a_bad_image_that_the_cache_knows_has_no_place_either(home: Path, model: Model) -> None:
    (home / "new" / "red" / "0.png").write_bytes(b"no image")
    predict(model, home / "new", cache_new=True)
    with pytest.raises(ImageError, match=r"0\.png"):
        model.predict(home / "new")
    with pytest.raises(ImageError, match=r"0\.png"):
        predict(model, home / "new", on_error="raise")


def test_a_loaded_model_has_its_weights_and_cache(home: Path, model: Model) -> None:
    with pytest.raises(UsageError, match="load_model"):
        predict(model, home / "new", cache=home / "cache")


def test_what_a_model_says_of_itself(model: Model) -> None:
    assert repr(model) == (
        "<Model model: svm for label on squeezenet1_1(random seed 0):features:flatten@64>"
    )
    assert model.classes_ is not None
    assert model.classes_.tolist() == ["blue", "red"]
    assert model.recipe.backbone == "squeezenet1_1"
    assert isinstance(model.head, LinearSVC)


def test_another_recipe_is_refused_field_by_field(home: Path, svm: Path) -> None:
    path = svm / "model.json"
    value = json.loads(path.read_text())
    value["source"] |= {"image_size": 96, "seed": 1}
    path.write_text(json.dumps(value))
    with pytest.raises(RecipeMismatchError) as error:
        predict(svm, home / "new", cache=home / "cache")
    message = str(error.value)
    assert "image_size (96, 96) here, (64, 64) in the model" in message
    assert "random_seed 1 here, 0 in the model" in message
    assert "weights" in message


def test_other_weights_are_refused(home: Path, svm: Path) -> None:
    from torchvision.models import squeezenet1_1

    torch.manual_seed(7)
    torch.save(squeezenet1_1(weights=None).state_dict(), home / "other.pth")
    with pytest.raises(RecipeMismatchError, match="weights '"):
        predict(svm, home / "new", cache=home / "cache", weights=str(home / "other.pth"))


def test_models_that_are_not_there(home: Path, svm: Path) -> None:
    assert load_model("model", out=home / "runs").path == svm
    (svm / "result.json").write_text("{}")
    with pytest.raises(UnknownNameError, match="unknown run 'modle'"):
        load_model("modle", out=home / "runs")
    with pytest.raises(NotFoundError, match="train is a folder of images, not a run"):
        load_model(home / "train")
    value = json.loads((svm / "model.json").read_text())
    (svm / "model.json").write_text(json.dumps(value | {"schema": 3}))
    with pytest.raises(SchemaVersionError, match="pip install -U featx"):
        load_model(svm)
