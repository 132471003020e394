"""Layers side by side: the table, the verdict, and how good the choice of one is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from featx._words import count
from featx.comparison import Comparison, put_together
from featx.comparison.formats import csv_text
from featx.comparison.pairing import compare_pair
from featx.comparison.run import known_metric
from featx.comparison.words import LEVEL, say_number, say_p
from featx.paired import holm

if TYPE_CHECKING:
    from featx._types import JsonObject
    from featx.comparison import Run
    from featx.evaluate import Evaluation
    from featx.scores import Score


@dataclass(frozen=True, eq=False)
class Probe:
    """Layers side by side, as `featx.probe_layers` gives them.

    Attributes
    ----------
    metric
        What they are compared by.
    default, best
        The backbone's default layer, and the one with the best mean.
    table
        One layer a row, from shallow to deep: ``layer``, ``depth`` (layers with weights up to it),
        ``d``, the metric with its ``_std``, ``_low`` and ``_high``; ``gain`` (of the layer less the
        default one) with ``gain_low``, ``gain_high`` and ``p`` (after Holm for all layers).
    nested
        The score where the layer is chosen inside the training rows of each split.
    chosen
        Layer to the number of splits that chose it.
    verdict, notes
        What follows, and what to know of it.
    backbone, head, data, target
        What was cut, what was fitted, and on what.
    how
        How the scores were estimated.
    origin
        What it was made from, and the command that repeats it; see `featx.origin`.
    """

    metric: str
    default: str
    best: str
    table: pd.DataFrame
    nested: Score
    chosen: Mapping[str, int]
    verdict: str
    notes: tuple[str, ...]
    backbone: str = ""
    head: str = ""
    data: str = ""
    target: str = ""
    how: str = ""
    origin: JsonObject = field(default_factory=dict, repr=False)

    def to_csv(self) -> str:
        """Give the table as CSV, numbers in full."""
        return csv_text(self.table)

    def to_json(self) -> JsonObject:
        """Give everything as a JSON object, null for what there is not."""
        rows = self.table.astype(object).where(self.table.notna(), None)
        return {
            "backbone": self.backbone,
            "head": self.head,
            "data": self.data,
            "target": self.target,
            "metric": self.metric,
            "default": self.default,
            "best": self.best,
            "layers": rows.to_dict(orient="records"),
            "nested": self.nested.to_json(),
            "chosen": dict(self.chosen),
            "verdict": self.verdict,
            "how": self.how,
            "notes": list(self.notes),
            "origin": self.origin,
        }

    def __repr__(self) -> str:
        return "\n".join([self.table.to_string(index=False), self.verdict, *self.notes])


def put_side_by_side(runs: Sequence[Run], layers: Sequence[str], nested: Evaluation) -> Probe:
    """Compare every layer with the default one, which is the first.

    Parameters
    ----------
    nested
        The head with the layer among its parameters: of the mixes, each is one layer alone.
    """
    compared = put_together(runs)
    metric = known_metric(compared.metrics[0], runs[0].what[1])
    table = _table(compared, runs, layers)
    pairs = [compare_pair(run, runs[0], metric).difference for run in runs[1:]]
    p = holm(np.array([np.nan if d is None else d.p for d in pairs]))
    nothing = (np.nan,) * 3
    gains = [nothing if d is None else (d.value, d.low, d.high) for d in pairs]
    table[["gain", "gain_low", "gain_high"]] = [nothing, *gains]
    table["p"] = [np.nan, *p.tolist()]
    sign = 1 if metric.greater_is_better else -1
    best = layers[int(np.nanargmax(sign * table[metric.name].to_numpy()))]
    mixes = [str(fold.params["mix"]) for fold in nested.folds]
    chosen = Counter(layers[_position(mix)] for mix in mixes)
    table = pd.concat([table[1:], table[:1]]).sort_values("depth", kind="stable")
    score, record = nested.metrics[metric.name], runs[0].record
    return Probe(
        metric=metric.name,
        default=layers[0],
        best=best,
        table=table.reset_index(drop=True),
        nested=score,
        chosen={layer: chosen[layer] for layer in table["layer"] if chosen[layer]},
        verdict=verdict(table.set_index("layer"), best, layers[0], metric.name, sign),
        notes=(
            _honest(score, chosen, metric.name),
            _corrected(len(pairs)),
            *compared.notes[:1],
        ),
        head=str(record["head"]),
        data=str(record["data"]["name"]),
        target=str(record["target"]),
        how=str(record["how"]),
    )


def _position(mix: str) -> int:
    return next(i for i, weight in enumerate(mix.split(":")) if float(weight) > 0)


def _table(compared: Comparison, runs: Sequence[Run], layers: Sequence[str]) -> pd.DataFrame:
    """Give what the comparison says of each layer, in the order of ``layers``."""
    rows = compared.table.set_index("features")
    rows = rows.loc[[run.record["features"]["label"] for run in runs]].reset_index(drop=True)
    metric = compared.metrics[0]
    scores = [metric, *(f"{metric}_{end}" for end in ("std", "low", "high"))]
    named = rows.assign(layer=list(layers)).rename(columns={"layers": "depth"})
    return named[["layer", "depth", "d", *scores]]


def verdict(rows: pd.DataFrame, best: str, default: str, metric: str, sign: int) -> str:
    """Say whether the best layer is better than the default one.

    Parameters
    ----------
    rows
        `Probe.table`, by layer.
    sign
        1 where more of the metric is better, else -1.
    """
    row: dict[Hashable, float] = rows.loc[best].to_dict()
    value = say_number(row[metric])
    same = np.isclose(rows[metric].to_numpy(dtype=np.float64), row[metric], rtol=1e-9, atol=0)
    ties = [str(layer) for layer in rows.index[same] if layer != best]
    also = f", like {' and '.join(ties)}," if ties else ""
    if best == default:
        return (
            f"the default layer {default}{also} has the best {metric} ({value}): nothing "
            f"here speaks for another place to cut; {_others(rows.drop(index=default), sign)}"
        )
    gain, p = sign * row["gain"], row["p"]
    low, high = sorted((sign * row["gain_low"], sign * row["gain_high"]))
    lead = f"{best}{also} has the best {metric} ({value})"
    if p < LEVEL:
        return (
            f"{lead}, and is better than the default layer {default} by {say_number(gain)} "
            f"(95 % {say_number(low)} to {say_number(high)}, {say_p(p)} after Holm)"
        )
    return (
        f"{lead}, but no difference to the default layer {default} can be told ({say_p(p)} after "
        "Holm): more images, or folds drawn anew (--repeats 10), would tell smaller ones"
    )


def _others(others: pd.DataFrame, sign: int) -> str:
    """Say of how many other layers it is certain that they are worse than the default one."""
    p, n = others["p"], len(others)
    worse = int(((p < LEVEL) & (sign * others["gain"] < 0)).sum())
    if worse:
        which = "all others" if worse == n else f"{worse} of the {n} others"
        return f"it is better than {which} for certain (p < {LEVEL:g} after Holm)"
    smallest = "" if p.isna().all() else f" ({say_p(p.min())} or more after Holm)"
    return f"but no difference to another layer can be told{smallest}"


def _corrected(n: int) -> str:
    return (
        f"each p is corrected for all {count(n, 'difference')} (Holm), each interval is of one "
        "difference alone: it may leave out 0 where p is not below 0.05"
    )


def _honest(score: Score, chosen: Counter[str], metric: str) -> str:
    spread = "" if score.std != score.std else f" ± {say_number(score.std)}"
    times = ", ".join(
        f"{layer} in {n} of {chosen.total()} splits" for layer, n in chosen.most_common()
    )
    return (
        "the best layer was chosen by the scores that it is shown with, which makes its own a "
        f"little too good; {metric} when the layer is chosen inside the training rows: "
        f"{say_number(score.mean)}{spread} ({times})"
    )
