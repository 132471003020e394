"""Whether what computed the vectors goes together with what they are to tell.

Vectors of the same image differ a little between engines, precisions and library versions. Where
one way of computing made most vectors of one class, a head can learn the arithmetic in place of
the images; where it made those of one side of a split, the score tells of the arithmetic, too. In
genomics these are *batch effects* (Leek et al. 2010, Nature Reviews Genetics 11, 733).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import Array, Float64s, Ints, JsonObject

LEVEL = 0.001
"""p below which an association is taken for more than chance: a data set is asked about a class,
a split and each of its stores, over and over, and a false alarm costs an extraction."""

MIN_STRENGTH = 0.1
"""Association below which a signature says next to nothing of a target, however sure it is there
(a small effect after Cohen 1988; with 100,000 rows the proportions 0.50 and 0.52 differ surely)."""

_DRAWS = 9999
"""Random tables, of which 9 at least as uneven as the one found are p = `LEVEL`."""
_DRAWN_AT_ONCE = 500
_CELLS = 2_000_000
"""Cells of random tables that are held at a time, at most."""


@dataclass(frozen=True)
class Association:
    """How surely, and how much, two properties of the same vectors go together.

    Attributes
    ----------
    p
        How likely at least so much of it is by chance.
    strength
        0 to 1: Cramér's V, or the correlation ratio of ranks; between two and two the absolute
        correlation.
    """

    p: float
    strength: float

    @property
    def counts(self) -> bool:
        """Whether it is more than chance, and more than next to nothing."""
        return self.p < LEVEL and self.strength >= MIN_STRENGTH


def table_association(table: Ints) -> Association:
    """Test a table of counts for independence.

    Pearson's chi-square, by its asymptotic distribution where expected counts allow that (Cochran
    1954: none below 1, at most a fifth below 5), else by random tables with the same margins: the
    exact conditional test that Fisher's is for two rows and two columns, estimated. Rows of a
    group are counted one by one: the question is what a head could learn from these vectors, not
    whether other vectors would come out so.

    Parameters
    ----------
    table
        (r, c) counts; no row or column is empty, r and c are 2 or more.
    """
    expected = stats.contingency.expected_freq(table)
    statistic = float(_chi_square(table, expected))
    if expected.min() >= 1 and np.mean(expected < 5) <= 0.2:
        p = float(stats.chi2.sf(statistic, (table.shape[0] - 1) * (table.shape[1] - 1)))
    else:
        p = _drawn_p(table, expected, statistic)
    return Association(p, float(np.sqrt(statistic / (table.sum() * (min(table.shape) - 1)))))


def _chi_square(tables: Array, expected: Float64s) -> Array:
    return np.asarray(((tables - expected) ** 2 / expected).sum(axis=(-2, -1)))


def _drawn_p(table: Ints, expected: Float64s, statistic: float) -> float:
    """Give the share of tables with these margins that are at least as uneven.

    Drawing ends early where that share is too large for `LEVEL` whatever else is drawn.
    """
    tables = stats.random_table(table.sum(axis=1), table.sum(axis=0), seed=0)
    step = min(_DRAWN_AT_ONCE, max(1, _CELLS // table.size))
    as_uneven, drawn = 1, 1
    while drawn <= _DRAWS and as_uneven < LEVEL * (_DRAWS + 1):
        some = tables.rvs(min(step, _DRAWS + 1 - drawn))
        as_uneven += int((_chi_square(some, expected) >= statistic * (1 - 1e-9)).sum())
        drawn += len(some)
    return as_uneven / drawn


def rank_association(groups: Sequence[Array]) -> Association | None:
    """Test whether numbers are spread alike in groups; None where all are equal.

    Kruskal and Wallis' H, with ``H / (n - 1)`` the share of the ranks' variance that groups
    explain. No more than n - 1, it stays short of `LEVEL` where there are a handful of rows.

    Parameters
    ----------
    groups
        (m,) numbers of each group, two groups or more.
    """
    pooled = np.concatenate(list(groups))
    if (pooled == pooled[0]).all():
        return None
    found = stats.kruskal(*groups)
    share = float(found.statistic) / (len(pooled) - 1)
    return Association(float(found.pvalue), float(np.sqrt(max(share, 0.0))))


@dataclass(frozen=True)
class Made:
    """What computed the rows of a fit.

    Attributes
    ----------
    code
        (n,) number of each row's signature.
    names
        Of the signatures.
    vector
        (n,) equal where rows have the same vector, which counts once.
    """

    code: Ints
    names: Sequence[str]
    vector: Ints

    def table(self, column: Ints) -> tuple[Ints, list[str], Ints]:
        """Count the vectors of each signature and (n,) column; name the rows, number the columns.

        Those that are empty are left out.
        """
        _, first = np.unique(np.stack([self.vector, column]), axis=1, return_index=True)
        rows, i = np.unique(self.code[first], return_inverse=True)
        columns, j = np.unique(column[first], return_inverse=True)
        counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
        np.add.at(counts, (i, j), 1)
        return counts, [self.names[row] for row in rows.tolist()], columns


def class_confounds(made: Made, label: Ints, classes: Sequence[str]) -> list[JsonObject]:
    """Say whether classes come from different signatures; at most one finding.

    Parameters
    ----------
    label
        (n,) class numbers.
    classes
        (k,) their names.
    """
    counts, names, columns = made.table(label)
    if min(counts.shape) < 2 or not (found := table_association(counts)).counts:
        return []
    return [_finding("class", found, counts, names, [classes[c] for c in columns.tolist()])]


def split_confounds(made: Made, tested: Array) -> list[JsonObject]:
    """Say whether test rows come from other signatures than training rows; at most one finding.

    Parameters
    ----------
    tested
        (n,) bool: the row is a test row, not one that is trained on.
    """
    counts, names, _ = made.table(tested.astype(np.int64))
    if min(counts.shape) < 2:
        return []
    found, sides = table_association(counts), ["train", "test"]
    if (unseen := np.flatnonzero(counts[:, 0] == 0)).size:
        row = int(unseen[counts[unseen, 1].argmax()])
        finding = _finding("unseen", found, counts, names, sides)
        return [finding | {"most": [names[row], "test"]}]
    return [_finding("split", found, counts, names, sides)] if found.counts else []


def target_confounds(made: Made, y: Float64s) -> list[JsonObject]:
    """Say whether (n,) numbers differ between signatures; at most one finding."""
    _, first = np.unique(np.stack([made.vector, y]), axis=1, return_index=True)
    code = made.code[first]
    groups = {made.names[c]: y[first][code == c] for c in np.unique(code).tolist()}
    found = rank_association(list(groups.values())) if len(groups) > 1 else None
    if found is None or not found.counts:
        return []
    counts = {name: {"rows": len(v), "mean": float(v.mean())} for name, v in groups.items()}
    return [{"against": "target", "counts": counts, "most": None, **vars(found)}]


def _finding(
    against: str, found: Association, counts: Ints, names: Sequence[str], columns: Sequence[str]
) -> JsonObject:
    """Give a table and its most conspicuous cell, by Haberman's adjusted residual (1973)."""
    n, expected = counts.sum(), stats.contingency.expected_freq(counts)
    rows, cols = counts.sum(axis=1, keepdims=True), counts.sum(axis=0, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        residual = (counts - expected) / np.sqrt(expected * (1 - rows / n) * (1 - cols / n))
    i, j = np.unravel_index(int(np.nan_to_num(residual).argmax()), counts.shape)
    return {
        "against": against,
        "counts": {
            name: dict(zip(columns, row, strict=True))
            for name, row in zip(names, counts.tolist(), strict=True)
        },
        "most": [names[int(i)], columns[int(j)]],
        **vars(found),
    }
