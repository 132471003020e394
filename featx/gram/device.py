"""Inner products on a device of torch, in the same precision as on the processor.

float32 without TF32, blocks of columns added up in float64 on the device; see `featx.products`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx._types import Array, Float64s
from featx.errors import DeviceError, UsageError
from featx.products import as_kind, column_blocks

if TYPE_CHECKING:
    import torch


def torch_device(name: str) -> torch.device | None:
    """Give the device called ``cpu``, ``cuda`` or ``cuda:N``; None for ``cpu``, without torch.

    Raises
    ------
    UsageError
        If it is called otherwise.
    DeviceError
        If this machine does not have it.
    """
    if name == "cpu":
        return None
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number or "0").isdigit():
        raise UsageError(f"device {name!r}; inner products are made on cpu, cuda or cuda:N")
    import torch

    have = torch.cuda.device_count()
    if int(number or 0) >= have:
        raise DeviceError(f"no device {name!r}: torch finds {have} CUDA devices; use --device cpu")
    return torch.device("cuda", int(number or 0))


@dataclass(frozen=True)
class DeviceProducts:
    """What `featx.products` does, on a device."""

    device: torch.device

    def add_gram(self, G: Float64s, X: Array, exact: bool) -> None:
        """Add ``X X^T`` to ``G`` (n, n), in place."""
        self.add_cross(G, X, X, exact)

    def add_cross(self, G: Float64s, X: Array, Y: Array, exact: bool) -> None:
        """Add ``X Y^T`` to ``G`` (n, m), in place."""
        import torch

        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            total = torch.zeros(G.shape, dtype=torch.float64, device=self.device)
            for columns in column_blocks(len(X) + len(Y), X.shape[1]):
                x = self._move(X[:, columns], exact)
                y = x if Y is X else self._move(Y[:, columns], exact)
                total += x @ y.T
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before
        G += total.cpu().numpy()

    def _move(self, block: Array, exact: bool) -> torch.Tensor:
        import torch

        kind = np.float64 if exact else np.float32
        return torch.from_numpy(as_kind(block, kind)).to(self.device)
