"""Run a written graph as somebody without featx would, and time it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from featx._types import Array, Float32s, Float64s
from featx.errors import DeviceError
from featx.forward.devices import processor
from featx.forward.openvino_engine import openvino, version
from featx.forward.write_graph import INPUT

BATCH = 8
WARM_UP = 5


@dataclass(frozen=True)
class Runner:
    """A written graph, loaded by a runtime on this machine's processor in fp32.

    Attributes
    ----------
    name
        The runtime's, with its version.
    run
        Gives what comes out for (B, H, W, 3) images.
    """

    name: str
    run: Callable[[Array], Float32s]

    @property
    def device(self) -> str:
        """What it runs on."""
        return processor()

    def batches(self, images: Array) -> Float32s:
        """Give what comes out for (n, H, W, 3) images, 8 at a time."""
        starts = range(0, len(images), BATCH)
        with _explaining(
            f"what was written does not take {BATCH} images at once (a network of one's own must "
            "take the size of a batch from x.shape[0])"
        ):
            return np.concatenate([self.run(images[start : start + BATCH]) for start in starts])

    def seconds(self, image: Array, repeats: int) -> Float64s:
        """Give (repeats,) seconds that one (1, H, W, 3) image takes, after a warm-up."""
        taken = np.empty(repeats + WARM_UP)
        for i in range(len(taken)):
            start = time.perf_counter()
            self.run(image)
            taken[i] = time.perf_counter() - start
        return taken[WARM_UP:]


def load_graph(path: Path) -> Runner:
    """Load a graph: an ONNX file in onnxruntime where it is installed, all else in OpenVINO.

    Raises
    ------
    DeviceError
        If the runtime does not take it.
    """
    by_onnxruntime = path.suffix == ".onnx" and find_spec("onnxruntime") is not None
    with _explaining(f"{path.name} was written, but does not run here"):
        return _in_onnxruntime(path) if by_onnxruntime else _in_openvino(path)


@contextmanager
def _explaining(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each runtime raises its own, and none is narrower
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DeviceError(f"{what}: {lines[-1]}") from error


def _in_onnxruntime(path: Path) -> Runner:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: Array) -> Float32s:
        [value] = session.run(None, {INPUT: images})
        return np.asarray(value)

    return Runner(f"onnxruntime {onnxruntime.__version__}", run)


def _in_openvino(path: Path) -> Runner:
    core: Any = openvino().Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(str(path)), "CPU", hints)

    def run(images: Array) -> Float32s:
        return np.array(compiled(images)[0])

    return Runner(f"OpenVINO {version()}", run)
