"""The JSON file beside a graph: all that its user needs to know."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from typing import TYPE_CHECKING

from featx.deploy.sample import input_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from featx._types import JsonObject
    from featx.heads.chain import Chain
    from featx.model import Model
    from featx.recipe import Preprocess

SCHEMA_VERSION = 1
_PACKAGES = ("featx", "torch", "torchvision", "scikit-learn", "numpy", "pillow")
_WRITERS = {"onnx": ("onnx", "onnxscript"), "openvino": ("openvino",)}
_MEANINGS = {
    "scores": "decision values: the class with the highest one is predicted",
    "probabilities": "probabilities: the class with the highest one is predicted",
    "prediction": "the predicted value of the target",
}
_RESIZES = {
    "crop": (
        "resize: the shorter side to {resize_size}, the longer one in proportion, rounded down",
        "put what is smaller than {width} x {height} on black, centred",
        "crop {width} x {height} from the centre: at round(rest / 2) of each side, a half to even",
    ),
    "squash": ("resize to {width} x {height} pixels, proportions lost",),
    "pad": (
        "resize by one factor so that all of it fits into {width} x {height} pixels, sides rounded",
        "put it into the centre of {width} x {height} pixels of the colour `mean` of `features`",
    ),
    "none": ("the image must be {width} x {height} pixels already",),
}


def describe(model: Model, chain: Chain, to: str, graph: Path, measured: JsonObject) -> JsonObject:
    """Say what a written graph takes and gives, and what it was made of.

    Parameters
    ----------
    graph
        The file; what belongs to it lies beside it.
    measured
        Parity and latency.
    """
    info = model.info
    return {
        "schema": SCHEMA_VERSION,
        "format": to,
        "graph": graph.name,
        "files": {file.name: _identity(file) for file in sorted(graph.parent.iterdir())},
        "arithmetic": "fp32: weights and values are float32, whatever featx computes in here",
        "input": _input(info.recipe.preprocess),
        "prepare": _prepare(info.recipe.preprocess),
        "output": _output(chain, len(info.classes)),
        "classes": list(info.classes),
        "run": model.path.name,
        "head": info.head,
        "task": info.task,
        "target": info.target,
        "lower_is_better": info.lower_is_better,
        "data": info.data,
        "manifest": info.manifest,
        "features": [
            {
                "label": part.recipe.label,
                "hash": part.recipe.hash,
                "mean": list(part.recipe.preprocess.mean),
                "std": list(part.recipe.preprocess.std),
                "recipe": part.recipe.to_json(),
            }
            for part in info.parts
        ],
        "fitted_with": info.versions,
        "written_with": _versions((*_PACKAGES, *_WRITERS[to])),
        **measured,
    }


def _identity(file: Path) -> JsonObject:
    found: JsonObject = {"size_bytes": file.stat().st_size}
    for name in ("sha256", "blake2b"):
        with file.open("rb") as data:
            found[name] = hashlib.file_digest(data, name).hexdigest()
    return found


def _input(pre: Preprocess) -> JsonObject:
    dtype = input_dtype(pre)
    return {
        "name": "images",
        "dtype": dtype,
        "shape": ["batch", *pre.image_size, 3],
        "axes": "batch, height, width, channels",
        "channels": "RGB",
        "range": [0, 255] if dtype == "uint8" else [0, 1],
        "normalisation": "inside the graph: (x - mean) / std of each of `features`, for values of "
        "0 to 1; give images as they are",
    }


def _prepare(pre: Preprocess) -> JsonObject:
    """Say how an image file becomes what the graph takes, as fields and in words."""
    height, width = pre.image_size
    numbers = {"height": height, "width": width, "resize_size": pre.resize_size}
    return {
        "resize": pre.resize,
        "resize_size": pre.resize_size if pre.resize == "crop" else None,
        "image_size": [height, width],
        "interpolation": pre.interpolation,
        "antialias": pre.interpolation != "nearest",
        "library": "Pillow: Image.resize((width, height), Image.Resampling."
        f"{pre.interpolation.upper()}), whose filters widen when they shrink an image",
        "intensity": pre.intensity,
        "channels": pre.channels,
        "page": pre.page,
        "reader": pre.reader,
        "steps": [*_decoding(pre), *(step.format(**numbers) for step in _RESIZES[pre.resize])],
    }


def _decoding(pre: Preprocess) -> Sequence[str]:
    turned = "turn the image as its EXIF orientation says, put it on white where it is transparent"
    if not pre.intensity:
        return (f"{turned}, convert it to RGB of 8 bits",)
    return (
        f"scale values to 0..1 as {pre.intensity} says, clipped; a single channel three times",
        "images of 8 bits under intensity dtype are resized as such, then divided by 255",
    )


def _output(chain: Chain, k: int) -> JsonObject:
    columns = {"columns": "one for each of `classes`, in that order"} if k else {}
    return {
        "name": chain.meaning,
        "dtype": "float32",
        "shape": ["batch", k] if k else ["batch"],
        "meaning": _MEANINGS[chain.meaning],
        **columns,
    }


def _versions(packages: Sequence[str]) -> dict[str, str]:
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **versions}
