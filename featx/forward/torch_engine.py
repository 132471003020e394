"""Run a backbone over batches of prepared images."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from featx._types import Array, Float32s, JsonObject
from featx.backbones import Backbone
from featx.errors import DeviceError, UsageError
from featx.forward.devices import PRECISIONS, check_precision, choose_device, describe

DEFAULT_BATCH = {"cpu": 8, "cuda": 64, "mps": 16}
"""Images in a batch; on a CPU 8 is faster than 32, for the caches' sake."""


class Engine:
    """A backbone on a device, in one precision, at one batch size.

    Every batch has the same shape, the last one padded with zeros, so that the bits of a row do
    not depend on how many images came with it.

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

    Attributes
    ----------
    provenance
        What the vectors were computed with.

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
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"batch size {batch_size}; give a number above 0")
        self.precision = precision
        self.batch_size = batch_size or DEFAULT_BATCH[self.device.type]
        self._dtype = PRECISIONS[precision]
        self._module = self._placed(backbone.module)
        pre = backbone.preprocess
        self._mean, self._std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1)
            for values in (pre.mean, pre.std)
        )
        self.provenance: JsonObject = {
            "engine": "torch",
            "torch": torch.__version__,
            "device": describe(self.device),
            "precision": precision,
        }

    def __call__(self, images: Array) -> list[Float32s]:
        """Give the maps of (n, H, W, 3) uint8 images, or float32 ones in 0 to 1.

        Returns
        -------
        One (n, *map_shape) float32 array for each output of the backbone, rows in order.

        Raises
        ------
        DeviceError
            If the device runs out of memory.
        """
        starts = range(0, len(images), self.batch_size)
        batches = [self._batch(images[start : start + self.batch_size]) for start in starts]
        if not batches:
            raise UsageError("no images to run; give at least one")
        return [np.concatenate(parts) for parts in zip(*batches, strict=True)]

    def _batch(self, images: Array) -> list[Float32s]:
        n = len(images)
        padded = images
        if n < self.batch_size:
            padded = np.zeros((self.batch_size, *images.shape[1:]), images.dtype)
            padded[:n] = images
        with self._guarded(), torch.inference_mode():
            outputs = self._module(self._prepared(padded))
            maps = [output[:n].float().contiguous().cpu() for output in outputs]
        return [value.numpy() for value in maps]

    def _prepared(self, images: Array) -> torch.Tensor:
        """Scale and normalise as torchvision's transforms do: ``(x / 255 - mean) / std``."""
        x = torch.from_numpy(np.ascontiguousarray(images)).to(self.device).permute(0, 3, 1, 2)
        x = x.to(torch.float32) / 255 if images.dtype == np.uint8 else x.to(torch.float32)
        x = (x - self._mean) / self._std
        return x.to(self._dtype, memory_format=self._layout)

    @property
    def _layout(self) -> torch.memory_format:
        return torch.contiguous_format if self.precision == "fp32" else torch.channels_last

    def _placed(self, module: nn.Module) -> nn.Module:
        if self.device.type == "cpu" and self.precision == "fp32":
            return module
        with self._guarded():
            placed = copy.deepcopy(module).to(self.device, self._dtype)
            return placed if self.precision == "fp32" else _channels_last(placed)

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
