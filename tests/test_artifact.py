from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from featx.artifact import read_artifact, read_info, write_artifact
from featx.errors import ModelFileError, NotFoundError, RecipeMismatchError, SchemaVersionError
from featx.heads.neural import NeuralClassifier, NeuralRegressor
from featx.modelinfo import ModelInfo
from featx.recipe import Preprocess, Recipe

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)).astype(np.float32)
LABELS = np.array(["a", "ü|<b>\n", "c d"])[np.arange(40) % 3]
AMOUNTS = X[:, 0] * 2 + 1


def info(**changes: Any) -> ModelInfo:
    values: dict[str, Any] = {
        "head": "svm",
        "task": "classification",
        "target": "label",
        "scale": "none",
        "classes": ("a", "c d", "ü|<b>\n"),
        "dim": 6,
        "recipe": Recipe("vgg16", "0" * 32, "features", "flatten", Preprocess(resize="pad")),
        "source": {"name": "vgg16", "weights": "w.pth"},
        "data": "cats",
        "manifest": "ab",
        "versions": {"featx": "0.1.0"},
    }
    return ModelInfo(**values | changes)


def heard(_: str) -> None:
    raise AssertionError("nothing to say")


@pytest.mark.parametrize(
    "head",
    [
        LinearSVC(),
        SVC(),
        LogisticRegression(),
        KNeighborsClassifier(),
        KNeighborsClassifier(metric="cosine"),
        NeuralClassifier((4, 3), "gelu", epochs=2),
        NeuralRegressor(None, epochs=2),
        MLPClassifier((4,), max_iter=400, solver="lbfgs"),
        MLPClassifier((4,), max_iter=3, early_stopping=True),
        make_pipeline(StandardScaler(), LinearSVC()),
        make_pipeline(Normalizer(), KNeighborsClassifier()),
        Ridge(),
        SVR(),
        LinearSVR(),
        MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, solver="sgd"),
    ],
    ids=lambda head: type(head).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # 3 iterations
def test_a_loaded_head_predicts_what_it_predicted(tmp_path: Path, head: Any) -> None:
    is_classifier = head.__sklearn_tags__().estimator_type == "classifier"
    head.fit(X, LABELS if is_classifier else AMOUNTS)
    write_artifact(tmp_path, head, info())
    loaded, read = read_artifact(tmp_path, heard)
    assert read == info() == read_info(tmp_path)
    assert type(loaded) is type(head)
    assert np.array_equal(loaded.predict(X), head.predict(X))
    if is_classifier:
        assert loaded.classes_.tolist() == head.classes_.tolist()


def saved(folder: Path) -> Path:
    write_artifact(folder, LinearSVC().fit(X, LABELS), info())
    return folder


def replace_head(folder: Path, data: bytes) -> None:
    """As someone would who wants the swap to pass unseen: the digest is made to fit."""
    from featx.artifact import _digest

    (folder / "head.skops").write_bytes(data)
    edit(folder, head_digest=_digest(data))


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def shout(x: Any) -> Any:
    raise AssertionError("ran foreign code")


def test_a_head_that_holds_a_function_is_refused(tmp_path: Path) -> None:
    hostile = make_pipeline(FunctionTransformer(shout), LinearSVC())
    replace_head(saved(tmp_path), skops.io.dumps(hostile))
    with pytest.raises(ModelFileError, match=r"types that no head of featx holds: .*shout"):
        read_artifact(tmp_path, heard)


def test_a_hand_made_call_is_refused(tmp_path: Path) -> None:
    """The schema names os.system as what builds an object."""
    data = skops.io.dumps(LinearSVC().fit(X, LABELS))
    source = zipfile.ZipFile(io.BytesIO(data))
    schema = json.loads(source.read("schema.json"))
    schema["__module__"], schema["__class__"] = "os", "system"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            target.writestr(
                name, json.dumps(schema) if name == "schema.json" else source.read(name)
            )
    replace_head(saved(tmp_path), out.getvalue())
    with pytest.raises(ModelFileError, match=r"os\.system"):
        read_artifact(tmp_path, heard)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    replace_head(saved(tmp_path), b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelFileError, match="damaged or no skops file"):
        read_artifact(tmp_path, heard)


def test_what_is_no_head_is_refused(tmp_path: Path) -> None:
    replace_head(saved(tmp_path), skops.io.dumps({"a": 1}))
    with pytest.raises(ModelFileError, match="holds a dict, not a head"):
        read_artifact(tmp_path, heard)


def test_every_truncation_and_flip_is_a_clear_error(tmp_path: Path) -> None:
    data = (saved(tmp_path) / "head.skops").read_bytes()
    for size in range(0, len(data), len(data) // 20):
        (tmp_path / "head.skops").write_bytes(data[:size])
        with pytest.raises(ModelFileError, match="fit the head again"):
            read_artifact(tmp_path, heard)
        replace_head(tmp_path, data[:size])
        with pytest.raises(ModelFileError, match="damaged or no skops file"):
            read_artifact(tmp_path, heard)
        edit(tmp_path, head_digest="-")
        flipped = data[:size] + bytes([data[size] ^ 255]) + data[size + 1 :]
        (tmp_path / "head.skops").write_bytes(flipped)
        with pytest.raises(ModelFileError, match="is damaged"):
            read_artifact(tmp_path, heard)


def test_damage_while_it_is_built(tmp_path: Path) -> None:
    data = skops.io.dumps(LinearSVC().fit(X, LABELS))
    source = zipfile.ZipFile(io.BytesIO(data))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            body = source.read(name)
            target.writestr(name, body[:70] if name.endswith(".npy") else body)
    replace_head(saved(tmp_path), out.getvalue())
    with pytest.raises(ModelFileError, match="damaged or no skops file"):
        read_artifact(tmp_path, heard)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no model in"):
        read_artifact(tmp_path, heard)
    (saved(tmp_path) / "head.skops").unlink()
    with pytest.raises(NotFoundError, match=r"no head\.skops"):
        read_artifact(tmp_path, heard)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"schema": "x"}', '{"schema": 1}', "\udcff"]
)
def test_a_damaged_model_json(tmp_path: Path, text: str) -> None:
    saved(tmp_path)
    (tmp_path / "model.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelFileError, match="is damaged"):
        read_info(tmp_path)


def test_model_json_with_a_broken_recipe(tmp_path: Path) -> None:
    edit(saved(tmp_path), recipe="x")
    with pytest.raises(ModelFileError, match="is damaged"):
        read_info(tmp_path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    edit(saved(tmp_path), schema=99)
    with pytest.raises(SchemaVersionError, match="schema version 99"):
        read_info(tmp_path)


def test_a_recipe_changed_by_hand_is_refused(tmp_path: Path) -> None:
    recipe = info().recipe.to_json() | {"layer": "features.3"}
    edit(saved(tmp_path), recipe=recipe)
    with pytest.raises(RecipeMismatchError, match="changed by hand"):
        read_info(tmp_path)


def test_another_version_of_scikit_learn_is_said(tmp_path: Path) -> None:
    write_artifact(tmp_path, Ridge().fit(X, AMOUNTS), info(versions={"scikit-learn": "1.0"}))
    said: list[str] = []
    read_artifact(tmp_path, said.append)
    assert len(said) == 1
    assert "fitted with scikit-learn 1.0" in said[0]


def test_what_is_saved_is_what_is_trusted(tmp_path: Path) -> None:
    """A fit must not end with a head that cannot be read back."""

    class Own(Ridge):
        """Not a class of scikit-learn's."""

    with pytest.raises(ModelFileError, match="cannot be saved"):
        write_artifact(tmp_path, Own().fit(X, AMOUNTS), info())
    assert list(tmp_path.iterdir()) == []
