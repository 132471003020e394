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
    _Option(
        "--cache",
        envvar="FEATX_CACHE",
        metavar="DIR",
        help="Cache folder, or s3://BUCKET/PREFIX (gs://, az://) [default: cache].",
    ),
]
Out = Annotated[str, _Option("--out", metavar="DIR", help="Folder of all runs.")]

# Which images.
DATA_HELP = (
    "Folder of images or of class folders, here or in a bucket (s3://, gs://, az://); CSV, TSV or "
    "Parquet table of paths or addresses; tar shards; .npz or .npy array."
)
Data = Annotated[
    Words,
    _Argument(
        metavar="DATA",
        help=f"{DATA_HELP} Without it: the demo data set.",
    ),
]
PathColumn = Annotated[
    str | None, _Option("--path-column", metavar="COL", help="Table: column of the image paths.")
]
Root = Annotated[
    str | None,
    _Option(
        "--root", metavar="DIR", help="Table: folder or address of its paths [default: its own]."
    ),
]
Limit = Annotated[
    int | None, _Option("--limit", min=1, metavar="N", help="The first N images alone.")
]
LimitPerClass = Annotated[
    int | None, _Option("--limit-per-class", min=1, metavar="N", help="N images a class.")
]
ImageSize = Annotated[
    str | None, _Option("--image-size", metavar="N|weights", help="Pixels a side.")
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
    str, _Option("--device", help="auto, cpu, cuda, cuda:1, cuda:all, mps: where it runs.")
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    _Option("--precision", help="Arithmetic; fp32 is the reference."),
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
ModelWeights = Annotated[
    Words,
    _Option(
        "--weights",
        metavar="[NAME=]FILE",
        help="Where the weights lie now; of several backbones: vgg16=FILE, repeats.",
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

Dask = Annotated[
    str | None,
    _Option(
        "--dask",
        metavar="local:N|tcp://HOST:PORT",
        help="Workers that compute, of a Dask cluster [default: none, this process].",
    ),
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

# How a head is fitted. ``Maybe...``: where a command takes the default from elsewhere.
_CV = _Option("--cv", metavar="K|random:N:SHARE", help="Folds, or random splits.")
_REPEATS = _Option("--repeats", min=1, metavar="N", help="Draw the folds anew N times.")
_SCALE = _Option("--scale", help="Scale each feature, or each row to length 1.")
_SEED = _Option("--seed", min=0, max=2**32 - 1, help="Seed of every choice by chance.")
_N_JOBS = _Option("--n-jobs", metavar="N", help="Threads or processes; -1 for one a core.")
_Scale = Literal["none", "standard", "l2"]

Head = Annotated[
    str,
    _Option(
        "--head",
        metavar="NAME",
        autocompletion=complete.heads,
        help="svm, svr, ridge, logreg, rbf, mlp, nn or knn.",
    ),
]
Kinds = Annotated[
    Words,
    _Option(
        "--features",
        metavar="ID",
        autocompletion=complete.features,
        help="Store, for example vgg16:features:flatten@224; repeats or takes commas: all side by "
        "side [default: the last extraction's].",
    ),
]
Mix = Annotated[
    Words,
    _Option(
        "--mix",
        metavar="equal|search|W:W",
        help="Weights of several features; repeats or takes commas: chosen like parameters "
        "[default: equal].",
    ),
]
Target = Annotated[
    str | None, _Option("--target", metavar="COL", help="Column to predict [default: label].")
]
Group = Annotated[
    str | None,
    _Option("--group", metavar="COL", help="Rows that share a value stay in one fold."),
]
Split = Annotated[
    str | None,
    _Option("--split", metavar="COL", help="Tune in its train rows, score its test rows once."),
]
TestSize = Annotated[
    float | None,
    _Option("--test-size", metavar="SHARE", help="One random split instead of folds."),
]
TrainPerClass = Annotated[
    int | None,
    _Option("--train-per-class", min=1, metavar="N", help="Train on N rows a class; test on all."),
]
Cv = Annotated[str, _CV]
MaybeCv = Annotated[str | None, _CV]
Repeats = Annotated[int, _REPEATS]
MaybeRepeats = Annotated[int | None, _REPEATS]
Task = Annotated[
    Literal["classification", "regression"] | None,
    _Option("--task", help="What the target is [default: by its values]."),
]
Grid = Annotated[
    Words,
    _Option(
        "--grid",
        metavar="NAME=VALUES",
        help="Search C=0.01,0.1,1 or C=1e-6:1:7 (7 values, evenly in the logarithm) "
        "[default: by the head].",
    ),
]
Search = Annotated[
    bool, _Option("--search/--no-search", help="Search the grid, or take the head as it is.")
]
Fixed = Annotated[
    Words, _Option("--set", metavar="NAME=VALUE", help="Set a parameter, not searched: C=1.")
]
ClassWeight = Annotated[
    Literal["balanced"] | None,
    _Option("--class-weight", help="Weight classes by the inverse of their frequency."),
]
Scale = Annotated[_Scale, _SCALE]
MaybeScale = Annotated[_Scale | None, _SCALE]
Scoring = Annotated[
    str | None,
    _Option(
        "--scoring", metavar="NAME", help="What chooses: any scikit-learn scorer, plcc, srocc."
    ),
]
Calibrate = Annotated[
    Literal["sigmoid", "isotonic", "temperature"] | None,
    _Option("--calibrate", help="Give svm and ridge probabilities."),
]
Missing = Annotated[
    Words, _Option("--missing", metavar="VALUES", help="Targets that mean unknown: NA,-1.")
]
Quality = Annotated[
    bool,
    _Option("--quality", help="Score as image-quality assessment does: PLCC, RMSE after mappings."),
]
Seed = Annotated[int, _SEED]
MaybeSeed = Annotated[int | None, _SEED]
NJobs = Annotated[int, _N_JOBS]
MaybeNJobs = Annotated[int | None, _N_JOBS]
ProductsDevice = Annotated[
    str, _Option("--device", metavar="NAME", help="cpu or cuda: for inner products and networks.")
]
