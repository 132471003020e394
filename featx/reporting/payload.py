"""The images of a page as JSON, which its script makes cards of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite

from featx._types import JsonObject
from featx._visible import one_line
from featx.reporting.parts import Gallery, Shot

_NOT_IN_A_SCRIPT = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}
"""What could end a script's element, written so that JSON reads the same and HTML sees none."""


def payload(galleries: Sequence[Gallery]) -> str:
    """Give the JSON of all galleries: ASCII without ``<``, ``>`` and ``&``.

    Each thumbnail is in it once, however many galleries show it: a shot holds its number in
    ``images``, or none and why. Every other text is one line that can be shown.
    """
    images: dict[str, int] = {}
    shown = {
        gallery.name: {
            "score": one_line(gallery.score),
            "shots": [_shot(shot, images) for shot in gallery.shots],
        }
        for gallery in galleries
    }
    data = {"images": list(images), "galleries": shown}
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.translate(_NOT_IN_A_SCRIPT)


def _shot(shot: Shot, images: dict[str, int]) -> JsonObject:
    return {
        "path": one_line(shot.path),
        "image": images.setdefault(shot.src, len(images)) if shot.src else None,
        "missing": one_line(shot.missing),
        "target": one_line(shot.target),
        "said": one_line(shot.said),
        "scores": [[one_line(name), _number(score)] for name, score in shot.scores],
        "fold": shot.fold,
        "note": one_line(shot.note),
        "other": None if shot.other is None else _shot(shot.other, images),
    }


def _number(score: float) -> float | None:
    """Give a score as JSON has it, where no number is infinite: five decimals are not seen."""
    return round(float(score), 6) if isfinite(score) else None
