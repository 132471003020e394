"""A recipe file as tables: read, steps written together taken apart, options changed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

from featx.errors import FeatxError, SourceNotFoundError, UsageError

Tables: TypeAlias = dict[str, Any]
STEPS = ("extract", "fit", "finetune")
"""Lists of steps, in the order in which they are run."""
_SINGLE = ("data", "table")


def read_tables(path: Path) -> tuple[Tables, list[str]]:
    """Give the tables of a file, each step of its own, and what is wrong with them.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    UsageError
        If it is no TOML, or holds something else under the names of steps.
    """
    try:
        tables: Tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"there is no {path}; expected a recipe file (.toml)") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no TOML file that can be read: {error}") from error
    for name in (*_SINGLE, *STEPS):
        several = name in STEPS
        given: Any = tables.setdefault(name, [] if several else {})
        steps = given if several and isinstance(given, list) else [given]
        if isinstance(given, list) != several or not all(isinstance(s, dict) for s in steps):
            header = f"[[{name}]]" if several else f"[{name}]"
            raise UsageError(f"{path}: expected {name!r} as {header}")
    unknown = [name for name in tables if name not in (*_SINGLE, *STEPS)]
    known = ", ".join((*_SINGLE, *STEPS))
    wrong = [f"unknown table {name!r}; known: {known}" for name in unknown]
    for kind in STEPS:
        wrong += _take_apart(tables, kind)
    return tables, wrong


def _take_apart(tables: Tables, kind: str) -> list[str]:
    """Put a step for each combination of the lists in ``each`` where one is written."""
    steps: list[dict[str, Any]] = []
    wrong = []
    for i, step in enumerate(tables[kind], 1):
        each = step.pop("each", {})
        lists: list[Any] = list(each.values()) if isinstance(each, dict) else [None]
        if not all(isinstance(values, list) and values for values in lists):
            wrong.append(f"{kind} {i}: each is {each!r}; expected lists: each = {{ lr = [1, 2] }}")
            continue
        steps += [
            {**step, **dict(zip(each, values, strict=True))} | _named(kind, step, each)
            for values in product(*lists)
        ]
    tables[kind] = steps
    return wrong


def _named(kind: str, step: Mapping[str, Any], each: Mapping[str, Any]) -> dict[str, str]:
    """Name a row by what tells it from those that are written with it, unless it has a name."""
    if kind == "extract" or "row" in step or not each:
        return {}
    return {"row": ", ".join(f"{{{name}}}" for name in each)}


def change_tables(tables: Tables, changes: Sequence[str]) -> list[str]:
    """Carry out each ``step.option=value`` and give what is wrong with them.

    A value is TOML where it can be, else text.
    """
    wrong = []
    for text in changes:
        try:
            _change(tables, text)
        except FeatxError as error:
            wrong.append(str(error))
    return wrong


def _change(tables: Tables, text: str) -> None:
    target, equals, value = text.partition("=")
    where, _, option = target.strip().rpartition(".")
    kind, *number = where.split(".")
    steps = tables.get(kind) if kind in (*_SINGLE, *STEPS) else None
    steps = [steps] if isinstance(steps, dict) else steps
    if number and isinstance(steps, list):
        chosen = int(number[0]) - 1 if number[0].isdecimal() else -1
        steps = steps[chosen : chosen + 1] if chosen >= 0 else None
    if not (equals and option and steps):
        raise UsageError(
            f"--set {text!r}: expected STEP.OPTION=VALUE of a step in the file, for example "
            "extract.image-size=224, fit.2.cv=3, finetune.epochs=1 or data.limit=100"
        )
    for one in steps:
        one[option] = _value(value.strip())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
