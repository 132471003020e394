"""The engines that run a backbone, and the proof that a fast one is good enough.

Importing this imports no torch; making an engine does.
"""

from typing import TYPE_CHECKING, Any

from featx.forward.base import Engine
from featx.forward.certificate import MIN_COSINE, ROWS, Certificate, Sample, certify
from featx.forward.choose import ChosenEngine, choose_engine
from featx.forward.decoders import Decoded, Decoder, PillowDecoder
from featx.forward.ways import DECODERS, ENGINES, Asked

if TYPE_CHECKING:
    from featx.forward.openvino_engine import OpenVINOEngine
    from featx.forward.torch_engine import TorchEngine

__all__ = [
    "DECODERS",
    "ENGINES",
    "MIN_COSINE",
    "ROWS",
    "Asked",
    "Certificate",
    "ChosenEngine",
    "Decoded",
    "Decoder",
    "Engine",
    "OpenVINOEngine",
    "PillowDecoder",
    "Sample",
    "TorchEngine",
    "certify",
    "choose_engine",
]


def __getattr__(name: str) -> Any:
    if name == "TorchEngine":
        from featx.forward.torch_engine import TorchEngine

        return TorchEngine
    if name == "OpenVINOEngine":
        from featx.forward.openvino_engine import OpenVINOEngine

        return OpenVINOEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
