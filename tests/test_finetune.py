"""Fine-tuning from photographs to a model that predicts, compares and goes on after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_cli import featx as cli
from helpers_photos import folder

from featx._types import Silent
from featx.comparison import compare
from featx.errors import LayerError, TargetError, UnknownNameError, UsageError
from featx.extraction import extract
from featx.features import load
from featx.finetuning import finetune
from featx.finetuning.record import command_of
from featx.fitting import fit
from featx.model import load_model
from featx.prediction import predict

BACKBONE = "helpers_photos:tiny"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos", 10)


def tuned(photos: Path, **more: Any) -> Any:
    place = photos.parent
    options: dict[str, Any] = {
        "backbone": BACKBONE, "image_size": 32, "epochs": 3, "batch_size": 8, "lr": 1e-3,
        "out": place / "runs", "cache": place / "cache", "device": "cpu",
    }  # fmt: skip
    return finetune(photos, **options | more)


def test_a_run_is_one_like_that_of_a_head(photos: Path) -> None:
    found = tuned(photos, lr=[1e-2, 1e-4], name="one")
    record = json.loads((found.path / "result.json").read_text())
    assert record["head"] == "finetune"
    assert record["n"] == 30
    assert [row["params"]["lr"] for row in record["candidates"]] == [1e-2, 1e-4]
    assert [fold["n_test"] for fold in record["folds"]] == [6]
    assert "lr in 0.01, 0.0001: chosen by accuracy in a validation part of 1 in 5" in record["how"]
    assert len(found.predictions) == 6
    told = record["training"]
    assert (told["trainings"], told["epochs_run"]) == (2, 6)
    assert told["trained"] == ["0", "2"]
    curves = pd.read_csv(found.path / "curves.csv")
    assert len(curves) == 6
    assert curves.groupby("training")["taken"].sum().tolist() == [1, 1]
    assert curves["valid_loss"].notna().all()
    assert record["seconds"]["training"] == pytest.approx(curves["seconds"].sum())
    assert not (found.path.parent / ".finetune").exists()
    assert any("chose the epoch by accuracy" in note for note in record["notes"])


def test_what_is_saved_says_what_was_scored(photos: Path) -> None:
    found = tuned(photos, hidden="6", activation="gelu")
    said = found.predictions.set_index("path")
    table = predict(found.path, photos, cache=photos.parent / "cache").frame.set_index("path")
    columns = [name for name in said if name.startswith("probability_")]
    np.testing.assert_allclose(
        table.loc[said.index, columns].to_numpy(float), said[columns].to_numpy(), atol=5e-3
    )


def test_a_run_may_be_moved(photos: Path, tmp_path: Path) -> None:
    found = tuned(photos)
    moved = tmp_path / "elsewhere" / "model"
    moved.parent.mkdir()
    found.path.rename(moved)
    assert predict(moved, photos, cache=photos.parent / "cache").counts["predicted"] == 30


def test_the_weights_are_for_extract(photos: Path) -> None:
    found = tuned(photos)
    cache = photos.parent / "cache"
    [done] = extract(
        photos, backbone=BACKBONE, image_size=32, pools=["avg"], cache=cache,
        weights=found.path / "backbone.safetensors", precision="fp32",
    )  # fmt: skip
    model = load_model(found.path, cache=cache)
    assert load(done.data, done.label, cache=cache).recipe.weights == model.recipe.weights


def test_numbers_in_their_own_units(photos: Path) -> None:
    table = photos.parent / "ages.csv"
    files = sorted(photos.rglob("*.jpg"))
    ages = [20.5 + 30 * (file.parent.name == "cat") + int(file.stem) / 10 for file in files]
    pd.DataFrame({"path": [str(file) for file in files], "age": ages}).to_csv(table, index=False)
    found = tuned(table, target="age", loss="l1", epochs=60, lr=1e-2, freeze="all", name="age")
    assert found.record["task"] == "regression"
    assert found.metrics["rmse"] < 8
    assert set(found.metrics) >= {"plcc", "srocc", "mae"}
    said = predict(found.path, table, cache=photos.parent / "cache").frame["prediction"]
    assert np.abs(said.to_numpy(float) - ages).mean() < 8


def test_folds_are_those_of_fit_and_runs_compare(photos: Path) -> None:
    place = photos.parent
    extract(photos, backbone=BACKBONE, image_size=32, pools=["avg"], cache=place / "cache")
    head = fit(head="svm", cv=3, out=place / "runs", cache=place / "cache")
    found = tuned(photos, cv=3, epochs=2)
    assert [f["n_test"] for f in found.record["folds"]] == [10, 10, 10]
    assert found.record["training"]["trainings"] == 4  # and once more on all rows
    a, b = (one.predictions.set_index("path")["fold"] for one in (head, found))
    assert (a.sort_index() == b.sort_index()).all()
    assert len(compare(head, found).table) == 2


def test_frozen_features_train_as_the_network_does(photos: Path) -> None:
    """With all of it frozen vectors come from the cache: the images give the same."""
    still = {"hflip": 0.0, "rotation": 0.0, "grayscale": 1e-12}
    file = photos.parent / "nothing.toml"
    file.write_text("\n".join(f"{name} = {value}" for name, value in still.items()))
    fast, slow = tuned(photos, freeze="all"), tuned(photos, freeze="all", augment=file)
    for one, other in zip(
        fast.record["training"]["curve"], slow.record["training"]["curve"], strict=True
    ):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=5e-3)


def test_from_scratch_begins_elsewhere_and_can_be_kept(photos: Path) -> None:
    found = finetune(
        photos, backbone="shufflenet_v2_x0_5", from_scratch=True, image_size=32, epochs=1,
        batch_size=8, out=photos.parent / "runs", cache=photos.parent / "cache", device="cpu",
    )  # fmt: skip
    assert predict(found.path, photos, cache=photos.parent / "cache").counts["predicted"] == 30


def test_without_validation_the_last_epoch_is_taken(photos: Path) -> None:
    found = tuned(photos, val=0)
    assert found.record["training"]["best_epoch"] == 2
    assert "no validation rows: the last epoch was taken" in found.notes


def test_val_rows_of_a_split_column_choose(photos: Path) -> None:
    files = sorted(photos.rglob("*.jpg"))
    sides = [("train", "train", "val", "test")[i % 4] for i in range(len(files))]
    table = photos.parent / "split.csv"
    labels = [file.parent.name for file in files]
    pd.DataFrame({"path": list(map(str, files)), "label": labels, "split": sides}).to_csv(
        table, index=False
    )
    found = tuned(table, split="split")
    n = sides.count("val")
    assert any(note.startswith(f"of the training rows {n} of ") for note in found.notes)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"val": 0.0, "lr": [1e-2, 1e-3]}, UsageError, "2 candidates and no validation rows"),
        ({"val": 0.9}, UsageError, "val is 0.9; expected a part"),
        ({"freeze": "layer9"}, LayerError, "no layer 'layer9'"),
        ({"optimizer": "sdg"}, UnknownNameError, "sgd"),
        ({"loss": "l1"}, UsageError, "loss 'l1' is not for classification"),
        ({"hidden": "a"}, UsageError, "hidden is 'a'"),
        ({"augment": "lihgt"}, UnknownNameError, "light"),
        (
            {"scoring": "neg_log_loss"},
            UsageError,
            "scoring 'neg_log_loss': expected one of accuracy",
        ),
        ({"target": "age"}, UnknownNameError, "age"),
        ({"test_size": 2.0}, UsageError, "the test fraction is 2.0"),
        ({"train_per_class": 99}, TargetError, "fewer than 99 a class"),
        ({"backbone": [BACKBONE, "vgg16"]}, UsageError, "one at a time"),
    ],
)
def test_what_cannot_be(photos: Path, options: dict[str, Any], error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        tuned(photos, **options)
    assert not (photos.parent / "runs" / ".finetune").exists()


def test_the_command(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    written = [
        "finetune", str(photos), "--backbone", BACKBONE, "--image-size", "32", "--epochs", "2",
        "--lr", "1e-2,1e-3", "--batch-size", "8", "--optimizer", "sgd", "--freeze", "half",
        "--hidden", "8,4", "--activation", "gelu", "--augment", "light", "--cache", "cache",
        "--device", "cpu",
    ]  # fmt: skip
    result = cli(*written)
    assert result.exit_code == 0, result.stderr
    assert "took epoch" in result.stdout
    assert "next: featx predict runs/finetune-photos-" in result.stdout
    assert "1 of 2 layers are frozen, 0 to 0; trained are 2 to 2" in result.stderr
    record = json.loads(cli(*written, "--json").stdout)
    words = record["command"].removeprefix("featx ").split()
    assert cli(*words, "--cache", "cache").exit_code == 0


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", 60)

    def command(out: str) -> list[str]:
        return [
            sys.executable, "-m", "featx", "finetune", str(photos), "--backbone", BACKBONE,
            "--image-size", "96", "--epochs", "8", "--lr", "1e-2,1e-3", "--batch-size", "4",
            "--augment", "faces", "--cache", str(tmp_path / "cache"), "--device", "cpu",
            "--out", str(tmp_path / out), "--name", "one",
        ]  # fmt: skip

    here = Path(__file__).parent
    environment = os.environ | {
        "PYTHONPATH": f"{here}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    }
    subprocess.run(command("calm"), env=environment, check=True, capture_output=True)
    under_way = tmp_path / "stormy" / ".finetune"
    kills = 0
    while kills < 3:
        run = subprocess.Popen(command("stormy"), env=environment, stderr=subprocess.PIPE)
        before = {f: f.stat().st_mtime_ns for f in under_way.glob("*/*")}
        while run.poll() is None:
            now = {f: f.stat().st_mtime_ns for f in under_way.glob("*/*.safetensors") if f.exists()}
            if any(before.get(file) != stamp for file, stamp in now.items()):
                time.sleep(0.05)  # into the next epoch
                run.kill()
                break
            time.sleep(0.002)
        said = run.communicate()[1].decode()
        assert run.returncode == -9, said
        kills += 1
    subprocess.run(command("stormy"), env=environment, check=True, capture_output=True)
    calm, stormy = (tmp_path / name / "one" for name in ("calm", "stormy"))
    a, b = (json.loads((run / "result.json").read_text()) for run in (calm, stormy))
    assert a["metrics"] == b["metrics"]
    assert (calm / "predictions.csv").read_bytes() == (stormy / "predictions.csv").read_bytes()
    for name in ("train_loss", "valid_loss", "valid_score", "taken"):
        x, y = (pd.read_csv(run / "curves.csv")[name] for run in (calm, stormy))
        assert (x == y).all()
    assert (calm / "backbone.safetensors").read_bytes() == (
        stormy / "backbone.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(
    ("data", "words"), [(None, ""), ("a b", "'a b' "), (["a", Path("b")], "a b ")]
)
def test_the_command_names_what_was_given(data: Any, words: str) -> None:
    assert command_of(data, "vgg16", {"val": 0.2}) == (
        f"featx finetune {words}--backbone vgg16 --val 0.2"
    )


def test_ctrl_c_is_no_result(photos: Path) -> None:
    class Impatient(Silent):
        def start(self, task: str, _: int | None) -> None:
            self.training = task.startswith("training")

        def advance(self, _: int = 1) -> None:
            if self.training:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(photos, progress=Impatient())
    assert not list((photos.parent / "runs").glob("finetune*"))
    assert tuned(photos).path is not None
