"""A fine-tuned network as a saved model: weights that `featx.extract` takes, and a head on them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from safetensors.torch import save

from featx._files import replacing
from featx.backbones import enums, load_backbone
from featx.errors import RecipeMismatchError
from featx.finetuning.ask import HEAD
from featx.modelinfo import Part
from featx.result import More
from featx.tables import write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from featx._types import JsonObject
    from featx.backbones import Backbone, BackboneRequest
    from featx.evaluate import Params, Setup
    from featx.finetuning.trainer import Trainer, Tuned
    from featx.heads.course import Row

WEIGHTS_FILE = "backbone.safetensors"
CURVES_FILE = "curves.csv"


def estimator_of(setup: Setup, tuned: Tuned) -> Any:
    """Give the head as the estimator of pooled vectors."""
    head = HEAD.make(setup.target.task, tuned.params, setup.spec.class_weight, setup.spec.seed)
    head.coefs_, head.intercepts_ = list(tuned.coefs), list(tuned.offsets)
    head.n_features_in_ = len(tuned.coefs[0])
    head.n_iter_ = len(tuned.rows)
    head.loss_curve_ = [row["train_loss"] for row in tuned.rows]
    validated = "valid_loss" in tuned.rows[-1]
    head.validation_loss_curve_ = [row["valid_loss"] for row in tuned.rows] if validated else None
    if setup.target.classes is not None:
        head.classes_ = setup.target.classes
    return head


def request_of(request: BackboneRequest, file: Path | str) -> BackboneRequest:
    """Give the request for the same backbone with weights from a file of ours.

    It names the preprocessing, which came with the weights that the training began with.
    """
    preprocess = request.preprocess
    if preprocess is None and request.kind == "torchvision":
        preprocess = enums.choose_weights(str(request.name), request).member.name
    return replace(
        request,
        weights=str(file),
        weights_key=None,
        strip_prefix=None,
        seed=0,
        preprocess=preprocess,
    )


def check_kept(request: BackboneRequest, backbone: Backbone, folder: Path, tensors: Any) -> None:
    """Raise if a backbone of these weights would not be the one that is trained.

    Raises
    ------
    RecipeMismatchError
        Naming the fields that would differ.
    """
    file = folder / WEIGHTS_FILE
    file.write_bytes(save(tensors))
    [(expected, *_)] = backbone.recipes()
    [(found, *_)] = load_backbone(request_of(request, file)).recipes()
    same = replace(found, weights=expected.weights, random_seed=expected.random_seed)
    if same != expected:
        differences = "; ".join(expected.differences(same, "here", "with trained weights"))
        raise RecipeMismatchError(
            f"{backbone.name} cannot be kept after training: {differences}; name the preprocessing "
            "with --preprocess, or take another backbone"
        )


def more_of(trainer: Trainer, tuned: Tuned, record: JsonObject) -> More:
    """Give what the run's folder holds besides a head."""

    def write(folder: Path) -> Part:
        with replacing(folder / WEIGHTS_FILE) as temporary:
            temporary.write_bytes(save(tuned.tensors))
        write_table(folder / CURVES_FILE, curves_table(trainer.curves))
        request = request_of(trainer.request, folder / WEIGHTS_FILE)
        [(recipe, *_)] = load_backbone(request).recipes()
        source = request.to_json() | {"weights": WEIGHTS_FILE}
        return Part(recipe, source)

    return More(record, write)


def curves_table(curves: Sequence[tuple[Params, tuple[Row, ...], int]]) -> pd.DataFrame:
    """Give one row an epoch of each training, in the order in which they were run."""
    rows = [
        {
            "training": number,
            **{name: str(value) for name, value in params.items()},
            "epoch": epoch,
            **row,
            "taken": epoch == best,
        }
        for number, (params, each, best) in enumerate(curves)
        for epoch, row in enumerate(each)
    ]
    return pd.DataFrame(rows).replace({np.nan: None})
