"""The readable card of a fitted head, from the values of its ``result.json``."""

from __future__ import annotations

import re
import shlex
from typing import Any

from featx._types import JsonObject
from featx._words import count
from featx.cautions import cautions
from featx.scoreboard import group_title, legend, score_table

_MARKS = re.compile(r"([\\`*_\[\]|~])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: object) -> str:
    """Give ``text`` as one line that Markdown and HTML show as it is."""
    line = "".join(ch if ch.isprintable() else " " for ch in " ".join(str(text).split()))
    marked = _MARKS.sub(r"\\\1", line)
    return "".join(_ENTITIES.get(ch, ch) for ch in marked)


def render_card(result: JsonObject) -> str:
    """Give the text of ``card.md``.

    Parameters
    ----------
    result
        What ``result.json`` holds, see `featx.result.keep`.
    """
    sections = [
        f"# {escape(result['name'])}",
        _summary(result),
        "## How good it is",
        _scores(result),
        *_group_scores(result),
        f"{escape(legend(result))}.",
        f"Estimated by {escape(result['how'])}.",
        _intervals(result),
        *_notes(result),
        *_without_twins(result),
        "## What it was fitted on",
        _data(result),
        "## How images become vectors",
        _recipe(result),
        "## The head",
        _head(result),
        "## Limits",
        _limits(result),
        "## How to use and repeat it",
        _commands(result),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _summary(result: JsonObject) -> str:
    return (
        f"A head ({escape(result['head'])}) that predicts **{escape(result['target'])}** "
        f"({escape(result['task'])}) from {escape(result['features']['label'])} features of images."
    )


def _scores(result: JsonObject, kind: str = "") -> str:
    header, *rows = score_table([result], _number, kind=kind)
    return _table(header, [[escape(name), *cells] for name, *cells in rows])


def _group_scores(result: JsonObject) -> list[str]:
    if not result.get("group_metrics"):
        return []
    return [f"Scores of {escape(group_title(result))}:", _scores(result, "group_")]


def _intervals(result: JsonObject) -> str:
    scores = [*result["metrics"].values(), *result.get("group_metrics", {}).values()]
    hows = [score["how"] for score in scores] + [score.get("corrected_how") for score in scores]
    return "\n".join(f"Interval: {escape(how)}." for how in dict.fromkeys(hows) if how)


def _notes(result: JsonObject) -> list[str]:
    notes = [*result["notes"], *cautions(result, _number)]
    return ["\n".join(f"- {escape(note)}" for note in notes)] if notes else []


def _without_twins(result: JsonObject) -> list[str]:
    scores = (result.get("twins") or {}).get("metrics")
    if not scores:
        return []
    words = ", ".join(f"{escape(name)} {_number(value)}" for name, value in scores.items())
    rule = escape(result["twins"]["rule"])
    return [f"Without the test images that have a near-identical one ({rule}): {words}."]


def _data(result: JsonObject) -> str:
    data = result["data"]
    lines = [
        f"- data set {escape(data['name'])}, from {escape(data['source'])}",
        f"- {count(result['n'], 'row')}, manifest `{data['manifest']}`",
        f"- the head was fitted on {result['n_train']} of them",
        *(
            f"- left out: {count(left['rows'], 'row')}, {escape(left['why'])}"
            for left in data["left_out"]
        ),
    ]
    classes = _table(
        ["class", "rows"], [[escape(c["class"]), str(c["rows"])] for c in result["classes"]]
    )
    return "\n".join(lines) + (f"\n\n{classes}" if result["classes"] else "")


def _recipe(result: JsonObject) -> str:
    features = result["features"]
    parts = features.get("parts")
    if parts is None:
        return "\n".join(_kind(features, result["d"]))
    params, asked = result["best_params"], result["arguments"]["mix"]
    weights = escape(params.get("mix", asked[0]))
    whole = f"- {result['d']} values an image: those of {len(parts)} kinds, one after the other"
    mix = f"- each kind divided by the root of its variance; weights: {weights}"
    each = [line for part in parts for line in _kind(part, part["d"])]
    return "\n".join([whole, mix, *each])


def _kind(features: JsonObject, d: int) -> list[str]:
    lines = [
        f"- features {escape(features['label'])}, stored as {escape(features['dtype'])}",
        f"- {d} values an image",
        f"- {escape(features['preprocess'])}",
        f"- recipe `{features['hash']}`, rows `{features['fingerprint']}`",
    ]
    if features["random_seed"] is not None:
        lines.append(f"- **untrained weights** (random, seed {features['random_seed']})")
    return lines


def _head(result: JsonObject) -> str:
    params = ", ".join(f"{name}={value}" for name, value in result["best_params"].items())
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    lines = [
        f"- parameters: {escape(params or 'the defaults')}; scale {escape(result['scale'])}",
        f"- seed {result['seed']}; {escape(versions)}",
    ]
    if (solver := result.get("solver")) and solver["reached"] is not None:
        lines.append(f"- {solver['measure']} that the solver got down to: {solver['reached']:.1e}")
    if not result["converged"]:
        lines.append("- **the solver did not converge**: more iterations may change the scores")
    return "\n".join(lines)


def _limits(result: JsonObject) -> str:
    lines = [
        "- The numbers hold for images like these. Other cameras, places or people may differ.",
        "- The head always answers, also for an image that shows nothing it knows.",
    ]
    if result["group"] is None:
        lines.append(
            "- No group was named: if several rows show the same person, object or scene, "
            "the numbers are too high."
        )
    return "\n".join(lines)


def _commands(result: JsonObject) -> str:
    use = shlex.join(["featx", "predict", result["path"], "IMAGES"])
    made = result.get("extract_commands") or []
    return _fenced("\n".join([use, *made, result["command"]]))


def _fenced(text: str) -> str:
    """Put ``text`` into a code block whose fence is longer than any in it."""
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}\n{text}\n{fence}"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _number(value: Any) -> str:
    return "-" if value is None else f"{float(value):.4g}"
