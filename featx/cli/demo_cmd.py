"""``featx demo``: the main job from photographs to an honest number, in one command."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.extract_cmd import failure_lines, store_lines
from featx.cli.fit_cmd import scored
from featx.cli.jsonable import jsonable
from featx.cli.report_cmd import Wanted, look_at, make
from featx.cli.text import count, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._objects import Place
    from featx._types import JsonObject

FITS = (("svm", "defective"), ("ridge", "defect_probability"))
"""Head and target: is a cell defective, and how probable is it that it is."""


@command
def demo(
    console: Console, report: Wanted = False, cache: o.Cache = None, out: o.Out = "runs"
) -> None:
    """Try the main job on photographs of solar cells.

    Embeds 2,624 photographs with a pretrained network, then fits a classifier and a regression on
    them, and says how good they are. Nothing is downloaded; run again, nothing is computed.
    """
    from featx.catalog import cache_dir
    from featx.demo import CITATIONS, LICENSE

    console.tell(_introduction(CITATIONS, LICENSE))
    folder = cache_dir(cache)
    extraction = _embed(console, folder)
    records = [_fit(console, extraction, step, folder, out) for step in FITS]
    value: JsonObject = {
        "license": LICENSE,
        "citations": CITATIONS,
        "extract": extraction,
        "fits": records,
    }
    if report:
        value |= _report(console, records[0], folder, out)
    console.show(value, _end(value, folder, Path(out), look_at(records[0], cache)))


def _embed(console: Console, cache: Place) -> JsonObject:
    from featx.demo import BACKBONE, NAME, demo_table, demo_weights
    from featx.extraction import extract

    table, weights = demo_table(cache), demo_weights(cache)
    _announce(console, "extract", str(table), "--backbone", BACKBONE, "--weights", str(weights))
    [done] = extract(
        table,
        backbone=BACKBONE,
        weights=str(weights),
        name=NAME,
        cache=str(cache),
        progress=console.progress,
    )
    value: JsonObject = jsonable(done)
    console.tell(_extraction_lines(value))
    return value


def _fit(
    console: Console, extraction: JsonObject, step: tuple[str, str], cache: Place, out: str
) -> JsonObject:
    from featx.fitting import fit

    head, target = step
    _announce(console, "fit", "--head", head, "--target", target)
    record = fit(
        extraction["features"],
        head,
        data=extraction["data"],
        target=target,
        out=out,
        cache=str(cache),
        progress=console.progress,
    ).record
    console.tell(scored([record], console.plus_minus))
    return record


def _report(console: Console, record: JsonObject, cache: Place, out: str) -> JsonObject:
    _announce(console, "report", record["name"])
    return {"report": str(make(console, record["path"], out=out, cache=cache).path)}


def _announce(console: Console, *words: str) -> None:
    """Show the command that does the step that follows."""
    console.tell(["", f"$ {literal('featx', *words)}"])


def _introduction(citations: tuple[str, ...], license_: str) -> Iterator[str]:
    yield "2,624 photographs of solar cells by electroluminescence (elpv-dataset), with the"
    yield "probability that each cell is defective; a network pretrained on ImageNet."
    yield f"Images: {license_}."
    yield "To be cited:"
    for citation in citations:
        yield from wrap(citation, 78, initial_indent="  ", subsequent_indent="    ")


def _extraction_lines(value: JsonObject) -> Iterator[str]:
    yield from store_lines(value)
    if value["computed"] + value["derived"] == 0:
        yield f"  nothing was computed: the cache had {count(value['rows'], 'vector')} already"
    yield from failure_lines(value["failed"])


def _end(value: JsonObject, cache: Place, out: Path, look: str) -> Iterator[str]:
    first: dict[str, Any] = value["fits"][0]
    yield ""
    yield "Where everything lies:"
    yield f"  vectors  {cache.absolute()} (`featx ls`, `featx info`)"
    yield f"  results  {out.absolute()} (`featx runs`; each with a card.md)"
    if "report" in value:
        yield f"  report   {value['report']} (open it in a browser)"
    yield "Try next:"
    yield f"  {literal('featx', 'fit', '--head', 'logreg', '--target', first['target'])}"
    yield "  featx fit --head svm --target cell_type"
    if "report" not in value:
        yield f"  {look}"
    yield f"  {literal('featx', 'predict', first['path'])} FOLDER"
    yield "  featx extract FOLDER --backbone vgg16"
