"""How several kinds of features are weighted against each other: ``equal``, ``search``, ``1:2``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from featx.errors import UsageError

Mixes = dict[str, tuple[float, ...]]


def read_mixes(texts: Sequence[str], n: int) -> Mixes:
    """Give the weights of ``n`` kinds of features by name; several are chosen among in inner folds.

    Parameters
    ----------
    texts
        ``equal``; numbers, one for each kind, such as ``1:0.5``; ``search``: all with equal weight,
        each alone, and all but one.

    Raises
    ------
    UsageError
        If a text is none of these, or the numbers are not as many as the kinds.
    """
    if n == 1:
        if list(texts) not in ([], ["equal"]):
            raise UsageError(
                "weights of features were given for one kind: --features takes several"
            )
        return {"equal": (1.0,)}
    mixes: Mixes = {}
    for text in texts or ["equal"]:
        mixes |= _search(n) if text == "search" else {text: _weights(text, n)}
    return mixes


def _search(n: int) -> Mixes:
    mixes: Mixes = {"equal": (1.0,) * n}
    for i in range(n):
        mixes[f"only {i + 1}"] = tuple(float(j == i) for j in range(n))
    for i in range(n) if n > 2 else ():
        mixes[f"without {i + 1}"] = tuple(float(j != i) for j in range(n))
    return mixes


def _weights(text: str, n: int) -> tuple[float, ...]:
    if text == "equal":
        return (1.0,) * n
    try:
        weights = tuple(float(part) for part in text.split(":"))
    except ValueError:
        weights = ()
    usable = all(math.isfinite(w) and w >= 0 for w in weights) and any(weights)
    if len(weights) != n or not usable:
        example = ":".join(["1"] * n)
        raise UsageError(
            f"the weights of features are {text!r}; expected equal, search, or {n} numbers of 0 or "
            f"more such as {example}"
        )
    return weights
