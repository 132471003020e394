"""What the shell offers when a name is half typed: nothing here loads a model or a store."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from featx._objects import Place

HEADS = ("svm", "svr", "ridge", "logreg", "rbf", "mlp", "nn", "knn")
POOLINGS = ("flatten", "avg", "max", "std", "gem", "cls", "tokens-avg")
BACKBONES = (
    *("vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "inception_v3", "googlenet"),
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "regnet_y_128gf"),
    *("squeezenet1_0", "squeezenet1_1", "alexnet", "densenet121", "densenet169", "densenet201"),
    *("efficientnet_b0", "efficientnet_b1", "efficientnet_v2_s", "convnext_tiny", "convnext_base"),
    *("regnet_y_400mf", "regnet_y_8gf", "shufflenet_v2_x1_0", "mnasnet1_0", "wide_resnet50_2"),
    *("vit_b_16", "vit_b_32", "vit_l_16", "swin_t", "swin_v2_t", "maxvit_t"),
    *("timm/vit_base_patch16_clip_224.openai", "timm/vit_small_patch14_dinov2.lvd142m"),
    "timm/tf_efficientnet_lite0",
)


def backbones(incomplete: str) -> list[str]:
    """Offer names of backbones, also after a comma."""
    return _after_comma(BACKBONES, incomplete)


def poolings(incomplete: str) -> list[str]:
    """Offer names of poolings, also after a comma."""
    return _after_comma(POOLINGS, incomplete)


def heads(incomplete: str) -> list[str]:
    """Offer names of heads."""
    return _after_comma(HEADS, incomplete)


def data_sets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the data sets of the cache."""
    folder = _cache(ctx) / "datasets"
    return _after_comma(sorted(p.parent.name for p in folder.glob("*/head.json")), incomplete)


def features(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the labels of the cache's stores."""
    return _after_comma(_labels(_cache(ctx)), incomplete)


def data_sets_and_features(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer both."""
    return [*data_sets(ctx, incomplete), *features(ctx, incomplete)]


def data_sets_and_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer both."""
    return [*data_sets(ctx, incomplete), *runs(ctx, incomplete)]


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the fitted heads of the folder of runs."""
    folder = Path(ctx.params.get("out") or "runs")
    return _after_comma(sorted(str(p.parent) for p in folder.glob("*/result.json")), incomplete)


def _cache(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("cache") or os.environ.get("FEATX_CACHE") or "cache")


def _labels(cache: Place) -> list[str]:
    from featx.recipe import Recipe

    found = set()
    for file in cache.glob("*.zarr/zarr.json"):
        try:
            header = json.loads(file.read_text(encoding="utf-8"))["attributes"]["featx"]
            found.add(Recipe.from_json(header["recipe"]).label)
        except Exception:  # noqa: S112  # a completion never interrupts typing
            continue  # a shell in the middle of a word is no place for an error
    return sorted(found)


def _after_comma(known: Iterable[str], incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in known if name.startswith(last)]
