"""``featx heads`` and ``featx backbones``: what there is to choose from."""

from __future__ import annotations

from fnmatch import fnmatch
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featx._words import count
from featx.cli import complete
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.jsonable import jsonable
from featx.cli.text import table
from featx.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from featx._types import JsonObject

_INDENT = " " * 8


@command
def heads(console: Console) -> None:
    """List the heads: what they fit, and their default grids."""
    from featx.heads import HEADS

    values = [
        {
            "head": head.name,
            "description": head.description,
            "tasks": head.tasks,
            "grid": head.grid,
            "params": head.params,
        }
        for head in HEADS.values()
    ]
    console.show({"heads": values}, _head_lines(values))


def _head_lines(values: Sequence[JsonObject]) -> Iterator[str]:
    for value in values:
        tasks = ", ".join(value["tasks"])
        yield f"{value['head']:8}{tasks:28}{_grid(value['grid'])}"
        yield from wrap(value["description"], 70, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _grid(grid: Mapping[str, Sequence[Any]]) -> str:
    parts = [f"{k} {v[0]:g} to {v[-1]:g} ({count(len(v), 'value')})" for k, v in grid.items()]
    return ", ".join(parts)


@command
def backbones(
    console: Console,
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="PATTERN",
            autocompletion=complete.backbones,
            help="Which names, for example 'resnet*' or 'timm/*clip*'.",
        ),
    ] = "*",
) -> None:
    """List the backbones: default layer, length of the vector, weights."""
    from featx.backbones import list_backbones

    in_timm = pattern.startswith("timm/")
    rows = list_backbones(pattern) if in_timm else list_backbones()
    values = [jsonable(row) for row in rows if in_timm or fnmatch(row.name, pattern)]
    if not values:
        raise NotFoundError(f"no backbone is called {pattern!r}; `featx backbones` lists them all")
    console.show({"backbones": values}, _backbone_lines(values))


def _backbone_lines(values: Sequence[JsonObject]) -> Iterator[str]:
    rows = [
        [value["name"], value["dim"] or "-", value["layer"] or "-", _weights(value["weights"])]
        for value in values
    ]
    yield from table(["backbone", "dim", "layer", "weights"], rows, right=[1])
    yield ""
    yield "also: any other timm model as timm/NAME (`featx backbones 'timm/*'`), and your own as"
    yield "MODULE:CALLABLE; --layer, --pool and --image-size change the layer and the dim"


def _weights(names: Sequence[str]) -> str:
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{others}" if names else "-"
