"""Torch runs the backbone: on every device, and as the reference."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from featx._types import Array, Float32s, JsonObject
from featx.backbones import Backbone
from featx.errors import DeviceError
from featx.forward.base import Engine, checked_batch_size
from featx.forward.devices import PRECISIONS, check_precision, choose_device, describe
from featx.forward.graph import Prepared

DEFAULT_BATCH = {"cpu": 8, "cuda": 64, "mps": 16}
"""Images in a batch; on a CPU 8 is faster than 32, for the caches' sake."""


class TorchEngine(Engine):
    """A backbone on a device of torch.

    Parameters
    ----------
    backbone
        Is left as it is; what runs elsewhere or in another precision is a copy.
    device
        auto, cpu, cuda, cuda:N or mps.
    precision
        fp32, bf16 or fp16. `featx.forward.choose_engine` decides ``auto``.
    batch_size
        Images in a batch; None for the device's default.

    Raises
    ------
    DeviceError
        If this machine lacks the device or the precision.
    UsageError
        If an argument is out of range.
    """

    def __init__(
        self,
        backbone: Backbone,
        device: str = "auto",
        precision: str = "fp32",
        batch_size: int | None = None,
    ) -> None:
        self.device = choose_device(device)
        check_precision(precision, self.device)
        self.precision = precision
        self.batch_size = checked_batch_size(batch_size, DEFAULT_BATCH[self.device.type])
        self._module = self._placed(backbone)
        self.provenance: JsonObject = {
            "engine": "torch",
            "torch": torch.__version__,
            "device": describe(self.device),
            "precision": precision,
        }

    def resized(self, batch_size: int) -> TorchEngine:
        """Give the same engine with another batch size; both share the weights."""
        other = copy.copy(self)
        other.batch_size = batch_size
        return other

    def run(self, images: Array) -> list[Float32s]:
        """Give the maps of one batch."""
        with self._guarded(), torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(images)).to(self.device)
            return [value.contiguous().cpu().numpy() for value in self._module(x)]

    def _placed(self, backbone: Backbone) -> nn.Module:
        pre, module = backbone.preprocess, backbone.module
        if self.device.type == "cpu" and self.precision == "fp32":
            return Prepared(module, pre.mean, pre.std).eval()
        fast = self.precision != "fp32"
        layout = torch.channels_last if fast else torch.contiguous_format
        dtype = PRECISIONS[self.precision]
        with self._guarded():
            placed = copy.deepcopy(module).to(self.device, dtype)
            if fast:
                placed = _channels_last(placed)
            return Prepared(placed, pre.mean, pre.std, dtype, layout).eval().to(self.device)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Compute in full fp32 where fp32 is meant, repeatably, and say what to do without room."""
        try:
            with torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ):
                yield
        except torch.cuda.OutOfMemoryError as error:
            raise DeviceError(self._no_room(error)) from error
        except RuntimeError as error:
            if "allocate memory" not in str(error) and "out of memory" not in str(error):
                raise
            raise DeviceError(self._no_room(error)) from error

    def _no_room(self, error: Exception) -> str:
        first = str(error).strip().splitlines()[0]
        return (
            f"{describe(self.device)} ran out of memory with {self.batch_size} images in a batch "
            f"({first}); give a smaller --batch-size, for example "
            f"--batch-size {max(1, self.batch_size // 4)}"
        )


def _channels_last(module: nn.Module) -> nn.Module:
    return module.to(memory_format=torch.channels_last)
