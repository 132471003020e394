"""The options that commands share, each declared once."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import typer

from featx.cli import complete

_Argument = typer.Argument
_Option = typer.Option
Words: TypeAlias = list[str] | None

# Where things lie.
Cache = Annotated[
    str | None,
    _Option("--cache", envvar="FEATX_CACHE", metavar="DIR", help="Cache folder [default: cache]."),
]
Out = Annotated[str, _Option("--out", metavar="DIR", help="Folder of all runs.")]

# Which images.
Data = Annotated[
    Words,
    _Argument(
        metavar="DATA",
        help="Folder of images or of class folders; CSV, TSV or Parquet table; .npz or .npy array. "
        "Without it: the demo data set.",
    ),
]
PathColumn = Annotated[
    str | None, _Option("--path-column", metavar="COL", help="Table: column of the image paths.")
]
Root = Annotated[
    str | None,
    _Option("--root", metavar="DIR", help="Table: folder of its paths [default: the table's own]."),
]
Quality = Annotated[
    bool,
    _Option("--quality", help="Score as image-quality assessment does: PLCC, RMSE after mappings."),
]
Seed = Annotated[
    int, _Option("--seed", min=0, max=2**32 - 1, help="Seed of every choice by chance.")
]

# How they are embedded.
Backbones = Annotated[
    list[str],
    _Option(
        "--backbone",
        metavar="NAME",
        autocompletion=complete.backbones,
        help="vgg16, resnet50, timm/NAME, module:callable ...; repeats or takes commas.",
    ),
]
Layers = Annotated[
    Words, _Option("--layer", metavar="NODE", help="Where to cut; repeats or takes commas.")
]
Pools = Annotated[
    Words,
    _Option(
        "--pool",
        metavar="NAME",
        autocompletion=complete.poolings,
        help="flatten, avg, max, std, gem, cls, tokens-avg; repeats or takes commas.",
    ),
]
Device = Annotated[
    str, _Option("--device", help="auto, cpu, cuda, cuda:1, mps: where the network runs.")
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    _Option("--precision", help="Arithmetic; fp32 with --decoder pil is the reference."),
]
BatchSize = Annotated[
    int | None, _Option("--batch-size", min=1, help="Images a batch [default: by the device].")
]
Weights = Annotated[
    str | None,
    _Option(
        "--weights",
        metavar="FILE",
        help="A .pth or .safetensors file, a name of torchvision's enum, or the word random.",
    ),
]

# What a bad image does.
OnError = Annotated[
    Literal["record", "raise"],
    _Option("--on-error", help="An image that cannot be read: record it and go on, or stop."),
]
MaxFailed = Annotated[
    str,
    _Option("--max-failed", metavar="N|N%", help="Exit with 3 when more images failed than this."),
]

# Which cached things.
DataName = Annotated[
    str | None,
    _Option(
        "--data",
        metavar="NAME",
        autocompletion=complete.data_sets,
        help="Data set [default: the last extraction's].",
    ),
]
Features = Annotated[
    str | None,
    _Option(
        "--features",
        metavar="ID",
        autocompletion=complete.features,
        help="Store, for example vgg16:features:flatten@224 [default: the last extraction's].",
    ),
]
AnyName = Annotated[
    str,
    _Argument(
        metavar="NAME",
        autocompletion=complete.data_sets_and_features,
        help="A data set or a store, as `featx ls` shows them.",
    ),
]
