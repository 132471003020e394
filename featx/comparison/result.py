"""The answer of a comparison: two tables and a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from featx import _html
from featx.comparison.cost import cost_words
from featx.comparison.formats import Cells, csv_text, latex, markdown, one_line
from featx.comparison.words import say_number

if TYPE_CHECKING:
    from featx._types import JsonObject

_MOST_NAMED = 3
"""So many fused features are named one by one."""
_SIZES = {"d": "d", "layers": "layers", "tested": "n"}
_COSTS = {"extract (s)": "extract_s", "s/point": "s_per_point"}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs side by side.

    Attributes
    ----------
    metrics
        Names of the metrics in ``table``; the first one is what is tested.
    table
        One run a row, the best first: ``run``, ``name``, ``backbone``, ``features``, ``head``, each
        metric (a mean over splits) with its ``_std``, ``_low`` and ``_high`` (95 %, for other
        training rows too where there are several splits); ``fit_s``, ``extract_s`` (whenever the
        run's images were extracted) and their sum ``total_s``; ``gain``, points of the first metric
        better than the run's own baseline, and ``s_per_point`` (`featx.comparison.cost`); ``d``,
        ``layers`` (with weights, up to the cut) and ``n`` (tested rows).
    pairs
        One pair of runs a row: ``first``, ``second``, ``difference`` (first less second), ``low``,
        ``high`` (95 %, of this difference alone), ``p``, ``p_holm`` (over all pairs), ``test``,
        ``n``, ``units`` and ``note``.
    verdict
        Which differences to the best run are real.
    notes
        How it was tested, and what to know of the numbers.
    """

    metrics: tuple[str, ...]
    table: pd.DataFrame
    pairs: pd.DataFrame
    verdict: str
    notes: tuple[str, ...]

    def cells(self, *, pairs: bool = False, cost: bool = False, plus_minus: str = "±") -> Cells:
        """Give one of the tables as it is shown; ``cost`` takes the place of the runs' sizes."""
        return self._pair_cells() if pairs else self._run_cells(cost, plus_minus)

    def said(self, *, cost: bool = False) -> tuple[str, ...]:
        """Give what stands below a table: the verdict and the notes, one on the cost if shown."""
        return (self.verdict, *self.notes, *([cost_words(self.metrics[0])] if cost else []))

    def to_markdown(self, *, pairs: bool = False, cost: bool = False) -> str:
        """Give a table in Markdown, and the verdict below it."""
        return f"{markdown(self.cells(pairs=pairs, cost=cost))}\n{self._told('', cost)}"

    def to_latex(self, *, pairs: bool = False, cost: bool = False) -> str:
        """Give a table in LaTeX (it needs the package booktabs), the verdict as a comment."""
        return f"{latex(self.cells(pairs=pairs, cost=cost))}{self._told('% ', cost)}"

    def to_csv(self, *, pairs: bool = False) -> str:
        """Give a table as CSV; texts that a spreadsheet would compute begin with an apostrophe."""
        return csv_text(self.pairs if pairs else self.table)

    def to_json(self) -> JsonObject:
        """Give everything as a JSON object, null for what there is not."""
        return {
            "metrics": list(self.metrics),
            "runs": _records(self.table),
            "pairs": _records(self.pairs),
            "verdict": self.verdict,
            "notes": list(self.notes),
        }

    def _told(self, mark: str, cost: bool) -> str:
        from featx.card import escape as plain

        texts = self.said(cost=cost)
        return "".join(f"{mark}{one_line(t) if mark else plain(t) + chr(10)}\n" for t in texts)

    def _run_cells(self, cost: bool, plus_minus: str) -> Cells:
        """Show what tells the runs apart; columns that nothing fills are left out."""
        table = self.table
        columns = {"backbone": _backbones(table), "head": table["head"].tolist()}
        if pd.DataFrame(columns).duplicated().any():
            columns = {"run": table["run"].tolist()} | columns
        for metric in self.metrics:
            columns |= _scores(table, metric, plus_minus)
        columns["fit (s)"] = [_seconds(v) for v in table["fit_s"]]
        shown = {name: [_cost(v) for v in table[column]] for name, column in _COSTS.items()}
        sizes = {name: [_whole(v) for v in table[column]] for name, column in _SIZES.items()}
        columns |= shown if cost else sizes
        asked = set(shown) if cost else set()  # what was asked for is shown, known or not
        kept = {k: cells for k, cells in columns.items() if k in asked or set(cells) != {"-"}}
        texts = {"run", "backbone", "head"}
        right = frozenset(i for i, name in enumerate(kept) if name not in texts)
        return Cells(list(kept), list(zip(*kept.values(), strict=True)), right)

    def _pair_cells(self) -> Cells:
        rows = [_pair_cells(row) for row in _records(self.pairs)]
        header = ["first", "second", self.metrics[0], "95 % interval", "p", "p (Holm)", "test"]
        return Cells([*header, "of", "note"], rows, frozenset((2, 3, 4, 5)))

    def __repr__(self) -> str:
        cells = self.cells()
        shown = pd.DataFrame(list(cells.rows), columns=list(cells.header))
        return "\n".join([shown.to_string(index=False), self.verdict, *self.notes])

    def _repr_html_(self) -> str:
        cells = self.cells()
        shown = _html.table(cells.header, cells.rows, right=cells.right)
        return shown + _html.lines([self.verdict], bold=True) + _html.lines(self.notes)


def _pair_cells(row: JsonObject) -> list[str]:
    difference, low, high, p, p_holm = (
        math.nan if row[name] is None else float(row[name])
        for name in ("difference", "low", "high", "p", "p_holm")
    )
    return [
        row["first"],
        row["second"],
        say_number(difference),
        _interval(low, high),
        _p(p),
        _p(p_holm),
        row["test"] or "-",
        "-" if row["n"] is None else f"{int(row['n'])} {row['units']}",
        row["note"] or "-",
    ]


def _backbones(table: pd.DataFrame) -> list[str]:
    """Name the features by their backbone alone, where it has one kind of them here."""
    kinds = table.groupby("backbone")["features"].nunique()
    if (kinds == 1).all():
        return table["backbone"].tolist()
    return [_short(*names) for names in zip(table["backbone"], table["features"], strict=True)]


def _short(backbone: str, features: str) -> str:
    """Name many fused features by their backbones: the whole list stands in the table's data."""
    n = features.count(" + ") + 1
    return features if n <= _MOST_NAMED else f"{backbone} ({n} fused)"


def _scores(table: pd.DataFrame, metric: str, plus_minus: str) -> dict[str, list[str]]:
    means, stds, lows, highs = (table[metric + end] for end in ("", "_std", "_low", "_high"))
    spreads = ["" if math.isnan(s) else f" {plus_minus} {say_number(s)}" for s in stds]
    return {
        metric: [say_number(m) + s for m, s in zip(means, spreads, strict=True)],
        f"{metric}, 95 %": [_interval(*ends) for ends in zip(lows, highs, strict=True)],
    }


def _interval(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{say_number(low)} to {say_number(high)}"


def _p(value: float) -> str:
    return "-" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.2g}"


def _seconds(value: float) -> str:
    if math.isnan(value):
        return "-"
    if 0 < value < 0.1:
        return f"{value:.1g}"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _cost(value: float) -> str:
    """Give two digits at least: costs are compared by their ratio."""
    return f"{value:.2g}" if 0 < value < 1 else _seconds(value)


def _whole(value: float) -> str:
    return "-" if math.isnan(value) else f"{int(value)}"


def _records(table: pd.DataFrame) -> list[JsonObject]:
    rows = table.to_dict(orient="records")
    return [{str(k): None if _is_nan(v) else v for k, v in row.items()} for row in rows]


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
