"""What a head is fitted on: the rows that have a target, their groups, and what to know of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from featx._words import count
from featx.confounding import Made, class_confounds, split_confounds, target_confounds
from featx.errors import TargetError
from featx.features import signatures_of
from featx.folds import is_split, read_sides
from featx.heads import read_target
from featx.provenance import DERIVED, telling_names
from featx.targets import (
    as_amounts,
    as_labels,
    check_column,
    contradictions,
    has_value,
    identity_columns,
    image_groups,
    mostly_amounts,
    refuse_decimal_commas,
    target_name,
    task_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from featx._types import Array, Ints, JsonObject
    from featx.evaluate import Task
    from featx.features import Features, Kind
    from featx.manifest import Manifest
    from featx.views import Views


@dataclass(frozen=True)
class Problem:
    """One target of a data set.

    Attributes
    ----------
    target, group, split
        Names of columns; None where none was named.
    rows
        (m,) int64: the rows of the view that have a target; of an image with several views the row
        that shows it as it is.
    y
        (m,) labels (int64 or text) or numbers.
    groups
        (m,) int64: rows that share an image or a group; None where every row is alone.
    sides
        (m,) the split column's values; None where none was named.
    left_out
        ``{"rows": 3, "why": ...}``: what is not fitted on.
    notes
        What a reader of the scores should know.
    warnings
        What in the data may fool the scores.
    confounds
        Where the target, or the sides of the split, go together with what computed the vectors; as
        ``result.json`` holds it, and `featx.cautions.confound_words` says it.
    views
        Where images have several views: which rows of the view they are.
    """

    target: str
    group: str | None
    split: str | None
    rows: Ints
    y: Array
    groups: Ints | None
    sides: Array | None
    left_out: list[JsonObject]
    notes: list[str]
    warnings: list[str]
    confounds: list[JsonObject]
    views: Fitted | None = None

    @property
    def fitted(self) -> Ints:
        """(r,) the rows of the view that a head is fitted on: every view of every image."""
        return self.rows if self.views is None else self.views.rows

    @property
    def images(self) -> Ints | None:
        """(r,) which of the m images each of these shows; None where they are the m images."""
        return None if self.views is None else self.views.image


@dataclass(frozen=True)
class Fitted:
    """Rows of a view that are views of images.

    Attributes
    ----------
    rows
        (r,) int64, rising.
    image
        (r,) int64: which of the images of a `Problem` each shows.
    """

    rows: Ints
    image: Ints


def pose(
    features: Features,
    target: str | None,
    group: str | None,
    split: str | None,
    task: Task | None,
    missing: Sequence[str],
) -> Problem:
    """Take one target out of a view.

    Parameters
    ----------
    target, group
        Columns; None for those that the view was opened with.

    Raises
    ------
    UnknownNameError
        If a column is not there.
    TargetError
        If no row has a target, or a number is asked for and some values are none.
    """
    target, group = target or features.target, group or features.group
    views = features.views
    if views is None:
        problem = _pose(features, target, group, split, task, missing)
        return replace(problem, notes=[*problem.notes, *_about_unused_views(features)])
    problem = _pose(features.take(views.first), target, group, split, task, missing)
    rows, of = views.rows(problem.rows), views.of(problem.rows)
    return replace(
        problem,
        rows=views.first[problem.rows],
        notes=[*problem.notes, _about_views(features, of)],
        views=Fitted(rows, of.image),
    )


def _about_views(features: Features, views: Views) -> str:
    how = features.recipe.preprocess.augment.describe()
    return (
        f"{views.words()} views of each of {count(views.n_images, 'image')}, the first as it is, "
        "the others "
        f"with {how}: heads are trained on all views of the training images; what they say of an "
        "image's views is averaged before it is scored; all counts are of images"
    )


def _about_unused_views(features: Features) -> list[str]:
    if not features.recipe.preprocess.is_varied:
        return []
    note = (
        f"{features.recipe.label} is made for varied views, and {features.name} was extracted last "
        "without any, so that each image counts once, as it is; `featx extract` with --views and "
        "--augment takes them up again, and computes none that is there"
    )
    return [note]


def _pose(
    features: Features,
    target: str | None,
    group: str | None,
    split: str | None,
    task: Task | None,
    missing: Sequence[str],
) -> Problem:
    """Take one target out of a view whose rows are images."""
    frame = features.frame
    columns = [str(column) for column in frame.columns]
    name = target_name(columns, target)
    for other in filter(None, (group, split)):
        check_column(columns, other)
    values = frame[name].to_numpy(dtype=object)
    rows = np.flatnonzero(has_value(values, missing))
    if not len(rows):
        raise TargetError(f"no row has a value in column {name!r}; columns: {', '.join(columns)}")
    manifest = features.manifest.take(rows)
    y = _target(values[rows], name, task)
    user = None if group is None else frame[group].to_numpy(dtype=object)[rows]
    sides = None if split is None else frame[split].to_numpy(dtype=object)[rows]
    return Problem(
        target=name,
        group=group,
        split=split,
        rows=rows,
        y=y,
        groups=image_groups(manifest.digest, user),
        sides=sides,
        left_out=_left_out(features, len(rows), name, missing),
        notes=[
            *_about_missing(values, missing, name),
            *_about_copies(manifest),
            *_about_groups(user, group),
            *_about_splits(features, [name, group or ""], split),
        ],
        warnings=[
            *_about_contradictions(manifest, y),
            *_about_identities(features, [name, group or "", split or "", "path"]),
        ],
        confounds=[
            {"target": name} | found
            for kind in features.kinds
            for found in _confounds(kind.take(rows), y, task, sides, split or "split")
        ],
    )


def target_task(
    frame: pd.DataFrame, target: str | None, task: Task | None, missing: Sequence[str]
) -> str:
    """Say what a fit would take a column for: ``classification`` or ``regression``.

    Raises
    ------
    UnknownNameError, TargetError
        As `pose`.
    """
    columns = [str(column) for column in frame.columns]
    name = target_name(columns, target)
    values = frame[name].to_numpy(dtype=object)
    values = values[has_value(values, missing)]
    if not len(values):
        raise TargetError(f"no row has a value in column {name!r}; columns: {', '.join(columns)}")
    return task or task_of(_target(values, name, task))[0]


def _target(values: Array, name: str, task: Task | None) -> Array:
    """Labels or numbers as the task asks; without a task, numbers where they seem to be meant."""
    if task != "classification":
        refuse_decimal_commas(values, name)
    if task == "regression" or (task is None and mostly_amounts(values)):
        return as_amounts(values, name)
    return as_labels(values)


def _about_missing(values: Array, missing: Sequence[str], name: str) -> list[str]:
    """Say which values that are to count as missing there are not: a slip of the pen, perhaps."""
    there = int(has_value(values, ()).sum())
    strange = [token for token in missing if has_value(values, [token]).sum() == there]
    if not strange:
        return []
    return [f"no row has {' or '.join(map(repr, strange))} in column {name!r}: --missing names it"]


def _left_out(features: Features, n: int, name: str, missing: Sequence[str]) -> list[JsonObject]:
    counted = f" ({' or '.join(map(repr, missing))} counts as none)" if missing else ""
    counts = {
        f"no value in column {name!r}{counted}": len(features) - n,
        "the image could not be read": len(features.failed),
    }
    return [{"rows": rows, "why": why} for why, rows in counts.items() if rows]


def _about_copies(manifest: Manifest) -> list[str]:
    keys = {(row.tobytes(), int(i)) for row, i in zip(manifest.digest, manifest.item, strict=True)}
    if not (copies := len(manifest) - len(keys)):
        return []
    are = "row is a copy of another" if copies == 1 else "rows are copies of others"
    return [f"{copies:,} {are}: copies stay in one fold"]


_NAMED = 3
"""Images that are named."""


def _about_contradictions(manifest: Manifest, y: Array) -> list[str]:
    against = contradictions(manifest.digest, y)
    if not against:
        return []
    named = [" = ".join(dict.fromkeys(map(str, manifest.path[rows]))) for rows in against[:_NAMED]]
    more = f" and {len(against) - _NAMED:,} more" if len(against) > _NAMED else ""
    occur = "image occurs" if len(against) == 1 else "images occur"
    return [f"{len(against):,} {occur} with more than one target value: {', '.join(named)}{more}"]


def _about_groups(user: Array | None, group: str | None) -> list[str]:
    alone = 0 if user is None else int((~has_value(user, ())).sum())
    have = "row has" if alone == 1 else "rows have"
    return [f"{alone:,} {have} no {group!r}: each is a group of its own"] if alone else []


def _about_splits(features: Features, used: Sequence[str], split: str | None) -> list[str]:
    if split is not None:
        return []
    return [
        f"column {column!r} says which rows train and test, and is not used: --split {column} "
        "tunes in the one and scores the other once"
        for column in map(str, features.frame.columns)
        if column not in used and is_split(features.frame[column].to_numpy(dtype=object))
    ]


def _about_identities(features: Features, used: Sequence[str]) -> list[str]:
    return [
        f"column {name!r} looks like an identity ({count} values over {len(features)} rows): if "
        f"rows that share a value are alike, the scores are too high; --group {name} keeps them "
        "in one fold"
        for name, count in identity_columns(features.frame, used)
    ]


def _confounds(
    kind: Kind, y: Array, task: Task | None, sides: Array | None, split: str
) -> list[JsonObject]:
    """Say where the target or the sides of a split go together with what computed the vectors."""
    code, signatures = signatures_of(kind.store, kind.rows)
    if len(signatures) < 2:
        return []
    made = Made(code, telling_names(signatures), kind.rows)
    target = read_target(y, task)
    if target.classes is None:
        found = target_confounds(made, target.values)
    else:
        found = class_confounds(made, target.values, [str(c) for c in target.classes.tolist()])
    if sides is not None:
        found += split_confounds(made, _tested(sides, split))
    pooled = any(signature.engine == DERIVED for signature in signatures)
    return [{"stores": _stores(kind, pooled=pooled)} | one for one in found]


def _tested(sides: Array, split: str) -> Array:
    """Say which rows a split column tests: its val rows where it has no test rows."""
    read = read_sides(sides, split)
    return np.asarray(read == ("test" if "test" in read else "val"))


def _stores(kind: Kind, *, pooled: bool) -> list[str]:
    """Name what must be removed so that all vectors are computed in one way.

    With the flattened store still there, some would be pooled from it and others computed again.
    """
    flat = replace(kind.recipe, pooling="flatten").store_name
    there = pooled and (kind.store.path.parent / flat).is_dir()
    return [kind.store.path.name, *([flat] if there else [])]
