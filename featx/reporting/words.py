"""What a report says in plain words: what was found, and a paragraph for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx._words import count
from featx.comparison.run import default_metric
from featx.reporting.parts import Key
from featx.reporting.recalls import recalls
from featx.reporting.text import assigned, interval, listed, named, number, percent, spread

if TYPE_CHECKING:
    from featx._types import Float64s, Ints, JsonObject
    from featx.reporting.subject import Subject

_HEADS = {
    "svm": "a linear support vector machine",
    "svr": "linear support vector regression",
    "ridge": "ridge regression",
    "logreg": "logistic regression",
    "rbf": "a support vector machine with an RBF kernel",
    "mlp": "a multilayer perceptron",
    "nn": "a multilayer perceptron",
    "knn": "nearest neighbours",
    "finetune": "the network itself, fine-tuned,",
}
_POOLINGS = {"flatten": "flattened", "avg": "averaged over positions"}


def main_metric(record: JsonObject) -> str:
    """Name the metric that a report begins with."""
    return default_metric(record)


def summary(subject: Subject) -> tuple[str, ...]:
    """Say the most important things, one sentence each."""
    record = subject.record
    metric = main_metric(record)
    score, baseline = record["metrics"][metric], record["baseline"][metric]["mean"]
    images = f"{count(score['n'], 'image')} that the head had not seen"
    guess = "" if baseline is None else f"; {_guess(record)} gives {number(baseline)}"
    if score["mean"] is None:
        first = f"{_plain(metric)} of {images} is undefined{guess}."
    else:
        first = f"{spread(score['mean'], score['std'])} {_plain(metric)} on {images}{guess}."
    rest = _of_classes(subject) if subject.is_classes else _of_numbers(subject)
    return (_capital(first), *rest)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plain(metric: str) -> str:
    upper = {"mae", "rmse", "plcc", "srocc", "krocc"}
    return metric.upper() if metric in upper else metric.replace("_", " ")


def _guess(record: JsonObject) -> str:
    kind = record["baseline_kind"]
    return "the mean of the targets" if kind == "mean" else f"guessing the {kind}"


def _of_classes(subject: Subject) -> list[str]:
    counts = subject.confusion
    wrong = counts - np.diag(np.diag(counts))
    return [_most_frequent(wrong, counts, subject.classes), *_ends(recalls(counts).recall, subject)]


def _most_frequent(wrong: Ints, counts: Ints, classes: list[str]) -> str:
    """Name the most frequent confusion, where there is one alone."""
    if not wrong.any():
        return "No image was taken for another class."
    most = int(wrong.max())
    pairs = np.argwhere(wrong == most)
    if len(pairs) > 1:
        times = "once" if most == 1 else f"{most:,} times"
        return f"The most frequent confusions, {len(pairs):,} of them, occur {times} each."
    a, b = pairs[0]
    n = counts[a].sum()
    return (
        f"{named(classes[a])} is taken for {named(classes[b])} most often: {most:,} of {n:,} "
        f"images ({percent(most / n)})."
    )


def _ends(recall: Float64s, subject: Subject) -> list[str]:
    """Name the classes that are recognised best and worst: all of those that share a place."""
    high, low = np.nanmax(recall), np.nanmin(recall)
    if high == low:
        return []
    best, worst = (
        [name for name, r in zip(subject.classes, recall, strict=True) if r == end]
        for end in (high, low)
    )
    are, own = ("is", "its") if len(best) == 1 else ("are", "their")
    each = " each" if len(worst) > 1 else ""
    said = (
        f"{listed(best)} {are} recognised best ({percent(high)} of {own} images), {listed(worst)} "
        f"worst ({percent(low)}{each})."
    )
    return [said]


def _of_numbers(subject: Subject) -> list[str]:
    metrics = subject.record["metrics"]
    words = {"plcc": "Pearson's correlation (PLCC)", "srocc": "Spearman's (SROCC)"}
    scores = {name: metrics.get(name, {}) for name in words}
    said = [
        f"{words[name]} {spread(score['mean'], score['std'])}"
        for name, score in scores.items()
        if score.get("mean") is not None
    ]
    y, prediction = subject.numbers
    off = np.abs(prediction - y)
    off = off[np.isfinite(off)]
    if not len(off):
        return ["No prediction is a number."]
    half = f"Half of the predictions are off by less than {number(float(np.median(off)))}, "
    tenth = f"one in ten by more than {number(float(np.quantile(off, 0.9)))}."
    return [*([f"{', '.join(said)}."] if said else []), half + tenth]


def keys(subject: Subject) -> tuple[Key, ...]:
    """Give the numbers that a reader looks for first."""
    record = subject.record
    metric = main_metric(record)
    order = [metric, *(name for name in _FIRST[record["task"]] if name != metric)]
    there = [name for name in order if name in record["metrics"]][:3]
    scores = [_key(name, record["metrics"][name]) for name in there]
    took = sum(record["seconds"].values())
    return (
        *scores,
        Key(f"{record['n']:,}", "images", _what(record)),
        Key(f"{took:.0f} s" if took >= 10 else f"{took:.1f} s", "to fit and to estimate"),
    )


_FIRST = {
    "classification": ("accuracy", "balanced_accuracy", "roc_auc"),
    "regression": ("rmse", "plcc", "srocc"),
}


def _what(record: JsonObject) -> str:
    classes = f"{len(record['classes'])} classes, " if record["classes"] else ""
    return (
        f"{classes}{count(record['d'], 'value')} each" if record.get("d") else classes.rstrip(", ")
    )


def _key(name: str, score: JsonObject) -> Key:
    corrected = score.get("corrected_low") is not None
    kind = "corrected_" if corrected else ""
    ends = interval(score.get(f"{kind}low"), score.get(f"{kind}high"))
    of = "other training images, too" if corrected else "other test images"
    detail = "" if ends == "-" else f"95 %: {ends}, for {of}"
    return Key(spread(score["mean"], score["std"]), _plain(name), detail)


def methods(subject: Subject) -> str:
    """Give a paragraph that says how the numbers came about, for a paper."""
    record = subject.record
    task = "classes" if record["classes"] else "values"
    kinds = record["features"].get("parts") or [record["features"]]
    made = _provenance(subject)
    embedded = " Beside them, they were embedded with ".join(
        _embedded(kind, made.get(kind.get("hash"), {})) for kind in kinds
    )
    versions = {name: v for name, v in record["versions"].items() if name != "featx"}
    versions |= {name: one[name] for one in made.values() for name in _ENGINES if name in one}
    libraries = ", ".join(f"{name} {value}" for name, value in versions.items())
    chosen = assigned(record["best_params"])
    metric = main_metric(record)
    score = record["metrics"][metric]
    head = _HEADS.get(record["head"], record["head"])
    scaled = "" if record["scale"] == "none" else f" on features scaled by {record['scale']}"
    return (
        f"{count(record['n'], 'image')} were embedded with {embedded} On these features "
        f"{head}{scaled} was fitted to predict the {task} of {record['target']!r}"
        f"{f' (final parameters: {chosen})' if chosen else ''}. Performance was estimated by "
        f"{record['how']}. {_capital(_plain(metric))} was {spread(score['mean'], score['std'])}"
        f"{_over(score)}; {_intervals(score)}. The random seed was {record['seed']}. "
        f"Software: featx {record['versions']['featx']}, {libraries}."
    )


_ENGINES = ("torch", "openvino")


def _provenance(subject: Subject) -> dict[str, JsonObject]:
    """What computed the vectors of each recipe, where the cache still says so."""
    if isinstance(subject.features, str):
        return {}
    return {kind.recipe.hash: kind.provenance for kind in subject.features.kinds}


def _embedded(kind: JsonObject, made: JsonObject) -> str:
    recipe = kind.get("recipe") or {}
    name = recipe.get("backbone", kind["label"])
    pooling = recipe.get("pooling", "flatten")
    frozen = "frozen" if kind.get("random_seed") is None else "untrained (random)"
    file = (made.get("weights") or {}).get("weights")
    digest = recipe.get("weights")
    weights = f", weights {file} (digest {digest})" if file and digest else ""
    weights = weights or (f", weights with the digest {digest}" if digest else "")
    cut = f", cut at {recipe['layer']!r}" if recipe.get("layer") else ""
    return (
        f"the {frozen} network {name}{weights}{cut} and {_POOLINGS.get(pooling, pooling)} to "
        f"{count(kind['d'], 'value')} ({kind['preprocess']})."
    )


def _intervals(score: JsonObject) -> str:
    ends = interval(score.get("low"), score.get("high"))
    if ends == "-":
        return "no interval can be given"
    words = f"the 95 % interval is {ends} ({score['how'].removeprefix('95 % ')})"
    other = interval(score.get("corrected_low"), score.get("corrected_high"))
    if other != "-":
        how = str(score["corrected_how"]).removeprefix("95 % ").partition(":")[0]
        words += f", and {other} where training images vary too ({how})"
    return words


def _over(score: JsonObject) -> str:
    splits = score["splits"]
    return f" (mean and standard deviation over {splits} splits)" if splits > 1 else ""
