"""Images to look at: the worst mistakes, labels that are likely wrong, near-identical pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from featx._words import count
from featx.cautions import SUSPECTS_FILE, TWINS_FILE, found_by
from featx.reporting.parts import Gallery, Shot
from featx.reporting.subject import as_numbers, top_scores
from featx.reporting.text import number
from featx.result import PREDICTIONS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import pandas as pd

    from featx._types import Float64s
    from featx.reporting.pictures import Pictures
    from featx.reporting.subject import Subject

MOST = 120
"""Images in a gallery: some 4 kB each."""
FURTHEST = 24
"""Images of a regression, where each is off by something: as many as are seen at once."""


def galleries(subject: Subject, pictures: Pictures) -> list[Gallery]:
    """Give those that have something to show."""
    made = [_mistakes(subject, pictures), _suspects(subject, pictures), _twins(subject, pictures)]
    return [gallery for gallery in made if gallery.shots]


def _mistakes(subject: Subject, pictures: Pictures) -> Gallery:
    rows = subject.run.rows
    scores = _scores(rows)
    weight = _wrongness(subject, rows, scores)
    worst = np.argsort(-weight, kind="stable")
    wrong = int((weight > 0).sum())
    most = MOST if subject.is_classes else FURTHEST
    shots = tuple(
        _shot(subject, pictures, rows.iloc[[i]], scores[i], weight[i])
        for i in worst[:most]
        if weight[i] > 0
    )
    if subject.is_classes:
        lead = (
            f"{wrong:,} of {count(len(rows), 'image')} called something else than the label; "
            "first those where another class is furthest ahead of the label's."
        )
    else:
        lead = "The images whose predictions are furthest off."
    lead += _left_out(len(shots), wrong, PREDICTIONS_FILE)
    kind = "probability" if any(str(c).startswith("probability_") for c in rows) else "score"
    return Gallery("mistakes", "Worst mistakes", lead, shots, kind)


def _left_out(shown: int, n: int, file: str) -> str:
    """Say how many are left out, and where all are."""
    if shown >= n:
        return ""
    return f" The first {shown:,} are here, {n - shown:,} more are in {file}."


def _scores(rows: pd.DataFrame) -> Float64s:
    """(m, k) scores of each row; k is 0 for a regression."""
    columns = [name for name in rows if str(name).startswith(("score_", "probability_"))]
    return as_numbers(rows[columns])


def _wrongness(subject: Subject, rows: pd.DataFrame, scores: Float64s) -> Float64s:
    """(m,) how far each prediction is off: a margin of scores, or of numbers; 0: right."""
    if not subject.is_classes:
        y, said = subject.numbers
        return np.nan_to_num(np.abs(y - said))
    wrong = (rows["target"] != rows["prediction"]).to_numpy()
    if not scores.shape[1]:
        return wrong.astype(np.float64)
    own = scores[np.arange(len(rows)), subject.places(rows["target"])]
    margin = np.nan_to_num(scores.max(axis=1) - own)
    return np.where(wrong, np.maximum(margin, 1e-12), 0.0)


def _shot(
    subject: Subject, pictures: Pictures, row: pd.DataFrame, scores: Float64s, weight: float
) -> Shot:
    path, item = row.index[0]
    picture = pictures.of(path, item)
    classes = subject.is_classes
    target, said = str(row["target"].iloc[0]), str(row["prediction"].iloc[0])
    return Shot(
        path=_name(subject.short(path), item),
        src=picture.src,
        missing=picture.missing,
        target=target if classes else number(float(target)),
        said=said if classes else number(float(said)),
        scores=top_scores(scores, subject.classes) if classes and len(scores) else (),
        weight=float(weight),
        fold=int(row["fold"].iloc[0]),
        note="" if classes else f"off by {number(float(said) - float(target))}",
    )


def _name(path: str, item: str) -> str:
    return path if item == "0" else f"{path} (item {item})"


def _suspects(subject: Subject, pictures: Pictures) -> Gallery:
    table, rows = subject.suspects, subject.run.rows
    shots = []
    for one in _records(table.head(MOST)):
        key = (one["path"], one.get("item", "0"))
        if key not in rows.index:
            continue
        row = rows.loc[[key]]
        scores = _scores(row)[0]
        shot = _shot(subject, pictures, row, scores, float(one["evidence"]))
        if subject.is_classes:
            shot = replace(shot, note=_odds(float(one["evidence"])))
        shots.append(shot)
    lead = (
        f"{count(len(table), 'label')} a thousand times likelier to be wrong than right, by what "
        "heads said that had not seen them. Look before you change them."
        f"{_left_out(min(len(table), MOST), len(table), SUSPECTS_FILE)}"
    )
    return Gallery("suspects", "Labels that are likely wrong", lead, tuple(shots))


def _odds(evidence: float) -> str:
    """Say evidence to base 10 as odds, as far as anybody would believe them."""
    return f"more than {10 ** min(int(evidence), 6):,} to 1 against the label"


def _twins(subject: Subject, pictures: Pictures) -> Gallery:
    table = subject.twins
    shots = tuple(_pair(subject, pictures, one) for one in _records(table.head(MOST // 2)))
    differ = "their labels differ" if subject.is_classes else "their targets are far apart"
    label = found_by(subject.record)
    by = f" They were found by {label}: other features find other pairs." if label else ""
    lead = (
        f"{count(len(table), 'pair')} of all but the same image on both sides of a split: a head "
        "that "
        f"has seen one has all but seen the other. Where {differ}, look which one is right.{by}"
        f"{_left_out(len(shots), len(table), TWINS_FILE)}"
    )
    return Gallery("twins", "Near-identical images across the split", lead, shots)


def _pair(subject: Subject, pictures: Pictures, one: dict[str, Any]) -> Shot:
    sides = []
    for side in ("_1", "_2"):
        path, item, target = (one.get(f"{k}{side}", "0") for k in ("path", "item", "target"))
        picture, fold = pictures.of(path, item), int(one[f"fold{side}"])
        sides.append(
            Shot(
                path=_name(subject.short(path), item),
                src=picture.src,
                missing=picture.missing,
                target=target if subject.is_classes else number(float(target)),
                said="",
                weight=float(one["cosine"]),
                fold=fold if fold >= 0 else None,
            )
        )
    same = "the same bytes" if one["same_bytes"] == "True" else f"cosine {float(one['cosine']):.4f}"
    return replace(sides[0], other=sides[1], note=same)


def _records(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    return ({str(name): row[name] for name in row} for row in table.to_dict(orient="records"))
