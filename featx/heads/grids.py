"""Parameters as they are written: ``C=0.01,0.1,1``, ``C=1e-6:1:7``, ``n_neighbors=5``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from featx.errors import UsageError

Values: TypeAlias = tuple[Any, ...]
MAX_VALUES = 1000
"""Candidates of one parameter; more is a slip of the pen."""
_WORDS: dict[str, Any] = {"none": None, "true": True, "false": False}


def parse_grid(
    grid: Mapping[str, Sequence[Any]] | Sequence[str] | str | None,
) -> dict[str, Values] | None:
    """Read candidates for each parameter.

    Parameters
    ----------
    grid
        ``"C=1e-6:1:7"`` (7 values from 1e-6 to 1, evenly spaced in the logarithm),
        ``"C=0.01,0.1,1"``, several of these, or a mapping to sequences.

    Returns
    -------
    dict or None
        Name to candidates; None where nothing is given.

    Raises
    ------
    UsageError
        If a text cannot be read, or a parameter has no candidate or is named twice.
    """
    if not grid:
        return None
    if isinstance(grid, Mapping):
        found = {name: _sequence(name, values) for name, values in grid.items()}
    else:
        found = {name: _candidates(name, text) for name, text in _pairs(grid, "grid").items()}
    if empty := [name for name, values in found.items() if not values]:
        raise UsageError(f"the grid of {empty[0]!r} is empty; expected {empty[0]}=0.01,0.1,1")
    return found


def parse_params(params: Mapping[str, Any] | Sequence[str] | str | None) -> dict[str, Any]:
    """Read parameters that are not searched: ``"C=1"``, several of these, or a mapping.

    Raises
    ------
    UsageError
        If a text cannot be read.
    """
    if not params:
        return {}
    if isinstance(params, Mapping):
        return dict(params)
    return {name: _value(text) for name, text in _pairs(params, "set").items()}


def candidates(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Give every combination of the grid's values, the last name changing fastest."""
    names = list(grid)
    return [dict(zip(names, values, strict=True)) for values in product(*grid.values())]


def _pairs(texts: Sequence[str] | str, option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in [texts] if isinstance(texts, str) else texts:
        name, equals, values = str(text).partition("=")
        name = name.strip()
        if not (name and equals and values.strip()):
            raise UsageError(f"--{option} is {text!r}; expected NAME=VALUE, for example C=1")
        if name in found:
            raise UsageError(f"--{option} names {name!r} twice; give it once")
        found[name] = values.strip()
    return found


def _candidates(name: str, text: str) -> Values:
    if ":" in text:
        return _log_range(name, text)
    pieces = [piece.strip() for piece in text.split(",")]
    return tuple(dict.fromkeys(_value(piece) for piece in pieces if piece))


def _log_range(name: str, text: str) -> Values:
    """Read ``LOW:HIGH:COUNT``: evenly spaced in the logarithm, rounded to 12 digits."""
    try:
        low_text, high_text, count_text = text.split(":")
        low, high, count = float(low_text), float(high_text), int(count_text)
    except ValueError as error:
        raise UsageError(f"{name}={text} is no range; expected {name}=1e-6:1:7") from error
    if not (0 < low < math.inf and 0 < high < math.inf and count >= 1):
        raise UsageError(
            f"{name}={text}: a range needs ends above 0 and a count of 1 or more, as in 1e-6:1:7"
        )
    if count > MAX_VALUES:
        raise UsageError(f"{name}={text}: {count} values; expected at most {MAX_VALUES}")
    values = [float(f"{value:.12g}") for value in np.geomspace(low, high, count)]
    if isinstance(_value(low_text), int) and isinstance(_value(high_text), int):
        whole = all(value == round(value) for value in values)
        values = [round(value) for value in values] if whole else values
    return tuple(dict.fromkeys(values))


def _sequence(name: str, values: Any) -> Values:
    if isinstance(values, str):
        return _candidates(name, values)
    if not isinstance(values, Sequence | np.ndarray):
        raise UsageError(f"the grid of {name!r} is {values!r}; expected a list of candidates")
    items = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return tuple(tuple(item) if isinstance(item, list) else item for item in items)


def _value(text: str) -> Any:
    """Read a number, ``none``, ``true``, ``false``, sizes like ``100x50``, or a word."""
    text = text.strip()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if all(part.isdecimal() for part in text.split("x")) and "x" in text:
        return tuple(int(part) for part in text.split("x"))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
