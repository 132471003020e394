"""A fitted head on disk: ``head.skops`` with its values, ``model.json`` with what it needs.

Nothing here is a pickle. skops writes an estimator as JSON and ``.npy`` arrays; reading refuses
every type that neither skops nor `TRUSTED` names, before any of it is built.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import warnings
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from featx._files import replacing, write_json
from featx._types import Bytes16s, Callable, Ints, JsonObject
from featx.errors import (
    ModelFileError,
    NotFoundError,
    RecipeMismatchError,
    SchemaVersionError,
)
from featx.modelinfo import INFO_FILE, SCHEMA_VERSION, ModelInfo

HEAD_FILE = "head.skops"
IMAGES_FILE = "images.npy"
FITTED_FILE = "fitted.npy"
"""Where not all of the images were: those that the head was fitted on."""
TRUSTED = frozenset(
    {
        "featx.heads.neural.NeuralClassifier",
        "featx.heads.neural.NeuralRegressor",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    }
)
"""Types of heads that skops does not know: they hold numbers and run nothing."""


def write_artifact(folder: Path, head: Any, info: ModelInfo) -> None:
    """Save ``head`` (a fitted scikit-learn estimator) and ``info`` in ``folder``.

    Raises
    ------
    ModelFileError
        If the head holds a type that would be refused when it is read.
    CacheWriteError
        If the folder cannot be written.
    """
    io = _skops_io()
    data = io.dumps(head)
    if unknown := _unknown_types(data):
        raise ModelFileError(
            f"a {type(head).__name__} cannot be saved: it holds {', '.join(unknown)}"
        )
    with replacing(folder / HEAD_FILE) as temporary:
        temporary.write_bytes(data)
    write_json(folder / INFO_FILE, info.to_json() | {"head_digest": _digest(data)})


def write_images(folder: Path, digests: Bytes16s, fitted: Ints) -> None:
    """Save the (n, 16) uint8 digests of the fit's images, and which rows the head was fitted on.

    Whoever evaluates the head later can then be told which images are not new to it.
    """
    _write_array(folder / IMAGES_FILE, digests)
    if len(fitted) < len(digests):
        _write_array(folder / FITTED_FILE, digests[fitted])


def _write_array(path: Path, values: Bytes16s) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def read_images(folder: Path) -> set[bytes]:
    """Give the digests of the images that the head's data held; none where that is not known."""
    return _read_digests(folder / IMAGES_FILE)


def read_fitted(folder: Path) -> set[bytes]:
    """Give the digests of the images that the head was fitted on, likewise."""
    part = folder / FITTED_FILE
    return _read_digests(part if part.is_file() else folder / IMAGES_FILE)


def _read_digests(path: Path) -> set[bytes]:
    try:
        images = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return set()
    return {row.tobytes() for row in images}


def read_info(folder: Path) -> ModelInfo:
    """Read ``model.json`` alone.

    Raises
    ------
    NotFoundError
        If ``folder`` holds no model.
    SchemaVersionError
        If a newer featx wrote it.
    ModelFileError
        If it is damaged.
    """
    return _parse(folder / INFO_FILE, _read_json(folder))


def read_artifact(folder: Path, say: Callable[[str], None]) -> tuple[Any, ModelInfo]:
    """Read the head and what it needs; ``say`` takes what a user should know.

    Raises
    ------
    NotFoundError, SchemaVersionError
        As `read_info` does.
    ModelFileError
        If a file is damaged, or the head holds a type that no head of featx holds.
    """
    value = _read_json(folder)
    info = _parse(folder / INFO_FILE, value)
    path = folder / HEAD_FILE
    if not path.is_file():
        raise NotFoundError(f"no {HEAD_FILE} in {folder.absolute()}; fit the head again")
    data = path.read_bytes()
    if _digest(data) != value.get("head_digest"):
        raise ModelFileError(
            f"{path} is damaged, or not the head that {INFO_FILE} beside it describes; "
            "fit the head again"
        )
    head = _load_head(data, path)
    _check_version(info, say)
    return head, info


def _read_json(folder: Path) -> JsonObject:
    path = folder / INFO_FILE
    if not path.is_file():
        raise NotFoundError(
            f"no model in {folder.absolute()} (no {INFO_FILE}); `featx runs` lists the models"
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        schema = int(value["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path} is damaged ({error}); fit the head again") from error
    if schema > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path} has schema version {schema}; this featx reads up to {SCHEMA_VERSION}; "
            "upgrade it: pip install -U featx"
        )
    return dict(value)


def _parse(path: Path, value: JsonObject) -> ModelInfo:
    try:
        return ModelInfo.from_json(value)
    except RecipeMismatchError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path} is damaged ({error}); fit the head again") from error


def _load_head(data: bytes, path: Path) -> Any:
    """Build the estimator that ``data`` describes, once every type in it is known to be safe."""
    io = _skops_io()
    with warnings.catch_warnings():
        # A scikit-learn of another version warns here; `_check_version` says it in plain words.
        warnings.simplefilter("ignore")
        try:
            unknown = _unknown_types(data)
        except _DAMAGE as error:
            raise _damaged(path, error) from error
        if unknown:
            raise ModelFileError(
                f"{path} holds types that no head of featx holds: {', '.join(unknown)}; "
                "it was not loaded; use only models from people you trust"
            )
        try:
            head = io.loads(data, trusted=sorted(TRUSTED))
        except _DAMAGE as error:
            raise _damaged(path, error) from error
    if not callable(getattr(head, "predict", None)):
        raise ModelFileError(f"{path} holds a {type(head).__name__}, not a head that predicts")
    return head


def _unknown_types(data: bytes) -> list[str]:
    """Name the types in ``data`` that are neither skops' own nor `TRUSTED`; builds none of them."""
    io = _skops_io()
    return sorted(set(io.get_untrusted_types(data=data)) - TRUSTED)


class _NoTorch:
    """An import finder to which torch is not installed."""

    def find_spec(
        self,
        name: str,
        path: object = None,  # noqa: ARG002  # a finder's contract
        target: object = None,  # noqa: ARG002  # a finder's contract
    ) -> None:
        if name == "torch":
            raise ModuleNotFoundError(name, name=name)


def _skops_io() -> Any:
    """Import skops without torch, which no head needs and which takes longer than most fits.

    skops lists scikit-learn's estimators, for which scikit-learn walks through its packages and
    imports each, among them one that wraps torch; one that cannot be imported is passed over.
    """
    finder = _NoTorch()
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("skops.io")
    finally:
        sys.meta_path.remove(finder)


# skops reports a malformed file with whatever error its parts raise: there is no narrower set.
_DAMAGE = (BadZipFile, OSError, LookupError, TypeError, ValueError, AttributeError, EOFError)


def _damaged(path: Path, error: BaseException) -> ModelFileError:
    return ModelFileError(
        f"{path} is damaged or no skops file ({type(error).__name__}: {error}); fit the head again"
    )


def _check_version(info: ModelInfo, say: Callable[[str], None]) -> None:
    here, there = importlib.metadata.version("scikit-learn"), info.versions.get("scikit-learn")
    if there and there != here:
        say(
            f"the model was fitted with scikit-learn {there}, this is {here}: "
            "predictions may differ; fit it again to be sure"
        )


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
