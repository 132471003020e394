"""Where a graph goes: its files are all there or none is, and none is overwritten."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from featx._files import writing
from featx.errors import UsageError, unknown_name
from featx.export import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import PathLike

GRAPHS = {"onnx": ".onnx", "openvino": ".xml"}
"""Formats of graphs, and what the file ends in that a runtime is given."""

_BESIDE = {"onnx": "{0}.onnx.data", "openvino": "{0}.bin"}


def format_of(to: str | None, output: PathLike | None) -> str | None:
    """Give the format of a graph that is asked for, by name or by an ending; None for none."""
    if to is not None:
        return to if to in GRAPHS else None
    ending = "" if output is None else Path(output).suffix.lower()
    return next((name for name, end in GRAPHS.items() if end == ending), None)


def target_of(to: str, output: PathLike | None, name: str) -> Path:
    """Give the file of a graph of the run ``name``.

    Parameters
    ----------
    output
        The file, by its ending, or a folder; None for the folder where one works.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    UsageError
        If ``output`` ends in another format's name, or something is there already.
    """
    if to not in GRAPHS:
        raise unknown_name("format of a graph", to, GRAPHS)
    path = Path() if output is None else Path(output)
    ending = path.suffix.lower()
    if ending != GRAPHS[to] and not path.is_dir() and _is_format(ending):
        raise UsageError(f"{output} ends in {ending}, and --to {to} writes {GRAPHS[to]}")
    target = path if ending == GRAPHS[to] else path / f"{name}{GRAPHS[to]}"
    for file in (target, _beside(to, target), sidecar_of(target)):
        if file.exists():
            raise UsageError(f"{file.absolute()} exists; name another file with --output")
    return target


def _is_format(ending: str) -> bool:
    return ending in GRAPHS.values() or ending.removeprefix(".") in FORMATS


def _beside(to: str, target: Path) -> Path:
    return target.with_name(_BESIDE[to].format(target.name.removesuffix(target.suffix)))


def sidecar_of(target: Path) -> Path:
    """Give the JSON file that describes a graph."""
    return target.with_name(f"{target.name}.json")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Give the graph's place in a new folder; what is there at the end moves to the target's.

    Nothing is left where the block fails. The graph moves last: where it is, all of it is.
    """
    folder = target.with_name(f".{target.name[:80]}.{uuid4().hex[:12]}.tmp")
    with writing(target):
        folder.mkdir(parents=True)
    try:
        yield folder / target.name
        with writing(target):
            for file in sorted(folder.iterdir(), key=lambda f: f.name == target.name):
                file.replace(target.with_name(file.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
