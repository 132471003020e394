"""``featx heads`` and ``featx backbones``: what there is to choose from."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from featx.cli.command import command
from featx.cli.console import Console

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
    if not grid:
        return "nothing searched"
    parts = [f"{k} {v[0]:g} to {v[-1]:g} ({len(v)} values)" for k, v in grid.items()]
    return ", ".join(parts)
