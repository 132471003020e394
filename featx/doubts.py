"""What in the data may fool the score: twins across splits, and labels that are likely wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from featx._types import Array, Float32s, Float64s, Ints, JsonObject
from featx.errors import UsageError
from featx.evaluate import Evaluation
from featx.features import Features
from featx.gram import Gram, StoreVectors, Vectors
from featx.leaks import Leak, copies_across, find_leak, means_without
from featx.metrics import METRICS
from featx.problem import Problem
from featx.products import single
from featx.scores import outcome_of
from featx.suspects import class_evidence, number_evidence, suspects
from featx.twins import (
    Twins,
    find_twins,
    gram_strips,
    row_strips,
    search_seconds,
    strip_rows,
)

MAX_SECONDS = 20.0
"""Estimated time above which twins are looked for only where a cosine was given."""

HELD_BYTES = 4 * 2**30
"""Features that are kept in memory while all are compared with all."""


@dataclass(frozen=True, eq=False)
class Cosines:
    """Where the cosines of the fitted rows come from.

    Attributes
    ----------
    strips
        Gives them as `featx.twins.find_twins` takes them; None where there is no room for that.
    seconds
        What computing them takes, estimated; 0 where inner products are at hand.
    """

    strips: Callable[[], Iterable[Array]] | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Doubts:
    """What was found.

    Attributes
    ----------
    twins
        Pairs on both sides of a split, one a row, the most alike first.
    suspects
        Rows whose label is likely wrong, the strongest evidence first.
    record
        ``twins`` and ``suspects`` as ``result.json`` holds them; null for what was not asked for.
    """

    twins: pd.DataFrame
    suspects: pd.DataFrame
    record: JsonObject


def cosines_of(vectors: StoreVectors, gram: Gram | None, rows: Ints | None = None) -> Cosines:
    """Take cosines from inner products that were made for the fit, else from the features.

    Parameters
    ----------
    rows
        (m,) those of the rows that are to be compared; None: all.
    """
    if gram is not None:
        values = gram.values
        if rows is None:
            return Cosines(lambda: gram_strips(values), 0.0)
        return Cosines(lambda: gram_strips(values[np.ix_(rows, rows)]), 0.0)
    if rows is not None:
        vectors = replace(vectors, rows=vectors.rows[rows])
    n, d = vectors.shape
    if n * d * vectors.dtype.itemsize > HELD_BYTES:
        return Cosines(None, search_seconds(n, d))
    return Cosines(lambda: row_strips(_blocks(vectors), n), search_seconds(n, d))


def mean_cosines(kinds: Sequence[Cosines]) -> Cosines:
    """Take the mean over several kinds of features, whatever a head weights them with.

    It is the cosine of the rows with each kind at length 1, side by side: images are alike where
    they are so to every kind.
    """
    if len(kinds) == 1:
        return kinds[0]
    seconds, gives = sum(kind.seconds for kind in kinds), [kind.strips for kind in kinds]
    known = [strips for strips in gives if strips is not None]
    if len(known) < len(gives):
        return Cosines(None, seconds)

    def strips() -> Iterator[Array]:
        for together in zip(*(give() for give in known), strict=True):
            yield sum(together) / len(known)

    return Cosines(strips, seconds)


def _blocks(vectors: Vectors) -> Callable[[], Iterator[Float32s]]:
    """Read the features once, and give them in float32 as often as they are asked for."""
    n = vectors.shape[0]
    X, step = vectors.read(np.arange(n)), strip_rows(n)
    return lambda: (single(X[start : start + step]) for start in range(0, n, step))


def read_twins(option: str | float) -> float | None:
    """Give the cosine that an option names; None for ``auto`` and ``off``.

    Raises
    ------
    UsageError
        If it is neither these nor a cosine.
    """
    if option in ("auto", "off"):
        return None
    try:
        threshold = float(option)
    except ValueError:
        threshold = 0.0
    if not 0 < threshold <= 1:
        raise UsageError(
            f"twins is {option!r}; expected auto, off, or the cosine from which images are twins: "
            "a number above 0 and up to 1, for example 0.95"
        )
    return threshold


def find_doubts(
    evaluation: Evaluation,
    features: Features,
    problem: Problem,
    cosines: Cosines,
    option: str | float = "auto",
) -> Doubts:
    """Look for what may fool the score.

    Parameters
    ----------
    features
        The view that ``problem`` was taken from.
    option
        ``auto``, a cosine, or ``off``: twins are not looked for.
    """
    twins, about = (pd.DataFrame(), None)
    if option != "off":
        twins, about = _twins(evaluation, features, problem, cosines, read_twins(option))
    evidence = _evidence(evaluation, problem)
    rows = suspects(evidence)
    tested = int((evaluation.fold >= 0).sum())
    return Doubts(
        twins,
        _suspect_table(rows, evidence, evaluation, features, problem),
        {"twins": about, "suspects": {"rows": len(rows), "tested": tested}},
    )


def _twins(
    evaluation: Evaluation,
    features: Features,
    problem: Problem,
    cosines: Cosines,
    threshold: float | None,
) -> tuple[pd.DataFrame, JsonObject]:
    """Give the pairs on both sides of a split, and what they do to the score."""
    n, why = len(problem.rows), _why_not(cosines, threshold)
    nothing = np.zeros(0, dtype=np.int64)
    found = Twins(nothing, nothing, np.zeros(0), "the same bytes")
    if cosines.strips is not None and why is None:
        found = find_twins(cosines.strips(), n, threshold)
    image = _images(features, problem)
    folds = [(fold.train, fold.test) for fold in evaluation.folds]
    pairs, cosine = _with_copies(found, *copies_across(image, folds))
    leak = find_leak(pairs[:, 0], pairs[:, 1], folds, n)
    i, j = pairs[leak.pairs].T
    table = _pair_table(i, j, cosine[leak.pairs], image, evaluation, features, problem)
    about: JsonObject = {
        "rule": found.rule,
        "why": why,
        "pairs": len(i),
        "rows": len(leak.rows),
        "tested": int((evaluation.fold >= 0).sum()),
        "different_targets": _differing(problem.y, i, j, numbers=evaluation.classes is None),
        "metrics": _without(evaluation, problem, leak) if len(i) else {},
    }
    return table, about


def _differing(y: Array, i: Ints, j: Ints, *, numbers: bool) -> int:
    """Count the pairs of rows with other labels, or with numbers more than their spread apart."""
    apart = np.abs(y[i] - y[j]) > y.std() if numbers else y[i] != y[j]
    return int(apart.sum())


def _why_not(cosines: Cosines, threshold: float | None) -> str | None:
    """Say why no cosines are compared; None where they are."""
    if cosines.strips is None:
        return "the features do not fit into memory; copies with the same bytes were"
    if threshold is None and cosines.seconds > MAX_SECONDS:
        return (
            f"that takes about {cosines.seconds / 60:.0f} minutes; --twins 0.95, or another "
            "cosine, does it all the same; copies with the same bytes were"
        )
    return None


def _images(features: Features, problem: Problem) -> Ints:
    """Number (n,) the distinct images of the fitted rows."""
    manifest = features.manifest.take(problem.rows)
    item = np.ascontiguousarray(manifest.item, dtype=np.int64).view(np.uint8).reshape(-1, 8)
    keys = np.ascontiguousarray(np.hstack([manifest.digest, item])).view("V24").ravel()
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _with_copies(found: Twins, i: Ints, j: Ints) -> tuple[Ints, Float64s]:
    """Give (p, 2) pairs and (p,) cosines, with those copies that are not among them already."""
    near, copies = np.stack([found.i, found.j], axis=1), np.stack([i, j], axis=1)
    pairs = np.concatenate([copies, near])
    cosine = np.concatenate([np.ones(len(copies)), found.cosine])
    distinct, first = np.unique(pairs, axis=0, return_index=True)
    order = np.argsort(-cosine[first], kind="stable")
    return distinct[order], cosine[first][order]


def _without(evaluation: Evaluation, problem: Problem, leak: Leak) -> dict[str, float]:
    outcomes = [
        outcome_of(problem.y[fold.test], fold.prediction, fold.scores, evaluation.classes)
        for fold in evaluation.folds
    ]
    metrics = [m for m in METRICS[evaluation.task] if m.name in evaluation.metrics]
    tests = [fold.test for fold in evaluation.folds]
    return means_without(outcomes, tests, leak.affected, metrics)


def _pair_table(
    i: Ints,
    j: Ints,
    cosine: Float64s,
    image: Ints,
    evaluation: Evaluation,
    features: Features,
    problem: Problem,
) -> pd.DataFrame:
    """Give the pairs: paths, items where there are any, targets, folds (-1: trained on only)."""
    columns: dict[str, Array] = {}
    for side, rows in ((1, i), (2, j)):
        columns |= {f"{k}_{side}": v for k, v in _named(rows, features, problem).items()}
        columns[f"fold_{side}"] = evaluation.fold[rows]
    return pd.DataFrame({**columns, "cosine": cosine, "same_bytes": image[i] == image[j]})


def _named(rows: Ints, features: Features, problem: Problem) -> dict[str, Array]:
    manifest, at = features.manifest, problem.rows[rows]
    item = {"item": manifest.item[at]} if manifest.item[problem.rows].any() else {}
    return {"path": manifest.path[at], **item, "target": problem.y[rows]}


def _evidence(evaluation: Evaluation, problem: Problem) -> Float64s:
    if evaluation.classes is None or evaluation.scores is None:
        return number_evidence(problem.y, evaluation.prediction)
    label = np.searchsorted(evaluation.classes, problem.y)
    return class_evidence(label, evaluation.scores, probabilities=evaluation.probabilities)


def _suspect_table(
    rows: Ints, evidence: Float64s, evaluation: Evaluation, features: Features, problem: Problem
) -> pd.DataFrame:
    """Give the suspects: what the label says, what the head says, and how far apart they are."""
    columns = _named(rows, features, problem)
    if evaluation.classes is None or evaluation.scores is None:
        prediction = evaluation.prediction[rows]
        columns |= {"prediction": prediction, "residual": problem.y[rows] - prediction}
    else:
        scores = evaluation.scores[rows]
        best = scores.max(axis=1) if len(rows) else np.zeros(0)
        own = scores[np.arange(len(rows)), np.searchsorted(evaluation.classes, problem.y[rows])]
        prediction = evaluation.classes[scores.argmax(axis=1)]
        columns |= {"prediction": prediction, "score_prediction": best, "score_target": own}
        columns["margin"] = best - own
    return pd.DataFrame({**columns, "evidence": evidence[rows]})
