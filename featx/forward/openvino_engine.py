"""OpenVINO runs the backbone: on processors several times as fast as torch.

The network, its normalisation and the change of layout are converted into one graph of OpenVINO's
that takes images as they are decoded, and compiled for one batch size. Each core, or a few of them,
runs batches of its own (OpenVINO's throughput hint), so that no core waits for another after every
layer, and a core that decodes meanwhile holds up none of the others.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from featx._quiet import quiet
from featx._words import count
from featx.errors import DeviceError
from featx.forward.base import Engine, UnrunnableError, checked_batch_size, first_line
from featx.forward.devices import check_precision, describe
from featx.forward.graph import Prepared

if TYPE_CHECKING:
    from featx._types import Array, Float32s, JsonObject
    from featx.backbones import Backbone

DEFAULT_BATCH = 8
"""Images in a batch; more do not stay in a core's caches."""
_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVINOEngine(Engine):
    """A backbone on this machine's processor, run by OpenVINO.

    Parameters
    ----------
    backbone
        Is left as it is.
    precision
        fp32 or bf16.
    batch_size
        Images in a batch; None for 8.

    Raises
    ------
    UnrunnableError
        If OpenVINO is not installed or cannot convert the network.
    DeviceError
        If the processor cannot compute in the precision.
    """

    def __init__(
        self, backbone: Backbone, precision: str = "fp32", batch_size: int | None = None
    ) -> None:
        check_precision(precision, torch.device("cpu"))
        self.precision = precision
        self.batch_size = checked_batch_size(batch_size, DEFAULT_BATCH)
        self._graphs = _Graphs(backbone)
        self._compile()
        self.provenance: JsonObject = {
            "engine": "openvino",
            "openvino": version(),
            "torch": torch.__version__,
            "device": describe(torch.device("cpu")),
            "precision": precision,
        }

    def _compile(self) -> None:
        """Compile for bytes; for float images when the first of them come."""
        self._lock = Lock()
        self._requests: dict[np.dtype[Any], SimpleQueue[Any]] = {}
        self._requests_for(np.dtype(np.uint8))

    def resized(self, batch_size: int) -> OpenVINOEngine:
        """Give the same engine with another batch size: compiled anew, not converted."""
        other = copy.copy(self)
        other.batch_size = batch_size
        other._compile()
        return other

    def in_precision(self, precision: str) -> OpenVINOEngine:
        """Give the same engine in another precision: compiled anew, not converted.

        Raises
        ------
        DeviceError
            If the processor cannot compute in it.
        """
        if precision == self.precision:
            return self
        check_precision(precision, torch.device("cpu"))
        other = copy.copy(self)
        other.precision = precision
        other.provenance = self.provenance | {"precision": precision}
        other._compile()
        return other

    def run(self, images: Array) -> list[Float32s]:
        """Give the maps of one batch; in `lanes` threads at once."""
        requests = self._requests_for(images.dtype)
        request = requests.get()
        try:
            with _room(self.batch_size):
                request.infer([np.ascontiguousarray(images)], share_inputs=True, share_outputs=True)
            return [np.array(tensor.data, np.float32) for tensor in request.output_tensors]
        finally:
            requests.put(request)

    def _requests_for(self, dtype: np.dtype[Any]) -> SimpleQueue[Any]:
        with self._lock:
            if dtype not in self._requests:
                self._requests[dtype] = self._requests_of(self._compiled(dtype))
            return self._requests[dtype]

    def _requests_of(self, compiled: Any) -> SimpleQueue[Any]:
        self.lanes = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.lanes):
            requests.put(compiled.create_infer_request())
        return requests

    def _compiled(self, dtype: np.dtype[Any]) -> Any:
        model = self._graphs.of(dtype).clone()
        shape = model.input(0).partial_shape
        config = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "PERFORMANCE_HINT": "THROUGHPUT",
        }
        try:
            model.reshape([self.batch_size, *(side.get_length() for side in list(shape)[1:])])
            with _room(self.batch_size):
                return _core().compile_model(model, "CPU", config)
        except DeviceError:
            raise
        except RuntimeError as error:
            raise UnrunnableError(first_line(error)) from error


class _Graphs:
    """A backbone's graphs for images of bytes and of floats, converted when they are asked for."""

    def __init__(self, backbone: Backbone) -> None:
        pre = backbone.preprocess
        self._size = pre.image_size
        self._module = Prepared(backbone.module, pre.mean, pre.std).eval()
        self._of: dict[np.dtype[Any], Any] = {}

    def of(self, dtype: np.dtype[Any]) -> Any:
        """Give the graph whose input has that dtype, its batch size open."""
        if dtype not in self._of:
            self._of[dtype] = self._converted(dtype)
        return self._of[dtype]

    def _converted(self, dtype: np.dtype[Any]) -> Any:
        example = torch.from_numpy(np.zeros((1, *self._size, 3), dtype))
        try:
            with torch.no_grad(), quiet(""):  # torch warns that its tracing will go
                # Given the module itself, OpenVINO traces it several times and takes three times as
                # long; what is frozen has its constants in place and is converted at once.
                traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                    self._module, example, check_trace=False, strict=False
                )
                shape = [-1, *self._size, 3]
                return openvino().convert_model(
                    torch.jit.freeze(traced), input=[(shape, dtype.type)]
                )
        except UnrunnableError:
            raise
        except Exception as error:  # whatever a network's own code raises when it is traced
            raise UnrunnableError(first_line(error)) from error


@contextmanager
def _room(batch_size: int) -> Iterator[None]:
    """Say what to do where there is not enough memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        raise DeviceError(
            f"not enough memory with {count(batch_size, 'image')} in a batch "
            f"({first_line(error)}); give a smaller --batch-size"
        ) from error


@cache
def openvino() -> Any:
    """Import OpenVINO without its telemetry, which would report the import to its makers.

    A module that is None in ``sys.modules`` cannot be imported; OpenVINO then uses a stub of its
    own. A process that imported OpenVINO itself keeps what it has.

    Raises
    ------
    UnrunnableError
        If it is not installed.
    """
    if find_spec("openvino") is None:
        raise UnrunnableError("OpenVINO is not installed; `pip install openvino`")
    telemetry = "openvino_telemetry"
    blocked = telemetry not in sys.modules
    if blocked:
        sys.modules[telemetry] = None  # type: ignore[assignment]  # Python's own way to say no
    try:
        import openvino
    except Exception as error:  # a library of the system that is missing, say
        raise UnrunnableError(f"OpenVINO cannot be loaded: {first_line(error)}") from error
    finally:
        if blocked:
            del sys.modules[telemetry]
    return openvino


@cache
def _core() -> Any:
    return openvino().Core()


def version() -> str:
    """Give OpenVINO's version, for example ``2026.4.1``."""
    return str(openvino().__version__).partition("-")[0]
