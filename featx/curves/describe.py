"""Put what the fits gave into a `LearningCurve`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from featx.curves.cuts import Cut, Size
from featx.curves.intervals import Results, intervals, values_of
from featx.curves.result import LearningCurve
from featx.curves.words import Point, verdict
from featx.evaluate import FoldResult, Setup


def describe(
    setup: Setup, cuts: Sequence[Cut], found: Results, notes: Sequence[str]
) -> LearningCurve:
    """Score every size, and say what more labels give. Names and seconds are left empty."""
    metric = setup.metrics[0]
    sizes: dict[Size, list[Sequence[FoldResult]]] = {}
    for cut, results in zip(cuts, found, strict=True):
        sizes.setdefault(cut.size, []).append(results)
    ends, gains = intervals(setup, list(sizes.values()))
    parts = zip(sizes.items(), ends, strict=True)
    rows = [_row(metric.name, size, results, end) for (size, results), end in parts]
    points = [
        Point(_label(size, setup), row["rows"], row[metric.name], gain)
        for size, row, gain in zip(sizes, rows, gains, strict=True)
    ]
    told = verdict(points, metric)
    if alike := [row["size"] for row in rows if _is_alike(row, metric.name)]:
        notes = [*notes, f"no interval for {', '.join(alike)}: {_ALIKE}"]
    stopped = sum(not fold.converged for results in found for fold in results)
    if stopped:
        fits = sum(map(len, found))
        notes = [*notes, f"{stopped} of {fits} fits stopped before they converged"]
    return LearningCurve(
        head=setup.head.name,
        task=setup.target.task,
        metric=metric.name,
        n=setup.rows.n,
        table=pd.DataFrame(rows),
        fits=_fits(cuts, found, metric.name),
        verdict=told,
        how=_how(setup),
        notes=(*setup.plan.notes, *notes),
    )


def _row(name: str, size: Size, results: Results, ends: tuple[float, float]) -> dict[str, Any]:
    values = values_of(results, name)
    defined = values[~np.isnan(values)]
    return {
        "size": "all" if size is None else str(size),
        "rows": float(np.mean([len(fold.train) for folds in results for fold in folds])),
        "draws": len(results),
        "fits": values.size,
        name: float(defined.mean()) if len(defined) else np.nan,
        f"{name}_std": float(defined.std(ddof=1)) if len(defined) > 1 else np.nan,
        f"{name}_low": ends[0],
        f"{name}_high": ends[1],
    }


_ALIKE = "all splits scored the same there, which does not say how much others would differ"


def _is_alike(row: dict[str, Any], name: str) -> bool:
    """Whether a size has no interval although it has several values."""
    return bool(np.isnan(row[f"{name}_low"])) and row[f"{name}_std"] < 1e-12


def _label(size: Size, setup: Setup) -> str:
    if size is None:
        return "all"
    return f"{size} rows" if setup.rows.codes is None else f"{size} a class"


def _fits(cuts: Sequence[Cut], found: Results, name: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "size": "all" if cut.size is None else str(cut.size),
            "draw": cut.draw,
            "fold": number,
            "rows": len(fold.train),
            "tested": len(fold.test),
            name: fold.metrics[name],
            "converged": fold.converged,
            **{f"param_{key}": value for key, value in fold.params.items()},
        }
        for cut, results in zip(cuts, found, strict=True)
        for number, fold in enumerate(results)
    )


def _how(setup: Setup) -> str:
    """Say how the points were estimated."""
    plan = setup.plan
    groups = "" if setup.rows.groups is None else f", groups ({setup.rows.group_name}) whole"
    chosen = f"; parameters chosen by {setup.solver.criterion.name} inside each training set"
    interval = (
        "bootstrap of the test rows, and of the draws of a size"
        if len(plan.folds) == 1
        else f"corrected resampled t over {len(plan.folds)} splits"
    )
    return (
        f"{plan.how}; each size is tested on the same rows, smaller training sets are parts of "
        f"larger ones{groups}{chosen if setup.searched else ''}; 95 %: {interval}"
    )
