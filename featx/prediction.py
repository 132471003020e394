"""Use a fitted head on new images, through its own recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from featx._words import count
from featx.artifact import read_fitted
from featx.embedding import How
from featx.errors import TargetError, UsageError
from featx.model import Model, load_model, raise_failed
from featx.scores import score_once
from featx.tables import write_table, writer_for
from featx.targets import as_amounts, as_labels, has_value, image_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from featx._types import Array, JsonObject, PathLike, Progress
    from featx.embedding import Embedded
    from featx.model import Outputs
    from featx.scores import Score

__all__ = ["Model", "Predictions", "load_model", "predict"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a head says of images.

    Attributes
    ----------
    frame
        The input's rows and columns in their order (``path`` first where no column holds it),
        then ``prediction``, a score for each class, ``status`` (ok or failed) and ``reason``.
        Where the input has a column of that name already, ``_featx`` is put after ours.
    counts
        Rows in all, predicted, failed.
    metrics
        Where they were asked for.
    notes
        What a reader of the metrics should know.
    """

    frame: pd.DataFrame
    counts: dict[str, int]
    metrics: dict[str, Score] | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Give counts and metrics as a JSON object."""
        scores = self.metrics
        named = None if scores is None else {name: s.to_json() for name, s in scores.items()}
        return {**self.counts, "metrics": named, "notes": list(self.notes)}

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {what}" for what, n in self.counts.items())
        return "\n".join([f"<Predictions: {counts}>", *self.notes])

    def _repr_html_(self) -> str:
        return self.frame.head(20).to_html(escape=True)


def predict(
    model: Model | PathLike,
    data: Any,
    *,
    output: PathLike | None = None,
    evaluate: bool = False,
    target: str | None = None,
    missing: Sequence[str] = (),
    quality: bool = False,
    lower_is_better: bool | None = None,
    cache: PathLike | None = None,
    cache_new: bool = False,
    weights: PathLike | Mapping[str, PathLike] | None = None,
    path_column: str | None = None,
    root: PathLike | None = None,
    device: str = "auto",
    precision: str = "auto",
    on_error: Literal["record", "raise"] = "record",
    progress: Progress | None = None,
) -> Predictions:
    """Predict for images, through the recipe of the model.

    Parameters
    ----------
    model
        What `load_model` gave, or a run's folder or name.
    data
        Images as `featx.extract` takes them.
    output
        File for the table: .csv, .tsv, .parquet or .json.
    evaluate
        Whether to compare with the target column (or the class folders).
    target
        The column to compare with, if it is not called as when the head was fitted.
    missing
        Values of that column that mean "unknown".
    quality
        Whether numbers are compared also after a logistic mapping, as in `featx.fit`.
    lower_is_better
        Whether low values of that column mean good; None: as with the head's own target. Where the
        two run against each other (the head gives DMOS, the column holds MOS), predictions are
        turned around before they are compared, as is customary across data sets, and metrics in
        the units of the target are left out.
    cache_new
        Whether vectors computed now go into the cache. Those that are there are used anyway.
    weights, cache, device, precision
        As in `load_model`.
    path_column, root
        Of a table, as in `featx.extract`.
    on_error
        ``record`` gives a bad image the status ``failed`` and a reason; ``raise`` stops.

    Raises
    ------
    RecipeMismatchError
        If the backbone here is not the one that the head was fitted on; names each field.
    ImageError
        If an image is bad and ``on_error`` is ``raise``.
    TargetError, UnknownNameError
        If there is nothing to compare with.
    UsageError
        If ``output`` has an unknown extension, or weights or a cache are named for a model that
        is loaded already.
    """
    if output is not None:
        writer_for(Path(output))
    how = How(
        device=device, precision=precision, write=cache_new, raise_on_error=on_error == "raise"
    )
    if not isinstance(model, Model):
        model = load_model(model, weights=weights, cache=cache, progress=progress)
    elif weights is not None or cache is not None:
        raise UsageError("weights and cache are given to load_model where the model is loaded")
    name = target or model.info.target
    found = model.embed(
        data,
        how=how,
        path_column=path_column,
        root=root,
        needs=name if evaluate else None,
        progress=progress,
    )
    if on_error == "raise":
        raise_failed(found)
    found, said = model.say(found)
    frame = model.table(found, said)
    if output is not None:
        write_table(Path(output), frame)
    turned = lower_is_better not in (None, model.info.lower_is_better)
    metrics = None
    if evaluate:
        metrics = _compare(model, found, said, name, missing, quality=quality, turned=turned)
    failed = int((found.row_of < 0).sum())
    counts = {"rows": len(frame), "predicted": len(frame) - failed, "failed": failed}
    notes = _about_metrics(model, found, metrics, turned) if metrics else ()
    return Predictions(frame, counts, metrics, notes)


def _about_metrics(
    model: Model, found: Embedded, metrics: dict[str, Score], turned: bool
) -> tuple[str, ...]:
    n, scored = len(found.manifest), next(iter(metrics.values())).n
    known = read_fitted(model.path)
    seen = sum(digest.tobytes() in known for digest in found.manifest.digest)
    notes = []
    if seen:
        notes.append(
            f"the head was fitted on {seen} of {count(n, 'image')}: on them it is better than on "
            "new ones"
        )
    if scored < n:
        notes.append(f"scored: {scored} of {count(n, 'row')}; the others failed or have no target")
    if turned:
        notes.append(
            f"the column compared with runs against the head's target, {model.info.target}: the "
            "predictions were turned around to compare them, and stand in the table as they are"
        )
    return tuple(notes)


def _compare(
    model: Model,
    found: Embedded,
    said: Outputs,
    target: str,
    missing: Sequence[str],
    *,
    quality: bool,
    turned: bool,
) -> dict[str, Score]:
    """Score the rows that have a prediction and a target value.

    Raises
    ------
    TargetError
        If there is no row with both, or a label that the head does not know.
    UsageError
        If what is meant for numbers is asked of a head of classes.
    """
    if model.classes_ is not None and (quality or turned):
        raise UsageError(
            "quality and lower_is_better are for heads that predict numbers, and this one predicts "
            "classes: leave them out"
        )
    frame = found.manifest.frame
    values = frame[target].to_numpy(dtype=object)
    rows = np.flatnonzero((found.row_of >= 0) & has_value(values, missing))
    if not len(rows):
        raise TargetError(f"no row has both a prediction and a value in column {target!r}")
    at = found.row_of[rows]
    scores = None if said.scores is None else said.scores[at]
    user = (
        frame[group].to_numpy(dtype=object)[rows] if (group := model.info.group) in frame else None
    )
    groups = image_groups(found.manifest.digest[rows], user)
    y, prediction, classes = _alike(model, values[rows], said.prediction[at], target)
    return score_once(
        y,
        prediction,
        scores,
        classes,
        groups=groups,
        group_name="image" if user is None else str(group),
        probabilities=said.probabilities,
        quality=quality,
        turned=turned,
    )


def _alike(
    model: Model, values: Array, prediction: Array, target: str
) -> tuple[Array, Array, Array | None]:
    """Give target values, predictions and classes of one type, so that they can be compared."""
    if model.classes_ is None:
        return as_amounts(values, target), prediction, None
    y = as_labels(values)
    if y.dtype.kind == model.classes_.dtype.kind:
        return y, prediction.astype(y.dtype), model.classes_
    text = np.array([str(value) for value in values])
    return text, prediction.astype(str), model.classes_.astype(str)
