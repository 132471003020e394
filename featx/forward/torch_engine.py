"""Torch runs the backbone: on every device, as it is or compiled, and as the reference."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from featx._quiet import quiet
from featx._types import Array, JsonObject
from featx._words import count
from featx.backbones import Backbone
from featx.errors import DeviceError
from featx.forward.base import Engine, UnrunnableError, checked_batch_size, first_line
from featx.forward.copies import Copies, PinnedCopies, repeatable
from featx.forward.devices import PRECISIONS, check_precision, choose_device, describe
from featx.forward.graph import Prepared

LANES = 2
"""Batches at once on CUDA: one is copied while another is computed."""
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
    channels_last
        Whether the channels of a pixel lie side by side in memory, which is faster and changes a
        vector by some 1e-6 of its length; None: where the precision is not fp32.
    compiled
        Whether ``torch.compile`` makes kernels for this network and batch size: half a minute, for
        up to twice the rate on CUDA.

    Raises
    ------
    DeviceError
        If this machine lacks the device or the precision.
    UnrunnableError
        If the network cannot be compiled here.
    UsageError
        If an argument is out of range.
    """

    def __init__(
        self,
        backbone: Backbone,
        device: str = "auto",
        precision: str = "fp32",
        batch_size: int | None = None,
        *,
        channels_last: bool | None = None,
        compiled: bool = False,
    ) -> None:
        self.device = choose_device(device)
        check_precision(precision, self.device)
        self.precision = precision
        self.batch_size = checked_batch_size(batch_size, DEFAULT_BATCH[self.device.type])
        cuda = self.device.type == "cuda"
        self.lanes = LANES if cuda else 1
        self._copies = PinnedCopies(self.device, LANES) if cuda else Copies(self.device)
        fast = precision != "fp32" if channels_last is None else channels_last
        self._placed_module = self._placed(backbone, fast)
        self._module: Callable[[torch.Tensor], Sequence[torch.Tensor]] = self._placed_module
        self._compiled = compiled
        self._size = backbone.preprocess.image_size
        if compiled:
            self._compile()
        self.provenance: JsonObject = {
            "engine": "inductor" if compiled else "torch",
            "torch": torch.__version__,
            "device": describe(self.device),
            "precision": precision,
        }

    def resized(self, batch_size: int) -> TorchEngine:
        """Give the same engine with another batch size; both share the weights."""
        other = copy.copy(self)
        other.batch_size = batch_size
        if self._compiled:
            other._compile()
        return other

    def run(self, images: Array) -> list[Array]:
        """Give the maps of one batch; in `lanes` threads at once."""
        with self._guarded(), torch.inference_mode(), self._copies.queue():
            values = self._module(self._copies.there(images))
            return self._copies.back([value.contiguous() for value in values])

    def _compile(self) -> None:
        """Compile for images of bytes; for float images when they come.

        The first call compiles; it is made here, where what goes wrong can be told. torch counts
        what it compiles by the code, which all networks share here, and gives up silently after
        eight of them unless they are kept apart.
        """
        apart = "isolate_recompiles" in inspect.signature(torch.compile).parameters
        options: dict[str, Any] = {"isolate_recompiles": True} if apart else {}
        try:
            with quiet(""):  # of modules within torch, about what it does not use here
                self._module = torch.compile(self._placed_module, dynamic=False, **options)
                self.run(np.zeros((self.batch_size, *self._size, 3), np.uint8))
        except DeviceError:
            raise
        except Exception as error:  # of the compilers that torch calls, each raises its own
            raise UnrunnableError(first_line(error)) from error

    def _placed(self, backbone: Backbone, channels_last: bool) -> nn.Module:
        pre, module = backbone.preprocess, backbone.module
        if self.device.type == "cpu" and self.precision == "fp32" and not channels_last:
            return Prepared(module, pre.mean, pre.std).eval()
        layout = torch.channels_last if channels_last else torch.contiguous_format
        dtype = PRECISIONS[self.precision]
        given = dtype if dtype == torch.float16 else torch.float32
        with self._guarded():
            placed = copy.deepcopy(module).to(self.device, dtype)
            if channels_last:
                placed = _channels_last(placed)
            prepared = Prepared(placed, pre.mean, pre.std, dtype, layout, given)
            prepared = prepared.eval().to(self.device)
            if (
                self.device.type == "cuda"
            ):  # what threads queue does not wait for what is queued here
                torch.cuda.synchronize(self.device)
            return prepared

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Compute repeatably, and say what to do without room."""
        try:
            with repeatable():
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
            f"{describe(self.device)} ran out of memory with {count(self.batch_size, 'image')} "
            f"in a batch ({first}); give a smaller --batch-size, for example "
            f"--batch-size {max(1, self.batch_size // 4)}"
        )


def _channels_last(module: nn.Module) -> nn.Module:
    return module.to(memory_format=torch.channels_last)
