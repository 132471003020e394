"""Put runs side by side: the table, every pair, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from featx._types import JsonObject
from featx._words import count
from featx.comparison.cost import cost_columns
from featx.comparison.pairing import Pair, compare_pair
from featx.comparison.result import Comparison
from featx.comparison.run import Run, default_metric, known_metric
from featx.comparison.words import LEVEL, Against, picked, say_number, verdict
from featx.errors import UsageError
from featx.metrics import Metric
from featx.paired import holm

_LISTED = 5
"""Classes of a run that an error names."""


def put_together(runs: Sequence[Run], metrics: Sequence[str] = ()) -> Comparison:
    """Compare runs of one target.

    Parameters
    ----------
    metrics
        To be shown; the first one is tested. Empty for what chose among the first run's candidates.

    Raises
    ------
    UsageError
        If there are fewer than two runs, they predict different things, or none has the metric.
    """
    _check(runs)
    chosen = tuple(dict.fromkeys(metrics)) or (default_metric(runs[0].record),)
    first, *_ = (known_metric(name, runs[0].what[1]) for name in chosen)
    ranked = _ranked(runs, first)
    numbers = list(combinations(range(len(ranked)), 2))
    pairs = [compare_pair(ranked[i], ranked[j], first) for i, j in numbers]
    ranked, pairs = _by_tests(ranked, numbers, pairs, first)
    names = _names(ranked)
    table = pd.DataFrame([_row(*one, chosen, first) for one in zip(ranked, names, strict=True)])
    p = holm(np.array([_p(pair) for pair in pairs]))
    tested = list(zip(numbers, pairs, p.tolist(), strict=True))
    others = [
        Against(names[j], pair.difference, adjusted, pair.why)
        for (i, j), pair, adjusted in tested
        if i == 0
    ]
    best = float(table[first.name].iloc[0])
    sign = 1 if first.greater_is_better else -1
    beaten = [
        name
        for name, value in zip(names[1:], table[first.name].iloc[1:], strict=True)
        if sign * (value - best) > 1e-9 * abs(best)
    ]
    equal = np.isclose(table[first.name], best, rtol=1e-9, atol=0)
    ties = [name for name, same in zip(names[1:], equal[1:], strict=True) if same]
    tests = int(np.sum(~np.isnan(p)))
    return Comparison(
        metrics=chosen,
        table=table,
        pairs=pd.DataFrame([_pair_row(names[i], names[j], *rest) for (i, j), *rest in tested]),
        verdict=verdict(names[0], best, ties, others, first, tests),
        notes=(
            *_intervals(ranked, chosen),
            picked(len(ranked), first.name),
            *_notes(pairs, numbers, names, tests),
            *_on_other_rows(pairs, numbers, names, table[first.name].tolist()),
            *([_own_folds(names[0], beaten, first)] if beaten else []),
        ),
    )


def _check(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise UsageError(
            f"{len(runs)} run to compare; expected two or more: `featx runs` lists them, and "
            "`featx compare DATA --backbone A,B --head svm,ridge` makes them"
        )
    if twice := [a.name for a, b in combinations(runs, 2) if a.record == b.record]:
        raise UsageError(f"the run {twice[0]!r} is named twice; name each run once")
    if len({run.what for run in runs}) > 1:
        each = ", ".join(f"{run.name}: {run.what[0]} ({run.what[1]})" for run in runs)
        raise UsageError(f"the runs predict different things ({each}); compare those of one target")
    if len({frozenset(run.classes) for run in runs}) > 1:
        each = "; ".join(f"{run.name}: {_listed(run.classes)}" for run in runs)
        raise UsageError(
            f"the runs tell different classes apart ({each}), and fewer are easier to tell apart; "
            "compare runs of the same classes"
        )


def _listed(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - _LISTED} more" if len(classes) > _LISTED else ""
    return f"{', '.join(classes[:_LISTED])}{more}"


def _ranked(runs: Sequence[Run], metric: Metric) -> list[Run]:
    """Order the runs, the best first, those without a value last."""
    values = [run.score(metric.name) for run in runs]
    if np.isnan(values).all():
        known = ", ".join(runs[0].record["metrics"])
        raise UsageError(f"no run has a value of {metric.name}; they have {known}")
    keys = [-v if metric.greater_is_better else v for v in values]
    return [runs[i] for i in np.argsort(keys, kind="stable")]


def _by_tests(
    ranked: list[Run], numbers: Sequence[tuple[int, int]], pairs: Sequence[Pair], metric: Metric
) -> tuple[list[Run], list[Pair]]:
    """Order the runs by how many others each is better than where both were tested alike.

    Means over folds of different sizes may say otherwise: an RMSE of single rows is their mean
    absolute error.
    """
    sign, wins = (1 if metric.greater_is_better else -1), np.zeros(len(ranked))
    for (i, j), pair in zip(numbers, pairs, strict=True):
        ahead = 1.0 if pair.difference is None else np.sign(sign * pair.difference.value)
        wins[i] += ahead
        wins[j] -= ahead
    order = np.argsort(-wins, kind="stable").tolist()
    known = dict(zip(numbers, pairs, strict=True))
    both = [(order[i], order[j]) for i, j in numbers]
    turned = [known[a, b] if a < b else known[b, a].turned() for a, b in both]
    return [ranked[i] for i in order], turned


def _on_other_rows(
    pairs: Sequence[Pair],
    numbers: Sequence[tuple[int, int]],
    names: Sequence[str],
    scores: Sequence[float],
) -> list[str]:
    """Say where a difference is not that of the scores in the table."""
    told = [
        f"{names[i]} less {names[j]} is {say_number(pair.difference.value)} there and "
        f"{say_number(scores[i] - scores[j])} in the table"
        for pair, (i, j) in zip(pairs, numbers, strict=True)
        if pair.difference is not None
        and not np.isclose(pair.difference.value, scores[i] - scores[j], rtol=1e-6, atol=1e-9)
    ]
    if not told:
        return []
    more = f", and so for {count(len(told) - 1, 'other pair')}" if len(told) > 1 else ""
    why = (
        "differences are of the rows that both runs tested, the scores in the table of all rows "
        "that each tested"
    )
    return [f"{why}: {told[0]}{more}"]


def _own_folds(name: str, beaten: Sequence[str], metric: Metric) -> str:
    """Say why the best run does not have the best mean."""
    return (
        f"{' and '.join(beaten)} had the better mean {metric.name} over folds of its own; {name} "
        "comes first by what both say of the same rows"
    )


def _names(runs: Sequence[Run]) -> list[str]:
    """Name each run by as little as tells them all apart."""
    kinds = [
        *([_backbones(run, part) for run in runs] for part in ("", "pooling", "layer")),
        [_label(run) for run in runs],
    ]
    heads = [run.record["head"] for run in runs]
    full = [[f"{k} + {h}" for k, h in zip(kind, heads, strict=True)] for kind in kinds]
    for names in (*full, [run.name for run in runs]):
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({i})" for i, name in enumerate(full[-1], 1)]


def _backbones(run: Run, part: str = "") -> str:
    """Name the backbones of a run's features, each with a part of its recipe."""
    recipes = [kind.get("recipe") for kind in run.features.get("parts", [run.features])]
    words = [" ".join([r["backbone"], *([r[part]] if r.get(part) else [])]) for r in recipes if r]
    return " + ".join(dict.fromkeys(words)) or _label(run)


def _label(run: Run) -> str:
    """Name a run's features; of a run without any, its backbone."""
    return str(run.features.get("label") or run.record.get("backbone") or "-")


def _row(run: Run, name: str, metrics: Sequence[str], first: Metric) -> JsonObject:
    record = run.record
    row = {
        "run": run.name,
        "name": name,
        "backbone": _backbones(run),
        "features": _label(run),
        "head": record["head"],
    }
    for metric in metrics:
        row |= _columns(run, metric)
    sizes = {"d": record.get("d"), "layers": run.features.get("depth"), "n": len(run.rows)}
    return (
        row
        | cost_columns(run, first)
        | {name: np.nan if value is None else value for name, value in sizes.items()}
    )


def _intervals(runs: Sequence[Run], metrics: Sequence[str]) -> list[str]:
    """Say what the intervals in the table are of."""
    kinds = {run.interval_kind(metric) for run in runs for metric in metrics}
    words = {
        "corrected_": "for other training and test images (corrected resampled t)",
        "": "for other test images, the heads as they are (bootstrap of tested rows)",
    }
    said = [text for kind, text in words.items() if kind in kinds]
    return [f"95 % intervals of a mean: {', where there are several splits; else '.join(said)}"]


def _columns(run: Run, metric: str) -> JsonObject:
    scores = run.scores(metric)
    return {metric: scores.pop("mean")} | {f"{metric}_{k}": v for k, v in scores.items()}


def _p(pair: Pair) -> float:
    return np.nan if pair.difference is None else pair.difference.p


def _pair_row(first: str, second: str, pair: Pair, p: float) -> JsonObject:
    d = pair.difference
    numbers = (np.nan,) * 4 if d is None else (d.value, d.low, d.high, d.p)
    named = dict(zip(("difference", "low", "high", "p"), numbers, strict=True))
    return {
        "first": first,
        "second": second,
        **named,
        "p_holm": p,
        "test": "" if d is None else d.test,
        "n": np.nan if d is None else d.n,
        "units": pair.units,
        "note": pair.why,
    }


def _notes(
    pairs: Sequence[Pair], numbers: Sequence[tuple[int, int]], names: Sequence[str], tests: int
) -> list[str]:
    done = [pair for pair in pairs if pair.difference is not None]
    hows = dict.fromkeys(
        f"{pair.difference.test} of {pair.difference.n} {pair.units}"
        for pair in done
        if pair.difference is not None
    )
    notes = [f"tested by {', '.join(hows)}"] if hows else []
    if tests > 1:
        notes.append(f"p after Holm for {tests} pairs; each interval is of its difference alone")
    if hows:
        splits = any(pair.units == "splits" for pair in done)
        anew = ", or folds drawn anew (--repeats 10)," if splits else ""
        notes.append(
            f"p of {LEVEL:g} or more does not show that two are equal: more images{anew} would "
            "tell smaller differences"
        )
    differing: dict[str, list[str]] = {}
    for pair, (i, j) in zip(pairs, numbers, strict=True):
        if pair.why and pair.difference is not None:
            differing.setdefault(pair.why, []).append(f"{names[i]} and {names[j]}")
    return notes + [_differs(why, who) for why, who in differing.items()]


def _differs(why: str, who: list[str]) -> str:
    more = f" and {count(len(who) - 1, 'other pair')}" if len(who) > 1 else ""
    return f"{who[0]}{more}: {why}"
