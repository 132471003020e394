"""A fitted head, loaded, with the recipe that makes vectors of images for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from featx import catalog
from featx._html import facts
from featx._types import Silent
from featx.artifact import read_artifact
from featx.embedding import Embedded, How, Wanted, embed_wanted
from featx.errors import ImageError, TargetError
from featx.heads import output_scores
from featx.rebuild import check_recipes, placed, wanted_of
from featx.result import score_columns
from featx.runs import find_run
from featx.sources import open_source
from featx.tables import free_name
from featx.targets import check_column
from featx.views import Views

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featx._objects import Place
    from featx._types import Array, Float32s, Float64s, Ints, PathLike, Progress
    from featx.modelinfo import ModelInfo
    from featx.recipe import Recipe


@dataclass(frozen=True)
class Outputs:
    """What a head says of m vectors.

    Attributes
    ----------
    prediction
        (m,) labels or numbers.
    scores
        (m, k) probability where the head has one, else decision value; None for a regression.
    """

    prediction: Array
    scores: Float64s | None
    probabilities: bool


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted head with its recipes. Between calls the backbones stay loaded.

    Attributes
    ----------
    head
        The scikit-learn estimator; takes (n, d) float32 vectors, all kinds side by side.
    info
        What was fitted on what.
    path
        The run's folder.
    wanted
        The backbones as they are rebuilt here, with what each is to give.
    cache
        Where vectors may lie already.
    how
        Device, precision and the like.
    """

    head: Any
    info: ModelInfo
    path: Path
    wanted: tuple[Wanted, ...]
    cache: Place
    how: How

    @property
    def recipe(self) -> Recipe:
        """How an image becomes a vector, one of the first kind where there are several."""
        return self.info.recipe

    @property
    def classes_(self) -> Array | None:
        """(k,) labels in the order of the scores; None for a regression."""
        return np.array(self.info.classes) if self.info.classes else None

    def predict(self, images: Any) -> Array:
        """Predict (n,) labels or numbers for a folder, a table, or a sequence of images.

        Raises
        ------
        ImageError
            If an image is bad; `predict_table` gives the others.
        RecipeMismatchError
            If the backbone here is not the one that the head was fitted on.
        """
        found, said = self.say(self.embed(images, how=replace(self.how, raise_on_error=True)))
        raise_failed(found)
        return said.prediction[found.row_of]

    def predict_table(self, images: Any) -> pd.DataFrame:
        """Predict a table: see `featx.prediction.Predictions.frame`.

        Raises
        ------
        RecipeMismatchError
            If the backbone here is not the one that the head was fitted on.
        """
        return self.table(*self.say(self.embed(images)))

    def embed(
        self,
        images: Any,
        *,
        how: How | None = None,
        path_column: str | None = None,
        root: PathLike | None = None,
        needs: str | None = None,
        progress: Progress | None = None,
    ) -> Embedded:
        """Give the vectors of images under the head's recipes; cached ones are not computed.

        An image that has no vector of one kind has none at all.
        ``needs`` is a column that the images must come with.

        Raises
        ------
        TargetError, UnknownNameError
            If they come without it.
        RecipeMismatchError
            If the backbone here is not the one that the head was fitted on; names each field.
        """
        report = progress or Silent()
        check_recipes(self.wanted, self.path.name, self.cache, report)
        order = [part.recipe for part in self.info.parts]
        every_file = any(recipe.preprocess.reader for recipe in order)
        source = open_source(
            images, path_column=path_column, root=root, every_file=every_file,
            shards=catalog.shards_dir(self.cache), progress=report,
        )  # fmt: skip
        if needs is not None:
            _check_labels([str(column) for column in source.frame.columns], needs)
        how = replace(how or self.how, views=self.info.views)
        return embed_wanted(source, self.wanted, order, self.cache, how, report)

    def say(self, found: Embedded) -> tuple[Embedded, Outputs]:
        """Apply the head to what `embed` gave; of an image with several views, give the mean.

        Returns
        -------
        found, outputs
            One row an image: then the vectors are those of the first views.
        """
        said = self.outputs(found.X)
        if self.info.views == 1:
            return found, said
        views = Views(found.manifest.entry)
        row_of = found.row_of[views.first]
        good = np.flatnonzero(row_of >= 0)
        shown = views.of(good)
        mean = self._mean(said, found.row_of[views.rows(good)], shown)
        return (
            Embedded(
                X=found.X[row_of[good]],
                row_of=np.where(row_of >= 0, np.cumsum(row_of >= 0) - 1, -1),
                manifest=found.manifest.take(views.first),
                reasons=[found.reasons[row] for row in views.first],
                recipes=found.recipes,
            ),
            mean,
        )

    def _mean(self, said: Outputs, rows: Ints, shown: Views) -> Outputs:
        """Average what is said of ``rows``, the views of images."""
        if said.scores is None or self.classes_ is None:
            return replace(said, prediction=shown.mean(said.prediction[rows]))
        scores = shown.mean(said.scores[rows])
        return replace(said, prediction=self.classes_[scores.argmax(axis=1)], scores=scores)

    def outputs(self, X: Float32s) -> Outputs:
        """Apply the head to (m, d) vectors."""
        if not len(X):
            return self._nothing()
        scores, probabilities = output_scores(self.head, X)
        return Outputs(self.head.predict(X), scores, probabilities)

    def _nothing(self) -> Outputs:
        """What the head says of no image: scikit-learn refuses an empty array."""
        if self.classes_ is None:
            return Outputs(np.zeros(0), None, probabilities=False)
        scores = np.zeros((0, len(self.classes_)))
        return Outputs(np.zeros(0, object), scores, hasattr(self.head, "predict_proba"))

    def table(self, found: Embedded, said: Outputs) -> pd.DataFrame:
        """Put what the head says beside the input's columns, one row an image and item."""
        frame = input_table(found)
        good = found.row_of >= 0
        columns = {
            "prediction": _spread(said.prediction, found.row_of),
            **{
                name: _spread(values, found.row_of)
                for name, values in score_columns(
                    self.classes_, said.scores, said.probabilities
                ).items()
            },
            "status": np.where(good, "ok", "failed").astype(object),
            "reason": np.array(found.reasons, dtype=object),
        }
        taken = list(frame.columns)
        named = {
            free_name(name, taken): pd.Series(values, frame.index, values.dtype)
            for name, values in columns.items()
        }
        return pd.concat([frame, pd.DataFrame(named)], axis=1)

    def __repr__(self) -> str:
        info = self.info
        return f"<Model {self.path.name}: {info.head} for {info.target} on {info.label}>"

    def _repr_html_(self) -> str:
        info = self.info
        prepared = dict.fromkeys(part.recipe.preprocess.describe() for part in info.parts)
        said: dict[str, object] = {
            "model": self.path.name,
            "head": f"{info.head} for {info.target} ({info.task})",
            "classes": ", ".join(map(str, info.classes)),
            "features": f"{info.dim} values: {info.label}",
            "preprocessing": "; ".join(prepared),
            "views": info.views if info.views > 1 else "",
            "fitted on": info.data,
            "folder": self.path,
        }
        return facts({name: value for name, value in said.items() if value != ""})


def _check_labels(columns: list[str], name: str) -> None:
    if not columns:
        raise TargetError(
            f"these images come without labels, and {name!r} is to be compared with; give a table "
            "or class folders, or leave the evaluation out"
        )
    check_column(columns, name)


def load_model(
    model: PathLike,
    *,
    out: PathLike = "runs",
    weights: PathLike | Mapping[str, PathLike] | None = None,
    backbone: Any = None,
    cache: PathLike | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: Progress | None = None,
) -> Model:
    """Load a fitted head.

    Parameters
    ----------
    model
        The run's folder, a file in it, or its name in ``out``.
    weights
        Where the weights lie now, if not where they lay when the images were embedded. Of several
        backbones: by the name of each that is meant, ``{"vgg16": "w.pth"}``, or by a longer name
        as `featx.load` takes it.
    backbone
        The module, if it was an object and not a name; of several by their names, likewise.
    cache
        Where vectors may lie already; None for ``FEATX_CACHE``, else ``cache``.

    Raises
    ------
    NotFoundError, UnknownNameError
        If there is no such run.
    ModelFileError, SchemaVersionError
        If its files are damaged, hold what no head holds, or are of a newer featx.
    UsageError
        If weights or a module are given without the name of the backbone that they are of.
    """
    path = find_run(model, out)
    head, info = read_artifact(path, (progress or Silent()).say)
    info = placed(info, path)
    return Model(
        head=head,
        info=info,
        path=path,
        wanted=wanted_of(info, weights, backbone),
        cache=catalog.cache_dir(cache),
        how=How(device=device, precision=precision, write=False),
    )


def raise_failed(found: Embedded) -> None:
    """Raise `ImageError` if an image has no vector: also one that the cache knew to be bad."""
    for row in np.flatnonzero(found.row_of < 0):
        raise ImageError(f"{found.manifest.path[row]}: {found.reasons[row]}")


def input_table(found: Embedded) -> pd.DataFrame:
    """Give the input's columns in their order, with what tells its rows apart where they do not.

    ``path`` is put first where no column holds it, ``item`` where an image has several vectors.
    """
    frame = found.manifest.frame
    columns = list(frame.columns)
    new = {}
    if not any(_holds(frame[name], found.manifest.path) for name in columns):
        new[free_name("path", columns)] = found.manifest.path
    if found.manifest.item.any():
        new[free_name("item", columns)] = found.manifest.item
    return pd.concat([pd.DataFrame(new, index=frame.index), frame], axis=1)


def _holds(column: pd.Series[Any], path: Array) -> bool:
    return np.array_equal(column.to_numpy(dtype=object), path)


def _spread(values: Array, row_of: Array) -> Array:
    """(m,) values to (n,): None, or NaN for floats, where ``row_of`` is -1."""
    kind, empty = (float, np.nan) if values.dtype.kind == "f" else (object, None)
    out = np.full(len(row_of), empty, dtype=kind)
    out[row_of >= 0] = values[row_of[row_of >= 0]]
    return out
