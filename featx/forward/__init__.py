"""The engines that run a backbone, and the proof that a fast one is good enough.

Importing this imports no torch; making an engine does.
"""

from typing import TYPE_CHECKING, Any

from featx.forward.certificate import MIN_COSINE, ROWS, Certificate, certify
from featx.forward.choose import ChosenEngine, choose_engine

if TYPE_CHECKING:
    from featx.forward.engine import Engine

__all__ = [
    "MIN_COSINE",
    "ROWS",
    "Certificate",
    "ChosenEngine",
    "Engine",
    "certify",
    "choose_engine",
]


def __getattr__(name: str) -> Any:
    if name == "Engine":
        from featx.forward.engine import Engine

        return Engine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
