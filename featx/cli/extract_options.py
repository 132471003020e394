"""Options that say what vectors are and how they are computed: of an extraction, and its plan."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

_Option = typer.Option

LabelColumn = Annotated[
    str | None,
    _Option("--label-column", metavar="COL", help="Table: classes of that limit."),
]

# What vectors are.
ImageSize = Annotated[
    str | None,
    _Option(
        "--image-size",
        metavar="N|weights",
        help="Pixels a side, or the weights' own size [default: by the backbone].",
    ),
]
Resize = Annotated[
    Literal["crop", "squash", "pad", "none"] | None,
    _Option("--resize", help="How images get that size [default: as the weights say]."),
]
WeightsKey = Annotated[
    str | None,
    _Option("--weights-key", metavar="KEY", help="Part of the file, for example teacher."),
]
StripPrefix = Annotated[
    str | None,
    _Option("--strip-prefix", metavar="TEXT", help="Off tensor names: module."),
]
Preprocess = Annotated[
    str | None,
    _Option("--preprocess", metavar="NAME", help="Preprocess as these weights do."),
]
Mean = Annotated[
    list[str] | None, _Option("--mean", metavar="R,G,B", help="Of each channel, 0 to 1.")
]
Std = Annotated[
    list[str] | None, _Option("--std", metavar="R,G,B", help="Of each channel, 0 to 1.")
]
Interpolation = Annotated[
    str | None,
    _Option("--interpolation", metavar="NAME", help="bilinear, bicubic, lanczos ..."),
]
Intensity = Annotated[
    str,
    _Option(
        "--intensity",
        metavar="HOW",
        help="More than 8 bits: dtype, fixed:LO:HI or percentile:LO:HI.",
    ),
]
Channels = Annotated[
    str,
    _Option("--channels", metavar="HOW", help="Other than 1, 3 or 4 channels: 0,2,1 or each."),
]
Page = Annotated[str, _Option("--page", metavar="N|all", help="Several pages: which, from 0.")]
Reader = Annotated[
    str,
    _Option("--reader", metavar="MODULE:FUNCTION", help="Turns bytes into an array."),
]
Views = Annotated[
    int, _Option("--views", metavar="N", min=1, help="Of each image: itself, and varied ones.")
]
Augment = Annotated[
    str | None,
    _Option("--augment", metavar="NAME|FILE", help="How: light, faces, cartoons or a TOML file."),
]

# How they are computed and stored.
Engine = Annotated[
    Literal["auto", "torch", "openvino", "inductor"],
    _Option("--engine", help="What runs the network; inductor: torch, compiled for it."),
]
Decoder = Annotated[
    Literal["auto", "pil", "scaled", "nvjpeg"],
    _Option("--decoder", help="pil: whole; scaled: large JPEGs at a fraction; nvjpeg: on CUDA."),
]
Dtype = Annotated[Literal["float16", "float32"], _Option("--dtype", help="How vectors are stored.")]
Compression = Annotated[
    Literal["auto", "zstd", "none"],
    _Option("--compression", help="Of a new store; auto is zstd."),
]
