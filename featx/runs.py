"""Folders of results: ``runs/NAME/``, each there whole or not at all."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from featx._files import take_lock, writing
from featx._types import JsonObject, PathLike
from featx.errors import NotFoundError, UsageError, unknown_name
from featx.modelinfo import INFO_FILE
from featx.sources.names import has_image_suffix

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULT_FILE = "result.json"
_LOCK_FILE = ".lock"
_LISTED = 10
"""Runs that an error names: the newest."""


def check_name(out: Path, name: str) -> None:
    """Raise if a run cannot have that name, before any work is done.

    Raises
    ------
    UsageError
        If ``name`` is no plain folder name, or is taken.
    """
    if not re.fullmatch(r"\w[\w.+ -]{0,120}", name) or name.endswith((".", " ")):
        raise UsageError(
            f"{name!r} cannot name a run: use up to 120 letters, digits, '-', '_' and '.', "
            "and begin with a letter or a digit"
        )
    if (out / name).exists():
        raise UsageError(
            f"the run {name!r} exists already in {out.absolute()}; choose another --name, "
            f"or delete the folder {out / name}"
        )


@contextmanager
def new_run(out: Path, name: str | None, stem: str) -> Iterator[tuple[str, Path]]:
    """Give (name, empty temporary folder); the folder becomes ``out/name`` when the block ends.

    Nothing remains of it when the block fails. Only one process at a time is inside, so that two
    runs at once never choose the same name.

    Parameters
    ----------
    out
        The folder of all runs; made where it is missing.
    name
        As the user wants it; None chooses the first free ``<stem>-1``, ``<stem>-2``, ... So does a
        name that another run has taken since `check_name`: no work is lost for that.
    stem
        What an automatic name begins with; characters unfit for a folder name become ``-``.
    """
    lock = take_lock(out / _LOCK_FILE)
    try:
        final = name if name and not (out / name).exists() else _free_name(out, name or stem)
        check_name(out, final)
        temporary = out / f".{uuid4().hex}"
        try:
            with writing(temporary):
                temporary.mkdir()
            yield final, temporary
            with writing(out / final):
                temporary.rename(out / final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    finally:
        lock.release()


def list_runs(out: PathLike = "runs") -> list[JsonObject]:
    """Give the results in ``out``, oldest first, each with its ``name`` and ``path``.

    A folder whose result cannot be read is listed with ``error`` in place of its values.
    """
    files = [
        file for file in Path(out).glob(f"*/{RESULT_FILE}") if not file.parent.name.startswith(".")
    ]
    rows = [{**_read(file), "name": file.parent.name, "path": str(file.parent)} for file in files]
    return sorted(rows, key=lambda row: (str(row.get("created", "")), row["name"]))


def find_run(model: PathLike, out: PathLike = "runs") -> Path:
    """Give the folder of a run from its path, the path of a file in it, or its name in ``out``.

    Raises
    ------
    UnknownNameError
        If no run in ``out`` has that name; the nearest names are given.
    NotFoundError
        If there are no runs at all, or something else is there.
    """
    path = Path(model)
    there = [path.parent if path.is_file() else path, Path(out) / path]
    there = [folder for folder in there if folder.is_dir()]
    for folder in there:
        if any((folder / file).is_file() for file in (RESULT_FILE, INFO_FILE)):
            return folder
    names = [row["name"] for row in list_runs(out)]
    if there:
        raise NotFoundError(_no_run(path if path.exists() else there[0], names, Path(out)))
    if not names:
        raise NotFoundError(
            f"no run {str(model)!r}: neither {path.absolute()} nor {(Path(out) / path).absolute()} "
            "is there; `featx fit` makes one"
        )
    hint = f"looked in {Path(out).absolute()}; `featx runs` lists them"
    raise unknown_name("run", str(model), names, hint)


def _no_run(path: Path, names: list[str], out: Path) -> str:
    """Say what is there in place of a run, and which runs there are."""
    if path.is_file():
        return f"{path} is a file that belongs to no run; {_runs_in(names, out)}"
    if not any(has_image_suffix(file.name) for file in path.rglob("*")):
        return f"{path} is no run: no {RESULT_FILE} is in it; {_runs_in(names, out)}"
    name = shlex.quote(path.absolute().name)
    return (
        f"{path} is a folder of images, not a run; {_runs_in(names, out)}; to make one of these "
        f"images: `featx extract {shlex.quote(str(path))} --backbone mobilenet_v2`, then "
        f"`featx fit --head svm --data {name}`"
    )


def _runs_in(names: list[str], out: Path) -> str:
    if not names:
        return f"there are no runs in {out.absolute()}"
    more = f" and {len(names) - _LISTED} more (`featx runs`)" if len(names) > _LISTED else ""
    return f"runs in {out.absolute()}: {', '.join(names[: -_LISTED - 1 : -1])}{more}"


def _free_name(out: Path, stem: str) -> str:
    safe = re.sub(r"[^\w.+-]+", "-", stem).strip("-._+")[:100] or "run"
    number = 1
    while (out / f"{safe}-{number}").exists():
        number += 1
    return f"{safe}-{number}"


def _read(file: Path) -> JsonObject:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        return value if isinstance(value, dict) else {"error": "no JSON object"}
    except (OSError, ValueError) as error:
        return {"error": str(error)}
