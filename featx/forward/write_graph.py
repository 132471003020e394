"""Write a graph for other runtimes: ONNX, or OpenVINO's own files.

Why these two, and why torch's newer exporter: docs/decisions/export-to-graphs.md.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from featx._quiet import quiet
from featx._types import Array
from featx.errors import MissingDependencyError, UsageError
from featx.forward.base import UnrunnableError, first_line
from featx.forward.openvino_engine import openvino

INPUT = "images"
_PROTOBUF_BYTES = 1_900_000_000
"""Above this, weights lie beside an ONNX file: protobuf ends at 2 GiB."""


@dataclass(frozen=True)
class Writer:
    """A format of graphs.

    Attributes
    ----------
    ending
        Of the file that a runtime is given.
    check
        Raises `MissingDependencyError` where a package is missing.
    write
        Takes a graph, an example (2, H, W, 3), the file and the name of its output.
    """

    ending: str
    check: Callable[[], None]
    write: Callable[[nn.Module, torch.Tensor, Path, str], None]


def write_graph(graph: nn.Module, images: Array, to: str, path: Path, output: str) -> None:
    """Write ``graph`` to ``path``, and what belongs to it beside it, its batch size open.

    Parameters
    ----------
    graph
        Takes (B, H, W, 3) images, gives one tensor.
    images
        (n, H, W, 3) of the dtype that it is to take.
    to
        A format of `WRITERS`.
    output
        What its output is called.

    Raises
    ------
    UsageError
        If the network cannot be converted; says why in one line.
    """
    example = torch.from_numpy(np.zeros((2, *images.shape[1:]), images.dtype))
    try:
        with torch.no_grad(), quiet(""):  # of converters, about what they are made of
            WRITERS[to].write(graph, example, path, output)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever a network's own code raises when it is traced
        others = " or ".join(f"--to {name}" for name in WRITERS if name != to)
        raise UsageError(
            f"this network cannot be written as {to} ({first_line(error)}); try {others}"
        ) from error


def _check_onnx() -> None:
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"--to onnx needs {' and '.join(missing)}: pip install 'featx[onnx]'; or write "
            "OpenVINO's format with --to openvino"
        )


def _check_openvino() -> None:
    try:
        openvino()
    except UnrunnableError as error:
        raise MissingDependencyError(f"--to openvino: {error}") from error


def _write_onnx(graph: nn.Module, example: torch.Tensor, path: Path, output: str) -> None:
    n_bytes = sum(t.numel() * t.element_size() for t in graph.state_dict().values())
    nowhere = io.StringIO()  # where an export fails, torch prints the whole graph
    with redirect_stdout(nowhere), redirect_stderr(nowhere):
        torch.onnx.export(
            graph,
            (example,),
            str(path),
            input_names=[INPUT],
            output_names=[output],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=n_bytes > _PROTOBUF_BYTES,
            verbose=False,
        )


def _write_openvino(graph: nn.Module, example: torch.Tensor, path: Path, output: str) -> None:
    model = openvino().convert_model(graph, example_input=example)
    model.reshape([-1, *example.shape[1:]])
    model.input(0).get_tensor().set_names({INPUT})
    model.output(0).get_tensor().set_names({output})
    openvino().save_model(model, str(path), compress_to_fp16=False)


WRITERS = {
    "onnx": Writer(".onnx", _check_onnx, _write_onnx),
    "openvino": Writer(".xml", _check_openvino, _write_openvino),
}
