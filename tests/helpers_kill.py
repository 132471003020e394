"""A network with long vectors that notes every image it sees, for the tests that kill it."""

from __future__ import annotations

import os
from pathlib import Path

import torch


class Wide(torch.nn.Module):
    """One convolution: 127,008 values an image of 128 pixels, so 132 rows a block."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(3, 32, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve; write one byte a batch to the file named by SEEN."""
        if (log := os.environ.get("SEEN")) and len(x) > 1:  # a batch of one is the cutting's probe
            with Path(log).open("ab") as file:
                file.write(b".")
        return torch.relu(self.convolution(x))
