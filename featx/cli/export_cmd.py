"""``featx export``: features of a data set, or a fitted head, for people without featx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from featx.cli import complete
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.parsing import weights as weights_of
from featx.cli.text import size
from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import JsonObject


@command
def export(
    console: Console,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA|MODEL",
            autocompletion=complete.data_sets_and_runs,
            help="A data set [default: the last extraction's]; for onnx and openvino a run of "
            "`featx fit`: its folder, or its name in runs/.",
        ),
    ] = None,
    to: Annotated[
        Literal["npz", "parquet", "csv", "zarr", "h5ad", "onnx", "openvino"] | None,
        typer.Option(
            "--to",
            help="npz ... h5ad: features of DATA; onnx, openvino: MODEL as a graph [default: as "
            "FILE ends, else npz]. h5ad and onnx are extras.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "--out",
            "-o",
            metavar="FILE",
            help="Where to [default: NAME.FORMAT]; a graph also takes a folder.",
        ),
    ] = None,
    features: o.Features = None,
    cache: o.Cache = None,
    weights: o.ModelWeights = None,
) -> None:
    """Write features or a fitted head for people without featx.

    DATA goes into one file that holds the vectors, the paths and every column of the table. MODEL
    becomes a graph of network and head, which takes images and gives scores; a JSON file beside it
    says how images are prepared and what comes out. The graph is run and compared with featx.
    """
    from featx.deploy.place import format_of

    graph = format_of(to, output)
    if graph is not None:
        _export_graph(console, name, graph, output, features, cache, weights)
    else:
        _export_features(console, name, to, output, features, cache, weights)


def _export_features(
    console: Console,
    name: str | None,
    to: str | None,
    output: str | None,
    features: str | None,
    cache: str | None,
    weights: list[str] | None,
) -> None:
    if weights:
        raise UsageError("--weights is for a fitted head: with --to onnx or openvino")
    from featx.manage import export

    path = export(name, to, output, features=features, cache=cache, say=console.note)
    value: JsonObject = {"output": str(path.absolute()), "format": to, "size_bytes": _bytes(path)}
    console.show(value, [f"written to {path.absolute()} ({size(value['size_bytes'])})"])


def _bytes(path: Any) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _export_graph(
    console: Console,
    name: str | None,
    to: str,
    output: str | None,
    features: str | None,
    cache: str | None,
    weights: list[str] | None,
) -> None:
    if name is None:
        raise UsageError(f"--to {to} writes a fitted head; name a run: `featx runs` lists them")
    if features is not None:
        raise UsageError(
            f"--features chooses what of a data set is written; --to {to} writes a fitted head, "
            "which knows its own: leave it out"
        )
    files = weights_of(weights)
    from featx.deploy import deploy

    done = deploy(name, to, output, weights=files, cache=cache, progress=console.progress)
    value = done.to_json()
    console.show(value, _graph_lines(value))


def _graph_lines(value: JsonObject) -> Iterator[str]:
    parity, latency = value["parity"], value["latency"]
    took, given = value["input"], value["output"]
    yield f"takes images {_shape(took)} {took['dtype']}, gives {given['name']} {_shape(given)}"
    yield f"compared over {parity['images']} {parity['origin']}, run by {parity['runtime']}:"
    same = parity["same_labels"]
    labels = "" if same is None else f"; {same:.1%} of the labels are the same"
    yield (
        f"largest difference {parity['largest_difference']:.1e} of the scores' size "
        f"({parity['largest_difference_to_stored']:.1e} to those of vectors as stored), at most "
        f"{parity['tolerance']:g} is allowed{labels}"
    )
    yield (
        f"one image takes {1e3 * latency['median_s']:.1f} ms, 95 % of {latency['runs']} runs at "
        f"most {1e3 * latency['p95_s']:.1f} ms, on {latency['device']}"
    )
    total = sum(file["size_bytes"] for file in value["files"].values())
    yield f"written to {value['path']} ({size(total)}), described in {value['graph']}.json"


def _shape(value: JsonObject) -> str:
    return f"({', '.join(map(str, value['shape']))})"
