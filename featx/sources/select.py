"""Take a part of a source."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from featx._types import Ints
from featx.errors import UsageError, unknown_name
from featx.sources.entry import Source


def select(
    source: Source,
    *,
    limit: int | None = None,
    limit_per_class: int | None = None,
    label_column: str | None = None,
    seed: int = 0,
) -> Source:
    """Take some rows of a source, in its order.

    Parameters
    ----------
    limit
        The first so many rows, counted after ``limit_per_class``.
    limit_per_class
        So many rows of each label, drawn at random; rows without a label are left out. With one
        seed, a smaller draw is part of a larger one, and other classes do not change it.
    label_column
        Which column names the class; ``label`` unless said.

    Raises
    ------
    UsageError
        If a limit is below 1, or the column is not there.
    """
    for name, value in (("limit", limit), ("limit_per_class", limit_per_class)):
        if value is not None and value < 1:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} {value}: expected 1 or more images")
    rows = np.arange(len(source.entries), dtype=np.int64)
    said = ""
    if limit_per_class is not None:
        rows = _per_class(source, limit_per_class, label_column or "label", seed)
        said += f", {limit_per_class} of each class (seed {seed})"
    if limit is not None and limit < len(rows):
        rows = rows[:limit]
        said += f", the first {limit:,}"
    return source if not said else _take(source, rows, said)


def _per_class(source: Source, n: int, column: str, seed: int) -> Ints:
    if column not in source.frame:
        raise unknown_name(
            "label column",
            column,
            map(str, source.frame.columns),
            "" if len(source.frame.columns) else "this data has no columns",
        )
    labels = source.frame[column].reset_index(drop=True)
    chosen = [
        _draw(rows.to_numpy(dtype=np.int64), n, seed, str(label))
        for label, rows in labels.index.to_series().groupby(labels, sort=False, observed=True)
    ]
    return np.sort(np.concatenate([*chosen, np.empty(0, np.int64)]))


def _draw(rows: Ints, n: int, seed: int, label: str) -> Ints:
    """Draw ``n`` of one class's rows, whatever the other classes are."""
    word = int.from_bytes(blake2b(label.encode("utf-8", "replace"), digest_size=8).digest(), "big")
    return np.random.default_rng([seed, word]).permutation(rows)[:n]


def _take(source: Source, rows: Ints, said: str) -> Source:
    return Source(
        source.name,
        source.description + said,
        [source.entries[row] for row in rows.tolist()],
        source.frame.iloc[rows].reset_index(drop=True),
        source.ignored,
    )
