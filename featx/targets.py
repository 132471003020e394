"""Columns of a user's table as what a head needs: target values, groups, and what to watch for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from featx._types import Array, Bytes16s, Ints
from featx._words import count
from featx.errors import TargetError, unknown_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CLASSES = 20
"""Whole numbers with more distinct values than this are amounts."""
_PADDED = re.compile(r"[+-]?0\d")
_SCALE_VALUES = 150
_IDENTITY_VALUES = 20
_IDENTITY_NAME = re.compile(
    r"(^|_|\b)(id|ids|identity|person|patient|subject|individual|animal|user|speaker|celebrity|"
    r"scene|video|session|slide|case|specimen|sample|reference|series|sequence|batch|site)(_|\b|$)"
)


def target_name(columns: Sequence[str], name: str | None) -> str:
    """Give the target column: the one named, else ``label``.

    Raises
    ------
    UnknownNameError
        If there is no column of that name; the nearest ones are given.
    TargetError
        If none is named and there is no column ``label``.
    """
    if name is not None:
        check_column(columns, name)
        return name
    if "label" in columns:
        return "label"
    raise TargetError(
        "the data has no column 'label': say which column to predict with --target COL; "
        f"columns: {', '.join(columns) or 'none'}"
    )


def check_column(columns: Sequence[str], name: str) -> None:
    """Raise `UnknownNameError` if there is no column of that name."""
    if name not in columns:
        raise unknown_name("column", name, columns)


def has_value(values: Array, missing: Iterable[str]) -> NDArray[np.bool_]:
    """Say which of (n,) values there are: (n,) bool.

    Nothing, NaN and blank text are no value, nor is what ``missing`` lists, compared as text and,
    where both are numbers, as numbers (``-1`` names -1.0 too).
    """
    tokens = {token.strip() for token in missing} | {""}
    numbers = {number for token in tokens if (number := _number(token)) is not None}
    absent = [
        pd.isna(value) or str(value).strip() in tokens or (_number(value) in numbers)
        for value in values
    ]
    return ~np.array(absent, dtype=bool)


def as_numbers(values: Array) -> Array | None:
    """Give (n,) int64 or float64 if every value is a finite number or its text, else None."""
    numbers = [None if isinstance(v, bool | np.bool_) else _number(v) for v in values]
    if not numbers or any(number is None or not np.isfinite(number) for number in numbers):
        return None
    floats = np.array(numbers, dtype=np.float64)
    whole = bool(np.all(floats == np.round(floats)) and np.all(np.abs(floats) < 2**53))
    return floats.astype(np.int64) if whole else floats


def as_labels(values: Array) -> Array:
    """Give (n,) class labels: int64 where every value is a whole number, else text.

    Digits with zeros before them (``007``) are text: as a number they would be another name.
    """
    numbers = as_numbers(values)
    padded = any(isinstance(value, str) and _PADDED.match(value.strip()) for value in values)
    if numbers is not None and numbers.dtype == np.int64 and not padded:
        return numbers
    return np.array([str(value) for value in values], dtype=object).astype(str)


def task_of(y: Array) -> tuple[str, str]:
    """Give the task of a target (n,), and why.

    Text and booleans are classes. Numbers are amounts if some are fractions, or if there are more
    than 20 distinct ones; else they are classes. Text that holds numbers only counts as numbers.

    Returns
    -------
    tuple of str
        ``"classification"`` or ``"regression"``, and the reason in words.
    """
    values = np.asarray(y)
    if values.dtype.kind == "b":
        return "classification", "the target is true or false"
    numbers = as_numbers(values)
    if numbers is None and values.dtype.kind != "f":
        return "classification", "the target is text"
    if numbers is None or numbers.dtype != np.int64:
        return "regression", "the target has fractions"
    distinct = len(np.unique(numbers))
    if distinct > MAX_CLASSES:
        return "regression", f"the target has {distinct} distinct numbers"
    return "classification", f"the target has only {distinct} distinct whole numbers"


def mostly_amounts(values: Array) -> bool:
    """Whether half of the values or more are numbers, and these are amounts, not classes."""
    numbers = [value for value in values if as_numbers(np.array([value], object)) is not None]
    return 2 * len(numbers) >= len(values) and task_of(np.array(numbers, object))[0] == "regression"


_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def refuse_decimal_commas(values: Array, name: str) -> None:
    """Raise `TargetError` if half of the values or more are numbers but for their comma."""
    texts = [value for value in values if isinstance(value, str)]
    commas = [text for text in texts if _DECIMAL_COMMA.fullmatch(text.strip())]
    if commas and 2 * len(commas) >= len(values):
        raise TargetError(
            f"target {name!r} has decimal commas ({commas[0]!r}); write them with a point "
            f"({commas[0].strip().replace(',', '.')!r}) to have numbers, or say "
            "--task classification if they are classes"
        )


def as_amounts(values: Array, name: str) -> NDArray[np.float64]:
    """Give (n,) float64 to regress on.

    Raises
    ------
    TargetError
        If some value is no finite number; names the first few.
    """
    numbers = as_numbers(values)
    if numbers is not None:
        return numbers.astype(np.float64)
    bad = list(
        dict.fromkeys(
            str(v) for v in values if (number := _number(v)) is None or not np.isfinite(number)
        )
    )
    shown = ", ".join(repr(text) for text in bad[:5])
    raise TargetError(
        f"target {name!r} has {count(len(bad), 'value that is', 'values that are')} no number: "
        f"{shown}"
        f"{', ...' if len(bad) > 5 else ''}; {_instead(bad, values)}for classes, say "
        "--task classification"
    )


def _instead(bad: Sequence[str], values: Array) -> str:
    """Say how to leave values out that are no number, where there are others."""
    if len(bad) == len(set(map(str, values))):
        return ""
    listed = ",".join(bad[:_MOST]) + (",..." if len(bad) > _MOST else "")
    return f"if they mean that the value is unknown, leave those rows out with --missing {listed}; "


_MOST = 3
"""Values to be left out that are named."""


def image_groups(digest: Bytes16s, user: Array | None) -> Ints | None:
    """Put rows together that share an image or a group, and whatever these join.

    Parameters
    ----------
    digest
        (n, 16) uint8: rows with the same bytes (copies, pages, channels) belong together.
    user
        (n,) the user's groups; a row without one is alone in its own. None: no groups.

    Returns
    -------
    Ints or None
        (n,) the number of each row's connected component; None where every row is alone.
    """
    from scipy.sparse import coo_matrix  # 0.3 s to import, and extracting needs none
    from scipy.sparse.csgraph import connected_components

    n = len(digest)
    nodes = [_codes(digest.view("V16").ravel() if n else np.zeros(0, dtype="V16"))]
    if user is not None:
        nodes.append(_user_codes(user))
    rows = np.concatenate([np.arange(n)] * len(nodes))
    starts = np.cumsum([n] + [int(codes.max(initial=-1)) + 1 for codes in nodes])
    columns = np.concatenate([c + start for c, start in zip(nodes, starts[:-1], strict=True)])
    size = int(starts[-1])
    links = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(size, size))
    _, component = connected_components(links, directed=False)
    groups = np.unique(component[:n], return_inverse=True)[1].astype(np.int64)
    return None if groups.max(initial=-1) + 1 == n else groups


def contradictions(digest: Bytes16s, y: Array) -> list[Ints]:
    """Give the rows of each image (by its bytes) that occurs with more than one target value."""
    pairs = pd.DataFrame({"image": _codes(digest.view("V16").ravel()), "y": y})
    against = pairs[pairs.groupby("image")["y"].transform("nunique") > 1]
    return [rows.to_numpy() for rows in against.groupby("image").groups.values()]


def identity_columns(frame: pd.DataFrame, used: Iterable[str]) -> list[tuple[str, int]]:
    """Find the columns that look like an identity and are not in ``used``: (name, values).

    A person, a patient or a scene has several rows, and a fold that holds some of them knows the
    others. A column looks like one if at least nine in ten of its values have two rows or more,
    and if it is called so (``patient_id``), or is text with 20 values or more, or holds whole
    numbers with more values than a scale has (150): an age or a score has fewer.
    """
    taken = set(used)
    found = []
    for name in frame.columns:
        if str(name) not in taken:
            counts = frame[name].dropna().astype(str).value_counts()
            if _repeats(counts) and len(counts) >= _least_values(str(name), frame[name]):
                found.append((str(name), len(counts)))
    return found


def _repeats(counts: pd.Series[int]) -> bool:
    return len(counts) > 1 and bool((counts >= 2).mean() >= 0.9)


def _least_values(name: str, values: pd.Series[Any]) -> float:
    if called_identity(name):
        return 2
    numbers = as_numbers(values.dropna().to_numpy(dtype=object))
    if numbers is None:
        return _IDENTITY_VALUES
    return _SCALE_VALUES if numbers.dtype == np.int64 else np.inf


def called_identity(name: str) -> bool:
    """Whether a column is called as identities are: ``id``, ``patientId``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return _IDENTITY_NAME.search(words) is not None


def _number(value: Any) -> float | None:
    """Read a number; Python would also read ``2020_01`` as one, which is a name."""
    if isinstance(value, str) and "_" in value:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _codes(values: Array) -> Ints:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _user_codes(user: Array) -> Ints:
    alone = ~has_value(user, ())
    codes = _codes(np.array([str(value).strip() for value in user], dtype=str))
    codes[alone] = len(user) + np.arange(alone.sum())
    return codes
