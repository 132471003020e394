"""Read a recipe file, and find every mistake in it before anything is computed.

A file is TOML: a table ``[data]``, and lists of steps ``[[extract]]`` and ``[[fit]]``. Their keys
are the options of `featx extract` and `featx fit`, written as on the command line.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import FeatxError, SourceNotFoundError, UsageError, unknown_name
from featx.extraction import extract
from featx.fitting import fit
from featx.folds import parse_cv
from featx.heads import HEADS, check_head, check_params, parse_grid, parse_params
from featx.pipeline.published import KEYS, mistakes_in, read_published, take_published

if TYPE_CHECKING:
    from featx._types import JsonObject, PathLike
    from featx.pipeline.published import Published

_DATA = ("name", "limit", "limit_per_class", "label_column", "path_column", "root")
_OUTSIDE = ("data", "append", "cache", "out", "progress", "n_jobs", "device")
"""What is of the machine and the moment, or said elsewhere in the file."""
_AS_WRITTEN = {"layers": "layer", "pools": "pool"}
"""Arguments that have another name on the command line."""
_SPLIT = ("backbone", "layers", "pools", "features")
"""Arguments of which a text holds several, between commas."""


@dataclass(frozen=True)
class Pipeline:
    """What a recipe file asks for, in the names of `featx.extract` and `featx.fit`.

    Attributes
    ----------
    data
        What `featx.extract` takes, and the arguments about it.
    extracts, fits
        Arguments of each step; ``features`` of a fit are patterns of stores' names.
    published
        For each fit a published number, or None.
    """

    data: Any
    data_options: JsonObject
    extracts: tuple[JsonObject, ...]
    fits: tuple[JsonObject, ...]
    published: tuple[Published | None, ...]


def read_pipeline(
    file: PathLike,
    data: Any = None,
    *,
    weights: Mapping[str, str] | None = None,
    changes: Sequence[str] = (),
) -> Pipeline:
    """Read a recipe file.

    Parameters
    ----------
    data
        In place of the file's, as `featx.extract` takes it.
    weights
        Backbone to the file of its weights.
    changes
        ``data.limit=10``, ``extract.image-size=224`` (in every such step), ``fit.2.cv=3`` (in the
        second).

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    UsageError
        Of everything that is wrong with it.
    """
    path = Path(file)
    tables = _tables(path)
    wrong = [str(e) for e in _collect(_change, ((tables, text) for text in changes))]
    wrong += [f"unknown table {name!r}; known: data, extract, fit" for name in _unknown(tables)]
    own = tables["data"].pop("path", None)
    fits, numbers = _parted(tables["fit"])
    for i, given in enumerate(numbers, 1):
        wrong += [f"fit {i}: {words}" for words in mistakes_in(given)]
    found = Pipeline(
        data=_place(path, own) if data is None else data,
        data_options=_named(tables["data"]),
        extracts=tuple(map(_named, tables["extract"])),
        fits=fits,
        published=() if wrong else tuple(map(read_published, numbers)),
    )
    wrong += _use_weights(found.extracts, weights or {})
    wrong += _mistakes(found)
    if wrong:
        raise UsageError(f"{path}: {'; '.join(wrong)}")
    return found


def _tables(path: Path) -> dict[str, Any]:
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"there is no {path}; expected a recipe file (.toml)") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no TOML file that can be read: {error}") from error
    for name, kind in (("data", dict), ("extract", list), ("fit", list)):
        given = tables.setdefault(name, kind())
        steps = given if kind is list else [given]
        if not isinstance(given, kind) or not all(isinstance(step, dict) for step in steps):
            header = "[[{}]]" if kind is list else "[{}]"
            raise UsageError(f"{path}: expected {name!r} as {header.format(name)}")
    return tables


def _unknown(tables: Mapping[str, Any]) -> list[str]:
    return [name for name in tables if name not in ("data", "extract", "fit")]


def _place(file: Path, data: Any) -> Any:
    """Give the file's data; a relative path begins at the file's own folder."""
    return str(file.parent / data) if isinstance(data, str) else data


def _collect(check: Callable[..., None], calls: Iterator[tuple[Any, ...]]) -> list[FeatxError]:
    wrong = []
    for arguments in calls:
        try:
            check(*arguments)
        except FeatxError as error:
            wrong.append(error)
    return wrong


def _change(tables: dict[str, Any], text: str) -> None:
    """Carry out ``step.option=value``; a value is TOML where it can be, else text."""
    target, equals, value = text.partition("=")
    where, _, option = target.strip().rpartition(".")
    step, *number = where.split(".")
    steps = tables["data"] if step == "data" else tables.get(step)
    steps = [steps] if isinstance(steps, dict) else steps
    if number and isinstance(steps, list):
        chosen = int(number[0]) - 1 if number[0].isdecimal() else -1
        steps = steps[chosen : chosen + 1] if chosen >= 0 else None
    if not (equals and option and steps and step in ("data", "extract", "fit")):
        raise UsageError(
            f"--set {text!r}: expected STEP.OPTION=VALUE of a step in the file, for example "
            "extract.image-size=224, fit.2.cv=3 or data.limit=100"
        )
    for one in steps:
        one[option] = _value(value.strip())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _named(step: Mapping[str, Any]) -> JsonObject:
    """Give options under the names of arguments."""
    arguments = {written: name for name, written in _AS_WRITTEN.items()}
    named = {arguments.get(key, key.replace("-", "_")): value for key, value in step.items()}
    for name in _SPLIT:
        if isinstance(named.get(name), str):
            named[name] = [piece.strip() for piece in named[name].split(",")]
    return named


def _parted(fits: Sequence[Mapping[str, Any]]) -> tuple[tuple[JsonObject, ...], list[JsonObject]]:
    """Give each fit's own options, and those about a published number."""
    parted = [take_published(_named(step)) for step in fits]
    return tuple(own for own, _ in parted), [given for _, given in parted]


def _use_weights(extracts: Sequence[JsonObject], weights: Mapping[str, str]) -> list[str]:
    wrong = []
    for backbone, file in weights.items():
        steps = [step for step in extracts if step.get("backbone") == [backbone]]
        for step in steps:
            step["weights"] = file
        if not steps:
            there = ", ".join(str(b) for step in extracts for b in step.get("backbone", ()))
            wrong.append(f"--weights {backbone}: no step extracts it alone; backbones: {there}")
    return wrong


def _mistakes(found: Pipeline) -> list[str]:
    """Give what is wrong, in the order of the file."""
    about = _options(extract)
    data = {name: p for name, p in about.items() if name in _DATA}
    own = {name: p for name, p in about.items() if name not in _DATA}
    wrong = list(_wrong("[data]", found.data_options, data, ["path"]))
    if found.data is None:
        wrong.append("no data: give DATA on the command line, or path in [data]")
    if not found.extracts:
        wrong.append("no [[extract]]: nothing to fit on")
    for i, step in enumerate(found.extracts, 1):
        wrong += _wrong(f"extract {i}", step, own)
        wrong += [] if "backbone" in step else [f"extract {i}: backbone is missing"]
    for i, step in enumerate(found.fits, 1):
        wrong += _wrong(f"fit {i}", step, _options(fit), list(map(_written, KEYS)))
        for check in (_check_parameters, _check_folds):
            wrong += [f"fit {i}: {e}" for e in _collect(check, iter([(step,)]))]
    names = [step["name"] for step in found.fits if "name" in step]
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    return wrong + [f"two fits have the name {name!r}" for name in twice]


def _check_parameters(step: JsonObject) -> None:
    """Check the names of a fit's parameters, set and searched."""
    name = step.get("head", "svm")
    check_head(name)
    grid, fixed = parse_grid(step.get("grid")) or {}, parse_params(step.get("set", ()))
    for given in (grid, fixed):
        check_params(HEADS[name], given)
    if both := sorted(set(grid) & set(fixed)):
        raise UsageError(f"{both[0]!r} is both set and searched: leave out one of the two")


def _check_folds(step: JsonObject) -> None:
    parse_cv(str(step.get("cv", "5")))


def _options(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Give the arguments of a workflow that a file may hold."""
    parameters = inspect.signature(function).parameters
    return {name: p for name, p in parameters.items() if name not in _OUTSIDE}


def _wrong(
    where: str,
    step: Mapping[str, Any],
    known: Mapping[str, inspect.Parameter],
    more: Sequence[str] = (),
) -> Iterator[str]:
    for name, value in step.items():
        written = _written(name)
        if name not in known:
            yield f"{where}: {unknown_name('option', written, [*map(_written, known), *more])}"
        elif (expected := _expected(known[name])) and not _fits(expected, name, value):
            yield f"{where}: {written} is {value!r}; expected {expected[0]}"


def _written(name: str) -> str:
    return _AS_WRITTEN.get(name, name.replace("_", "-"))


def _expected(argument: inspect.Parameter) -> tuple[str, type] | None:
    """Say what a value has to be, as far as the default tells, or the type where that is None."""
    kinds = {bool: "true or false", int: "a whole number", str: "a text"}
    for kind, words in kinds.items():
        if isinstance(argument.default, kind):
            return words, kind
    annotated = {f"{kind.__name__} | None": kind for kind in kinds}
    written = annotated.get(str(argument.annotation)) if argument.default is None else None
    return None if written is None else (kinds[written], written)


def _fits(expected: tuple[str, type], name: str, value: Any) -> bool:
    if name in (*_SPLIT, "cv", "max_failed"):
        return isinstance(value, str | int | list)
    return isinstance(value, expected[1]) and (expected[1] is bool or not isinstance(value, bool))
