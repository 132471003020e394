"""``featx inspect``: look inside a backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from featx.cli import complete
from featx.cli import extract_options as e
from featx.cli import options as o
from featx.cli.command import command
from featx.cli.console import Console
from featx.cli.parsing import image_size, numbers, one_or_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import JsonObject
    from featx.inspection import Inspection

_FILTERS = 40
"""Columns that a preview of filters is enlarged to at most."""
_MAPS = 3
"""Maps side by side in a preview."""


@command
def inspect(
    console: Console,
    image: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="An image or several, or a folder of them."),
    ],
    *,
    backbone: Annotated[
        str,
        typer.Option(
            "--backbone",
            metavar="NAME",
            autocompletion=complete.backbones,
            help="vgg16, resnet50, timm/NAME, module:callable ...",
        ),
    ],
    layer: Annotated[
        str | None,
        typer.Option("--layer", metavar="NODE", help="A convolution [default: the first one]."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Classes to name.")] = 5,
    maps: Annotated[
        int, typer.Option("--maps", min=1, metavar="N", help="Activation maps to show: the first.")
    ] = 16,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder for the PNG files.")
    ] = "inspected",
    preview: Annotated[
        bool,
        typer.Option("--preview/--no-preview", help="Small pictures in a terminal with colours."),
    ] = True,
    size: e.ImageSize = None,
    resize: e.Resize = None,
    device: Annotated[
        str, typer.Option("--device", help="cpu, cuda, cuda:1, mps, auto: where it runs.")
    ] = "cpu",
    weights: o.Weights = None,
    weights_key: e.WeightsKey = None,
    strip_prefix: e.StripPrefix = None,
    preprocess: e.Preprocess = None,
    mean: e.Mean = None,
    std: e.Std = None,
    interpolation: e.Interpolation = None,
    intensity: e.Intensity = "",
    channels: e.Channels = "",
    page: e.Page = "",
    reader: e.Reader = "",
    seed: o.Seed = 0,
) -> None:
    """Look inside a backbone: classes, filters of a convolution, and their maps.

    Names the most probable classes of each image, and draws grids as PNG files.
    """
    pixels, means, stds = image_size(size), numbers("--mean", mean), numbers("--std", std)
    from featx.inspection import inspect

    found = inspect(
        one_or_all(image),
        backbone,
        layer,
        top=top,
        maps=maps,
        out=output,
        device=device,
        image_size=pixels,
        resize=resize,
        weights=weights,
        weights_key=weights_key,
        strip_prefix=strip_prefix,
        preprocess=preprocess,
        mean=means,
        std=stds,
        interpolation=interpolation,
        intensity=intensity,
        channels=channels,
        page=page,
        reader=reader,
        seed=seed,
        progress=console.progress,
    )
    from featx.inspection.words import lines

    for note in found.notes:
        console.note(note)
    value = found.to_json()
    console.show(value, lines(value, console.block))
    if preview:
        _draw(console, found)
    console.tell(files(value))


def _draw(console: Console, found: Inspection) -> None:
    """Preview the filters, and a few maps of the first image: more would be too small to see."""
    console.draw([found.filter_grid().draw(_FILTERS, gap=1)], f"filters of {found.layer}")
    first = found.images[0]
    for one in first.map_grids():
        title = f"{first.path}: the first maps {one.shows} the non-linearity"
        console.draw(
            list(one.tiles[:_MAPS]), title if found.nonlinearity else f"{first.path}: maps"
        )


def files(value: JsonObject) -> Iterator[str]:
    """Name the files that were written, and say what their grey levels stand for."""
    yield ""
    for file in value["files"]:
        levels = f"black {file['black']:.3g}, white {file['white']:.3g}"
        yield f"{file['path']}: {file['shows']}, {levels}"
