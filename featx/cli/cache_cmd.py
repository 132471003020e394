"""What a cache needs: ``featx ls``, ``info``, ``verify``, ``rm`` and ``gc``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from featx.cli import complete
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.made import run_lines
from featx.cli.text import count, one_line, size, table
from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import JsonObject

OptionalName = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        autocompletion=complete.data_sets_and_features,
        help="A data set or a store, as `featx ls` shows them.",
    ),
]


@command
def ls(console: Console, cache: o.Cache = None) -> None:
    """List the data sets and the stores of the cache."""
    from featx.manage import ls

    value = ls(cache)
    console.show(value, _ls_lines(value))


def _ls_lines(value: JsonObject) -> Iterator[str]:
    yield f"cache {value['cache']}"
    if not value["data"] and not value["stores"]:
        yield "empty; `featx extract FOLDER --backbone vgg16` fills it"
    if value["data"]:
        yield ""
        rows = [[one["data"], one["rows"], one["source"]] for one in value["data"]]
        yield from table(["data set", "rows", "from"], rows, right=[1])
    if value["stores"]:
        yield ""
        stores = [
            [s["done"], s["undecodable"], s["dim"], size(s["size_bytes"]), s["features"]]
            for s in value["stores"]
        ]
        yield from table(["rows", "failed", "dim", "size", "features"], stores, right=range(4))
    yield from _unreadable_lines(value)


def _unreadable_lines(value: JsonObject) -> Iterator[str]:
    for one in value["unreadable"]:
        yield f"cannot be read: {one['store']}: {one['reason']}"


@command
def info(console: Console, name: OptionalName = None, cache: o.Cache = None) -> None:
    """Describe one store or one data set.

    Without a name: the store of the last extraction.
    """
    from featx.manage import info

    value = info(name, cache)
    console.show(value, _info_lines(value))


def _info_lines(value: JsonObject) -> Iterator[str]:
    width = max(map(len, value))
    for key, item in value.items():
        if key == "columns":
            yield ""
            columns = [[name, c["distinct"], c["empty"]] for name, c in item.items()]
            yield from table(["column", "values", "empty"], columns, right=[1, 2])
        elif key not in {"recipe", "provenance", "runs"}:
            shown = size(item) if key == "size_bytes" else _plain(item)
            yield f"{key.removesuffix('_bytes').replace('_', ' '):{width}}  {shown}"
    if value.get("runs"):
        yield "computed with"
        yield from (f"  {line}" for line in run_lines(value["runs"]))


def _plain(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key} {value}" for key, value in item.items() if value is not None)
    return " x ".join(map(str, item)) if isinstance(item, list) else str(item)


@command
def verify(
    console: Console,
    name: OptionalName = None,
    sample: Annotated[
        int, typer.Option(min=0, help="Also compute N rows of each store again, and compare.")
    ] = 0,
    seed: o.Seed = 0,
    cache: o.Cache = None,
) -> None:
    """Read every stored byte again, and name what is damaged.

    Exits with 1 where something is, or where rows computed again lie out of tolerance. The next
    `featx extract` computes what is damaged again.
    """
    from featx.manage import verify

    value = verify(name, cache, sample=sample, seed=seed, progress=console.progress)
    console.show(value, _verify_lines(value))
    out_of_tolerance = not all(one["passed"] for one in value["drift"])
    if value["damages"] or value["unreadable"] or out_of_tolerance:
        raise typer.Exit(1)


def _verify_lines(value: JsonObject) -> Iterator[str]:
    damages = value["damages"]
    read = f"{count(value['stores'], 'store')}, {count(value['blocks'], 'block')}"
    yield f"read {read} in {value['cache']}"
    for one in damages:
        yield f"damaged: {one['features']}, {one['array']} block {one['block']}: {one['reason']}"
        yield f"  {one['file']}"
    yield from _unreadable_lines(value)
    for one in value["drift"]:
        yield (
            f"computed again: {count(one['rows'], 'row')} of {one['features']}: cosine with the "
            f"stored ones at least {one['min_cosine']:.6f}, relative error "
            f"{one['relative_error']:.2g}, {'within' if one['passed'] else 'OUT OF'} tolerance"
        )
    if damages:
        yield f"{count(len(damages), 'chunk')} damaged; `featx extract` of the same images repairs"
    elif not value["unreadable"]:
        yield "nothing is damaged"


@command
def rm(
    console: Console,
    name: o.AnyName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    cache: o.Cache = None,
) -> None:
    """Remove one store or one data set.

    The vectors of a data set stay in their stores.
    """
    from featx import catalog
    from featx.manage import locate, remove

    path, kind = locate(catalog.cache_dir(cache), name)
    if not yes and not _agreed(console, kind, str(path.absolute())):
        console.fail("not confirmed: nothing was removed", 1, "Abort")
        raise typer.Exit(1)
    value = remove(name, cache)
    console.show(value, [f"removed {value['removed']} ({size(value['size_bytes'])})"])


def _agreed(console: Console, kind: str, path: str) -> bool:
    what = "data set" if kind == "data" else "store"
    if not console.interactive:
        raise UsageError(
            f"`featx rm` asks before it removes the {what} {path}, and there is no terminal to "
            "ask on; say --yes"
        )
    try:
        return typer.confirm(f"Remove the {what} {one_line(path)}?", err=True)
    except typer.Abort:
        return False


@command
def gc(console: Console, cache: o.Cache = None) -> None:
    """Tidy the cache: join small blocks, drop the bytes of superseded rows."""
    from featx.manage import collect

    value = collect(cache, progress=console.progress)
    console.show(value, _gc_lines(value))


def _gc_lines(value: JsonObject) -> Iterator[str]:
    before, after = value["before_bytes"], value["after_bytes"]
    yield f"{count(value['stores'], 'store')} in {value['cache']}"
    freed = max(before - after, 0) + value["products_bytes"]
    yield f"{size(before)} before, {size(after)} now, {size(freed)} freed"
    yield from _unreadable_lines(value)
