"""Every mistake in a recipe file, as far as it can be told without images."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import FeatxError, HeadTaskError, TargetError, UsageError, unknown_name
from featx.evaluate import Spec
from featx.evaluate.setup import read_setup
from featx.extraction import extract
from featx.fitting import fit
from featx.folds import parse_cv
from featx.heads import HEADS, candidates, check_head, check_params, parse_grid, parse_params
from featx.pipeline.names import SPLIT, written
from featx.pipeline.published import KEYS, KNOWN
from featx.pipeline.trainings import (
    SEVERAL,
    check_candidates,
    mistakes_in_training,
    training_options,
)

if TYPE_CHECKING:
    from featx._types import Array, JsonObject
    from featx.pipeline.read import Pipeline

_DATA = ("name", "limit", "limit_per_class", "label_column", "path_column", "root")
_OUTSIDE = ("data", "append", "cache", "out", "progress", "n_jobs", "device")
"""What is of the machine and the moment, or said elsewhere in the file."""
_N = 4000
_TARGETS: dict[str, Array] = {
    "classification": np.arange(_N) % 2,
    "regression": np.arange(_N) / 7.0,
}
"""What options are tried on."""
_TRIED = ("class_weight", "scale", "scoring", "quality", "lower_is_better", "calibrate", "task")


def mistakes(found: Pipeline) -> list[str]:
    """Give what is wrong, in the order of the file."""
    about = _options(extract)
    data = {name: p for name, p in about.items() if name in _DATA}
    own = {name: p for name, p in about.items() if name not in _DATA}
    wrong = list(_wrong("[data]", found.data_options, data, ["path"]))
    if found.data is None:
        wrong.append("no data: give DATA on the command line, or path in [data]")
    if not found.extracts and (found.fits or not found.finetunes):
        wrong.append("no [[extract]]: nothing to fit on")
    for i, step in enumerate(found.extracts, 1):
        wrong += _wrong(f"extract {i}", step, own)
        wrong += [] if "backbone" in step else [f"extract {i}: backbone is missing"]
    for i, step in enumerate(found.fits, 1):
        wrong += _wrong_fit(f"fit {i}", step)
    known = training_options() if found.finetunes else {}
    for i, step in enumerate(found.finetunes, 1):
        wrong += _wrong_training(f"finetune {i}", step, known)
    names = [str(s["name"]) for s in (*found.fits, *found.finetunes) if "name" in s]
    twice = sorted({name for name in names if names.count(name) > 1})
    wrong += [f"two fits have the name {name!r}" for name in twice]
    wrong += [str(unknown_name("metric", str(m), KNOWN)) for m in found.metrics if m not in KNOWN]
    return wrong + list(_other_seeds(found))


def _other_seeds(found: Pipeline) -> Iterator[str]:
    """Refuse steps that would draw other images: of a limit for each class, the seed does."""
    if "limit_per_class" not in found.data_options:
        return
    steps = [*found.extracts, *found.finetunes]
    seeds = sorted({str(step.get("seed", 0)) for step in steps})
    if len(seeds) > 1:
        yield (
            f"limit-per-class draws by the seed, and the steps have {' and '.join(seeds)}: give "
            "every [[extract]] and [[finetune]] the same seed"
        )


def _wrong_fit(where: str, step: JsonObject) -> list[str]:
    wrong = list(_wrong(where, step, _options(fit), list(map(written, KEYS))))
    for check in (_check_parameters, _check_folds):
        wrong += _collect(where, check, step)
    return wrong or _collect(where, _try_fit, step)


def _wrong_training(
    where: str, step: JsonObject, known: Mapping[str, inspect.Parameter]
) -> list[str]:
    single = {name: value for name, value in step.items() if name not in SEVERAL}
    wrong = list(_wrong(where, single, known, list(map(written, (*KEYS, *SEVERAL)))))
    wrong += [f"{where}: {words}" for words in mistakes_in_training(step)]
    wrong += _collect(where, _check_folds, step)
    return wrong or _collect(where, _try_training, step)


def _collect(where: str, check: Callable[[JsonObject], None], step: JsonObject) -> list[str]:
    try:
        check(step)
    except FeatxError as error:
        return [f"{where}: {error}"]
    return []


def _check_parameters(step: JsonObject) -> None:
    """Check the names of a fit's parameters, set and searched."""
    name = step.get("head", "svm")
    check_head(name)
    grid, fixed = parse_grid(step.get("grid")) or {}, parse_params(step.get("set", ()))
    for given in (grid, fixed):
        check_params(HEADS[name], given)
    if both := sorted(set(grid) & set(fixed)):
        raise UsageError(f"{both[0]!r} is both set and searched: leave out one of the two")
    if name == "nn":
        found = [{**fixed, **one} for one in candidates(grid)]
        check_candidates(found, step.get("task"))


def _check_folds(step: JsonObject) -> None:
    parse_cv(str(step.get("cv", "5")))


def _try_fit(step: JsonObject) -> None:
    """Read the options with a target that was made up."""
    given = {name: step[name] for name in _TRIED if name in step}
    spec = Spec(
        head=step.get("head", "svm"),
        grid=parse_grid(step.get("grid")),
        fixed=parse_params(step.get("set", ())),
        search=step.get("search", True),
        cv="2",
        test_size=step.get("test_size"),
        **given,
    )
    _try(lambda y: read_setup(_N, 1, y, spec, None, None, "group", "split"), step.get("task"))


def _try_training(step: JsonObject) -> None:
    from featx.evaluate import read_trained
    from featx.finetuning.ask import HEAD

    given = {name: step[name] for name in _TRIED if name in step}
    spec = Spec(head=HEAD.name, cv="2", test_size=step.get("test_size"), search=False, **given)
    val = step.get("val", 0.2)

    def read(y: Array) -> None:
        read_trained(HEAD, y, spec, val, None, None, "group", "split")

    _try(read, step.get("task"))


def _try(read: Callable[[Array], object], task: str | None) -> None:
    """Raise what is wrong for whatever target; what is of these rows is of no interest."""
    if task is not None and task not in _TARGETS:
        raise unknown_name("task", str(task), _TARGETS)
    wrong: list[UsageError] = []
    for kind, y in _TARGETS.items():
        if task not in (None, kind):
            continue
        try:
            read(y)
        except TargetError:
            return
        except HeadTaskError as error:
            wrong.append(error)
        except UsageError as error:
            wrong.insert(0, error)
        else:
            return
    raise wrong[0]


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
        words = written(name)
        if name not in known:
            yield f"{where}: {_unknown(words, [*map(written, known), *more])}"
        elif (expected := _expected(known[name])) and not _fits(expected, name, value):
            yield f"{where}: {words} is {value!r}; expected {expected[0]}"


def _unknown(name: str, known: Iterable[str]) -> FeatxError:
    return unknown_name("option", name, dict.fromkeys(known))


def _expected(argument: inspect.Parameter) -> tuple[str, type] | None:
    """Say what a value has to be, as far as the default tells, or the type where that is None."""
    kinds = {bool: "true or false", int: "a whole number", str: "a text"}
    for kind, words in kinds.items():
        if isinstance(argument.default, kind):
            return words, kind
    annotated = {f"{kind.__name__} | None": kind for kind in kinds}
    said = annotated.get(str(argument.annotation)) if argument.default is None else None
    return None if said is None else (kinds[said], said)


def _fits(expected: tuple[str, type], name: str, value: Any) -> bool:
    if name in (*SPLIT, "cv", "max_failed", "twins"):
        return isinstance(value, str | int | float | list)
    return isinstance(value, expected[1]) and (expected[1] is bool or not isinstance(value, bool))
