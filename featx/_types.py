"""Small typing aliases, shared by every layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Any]
PathLike: TypeAlias = str | Path

Float32s: TypeAlias = NDArray[np.float32]
Float64s: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bytes16s: TypeAlias = NDArray[np.uint8]
"""(n, 16) uint8: one BLAKE2b-128 digest a row."""
Array: TypeAlias = NDArray[Any]

Key: TypeAlias = tuple[bytes, int]
"""(16-byte digest of an image's bytes, item): what a stored vector belongs to."""

Split: TypeAlias = tuple[Ints, Ints]
"""(train rows, test rows) of one fold."""


class Progress(Protocol):
    """What long work reports to. The command line draws it; a library call may ignore it."""

    def start(self, task: str, total: int | None) -> None:
        """Begin a task of ``total`` units."""

    def advance(self, done: int = 1) -> None:
        """Report ``done`` more units."""

    def say(self, message: str) -> None:
        """Say one line about a decision or a surprise."""

    def finish(self) -> None:
        """End the current task."""


class Silent:
    """A progress that reports nothing."""

    def start(self, task: str, total: int | None) -> None:
        """Ignore it."""

    def advance(self, done: int = 1) -> None:
        """Ignore it."""

    def say(self, message: str) -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""


__all__ = [
    "Array",
    "Bytes16s",
    "Callable",
    "Float32s",
    "Float64s",
    "Ints",
    "Json",
    "JsonObject",
    "Key",
    "Mapping",
    "PathLike",
    "Progress",
    "Sequence",
    "Silent",
    "Split",
]
