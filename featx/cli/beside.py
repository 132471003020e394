"""A command's result, and the reports that are written beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featx.cli.jsonable import jsonable
from featx.cli.report_cmd import make, where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from featx.cli.console import Console


def wanted(
    report: bool, runs: Any = None, *, save_plots: str | None = None, **options: Any
) -> list[dict[str, Any]]:
    """Give what to ask `featx.report` for: nothing, or one report.

    A folder for the figures is a wish for the report that shows them.
    """
    asked = {"runs": runs, "save_plots": save_plots, **options}
    return [asked] if report or save_plots is not None else []


def show(
    console: Console,
    value: Any,
    lines: Iterable[str],
    asked: Sequence[dict[str, Any]],
    put: Callable[[Any, list[str]], Any] | None = None,
) -> None:
    """Print a result and write its reports, whose paths stand in the JSON object, too.

    People see the result first. The JSON object waits for the reports, and is printed also where
    one of them fails: the result took longer.

    Parameters
    ----------
    asked
        The options of each report.
    put
        Gives the value with the paths, as many as were written; without it the only one is its
        ``report``.
    """
    console.tell(lines)
    paths: list[str] = []
    try:
        for options in asked:
            made = make(console, **options)
            paths.append(str(made.path))
            console.tell(where(made))
    finally:
        if console.as_json:
            console.show((put or _with_report)(jsonable(value), paths), ())


def _with_report(value: Any, paths: list[str]) -> Any:
    return value | {"report": paths[0]} if paths else value
