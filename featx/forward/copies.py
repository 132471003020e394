"""How batches come to a device of torch and maps come back, several of them at once."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from featx._types import Array


class Copies:
    """Copies of the processor's own, and of devices that are waited for."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @contextmanager
    def queue(self) -> Iterator[None]:
        """Let what is inside be done in an order of its own."""
        yield

    def there(self, images: Array) -> torch.Tensor:
        """Give (B, H, W, 3) images on the device."""
        return torch.from_numpy(np.ascontiguousarray(images)).to(self._device)

    def back(self, values: Sequence[torch.Tensor]) -> list[Array]:
        """Give tensors as arrays."""
        return [value.contiguous().cpu().numpy() for value in values]


class PinnedCopies(Copies):
    """Copies that CUDA makes beside its work, from and to memory that stays in its place.

    Each batch has one of few queues (streams) to itself, so that one is copied while another is
    computed. torch keeps such memory for the next batch when the arrays are gone.
    """

    def __init__(self, device: torch.device, n_queues: int) -> None:
        super().__init__(device)
        self._queues: SimpleQueue[torch.cuda.Stream] = SimpleQueue()
        for _ in range(n_queues):
            self._queues.put(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]

    @contextmanager
    def queue(self) -> Iterator[None]:
        """Let what is inside be queued, once one of the streams is free."""
        stream = self._queues.get()
        try:
            with torch.cuda.stream(stream):
                yield
        finally:
            self._queues.put(stream)

    def there(self, images: Array) -> torch.Tensor:
        """Give images on the device; what follows in the queue finds them there."""
        host = torch.from_numpy(np.ascontiguousarray(images)).pin_memory()
        return host.to(self._device, non_blocking=True)

    def back(self, values: Sequence[torch.Tensor]) -> list[Array]:
        """Give tensors as arrays, once all that is in the queue is done."""
        found = []
        for value in values:
            host = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
            found.append(host.copy_(value, non_blocking=True))
        torch.cuda.current_stream(self._device).synchronize()
        return [host.numpy() for host in found]


_REPEATABLE = {"enabled": True, "benchmark": False, "deterministic": True, "allow_tf32": False}
_lock = threading.Lock()
_inside = 0
_settings = ExitStack()


@contextmanager
def repeatable() -> Iterator[None]:
    """Have cuDNN compute in full fp32 where fp32 is meant, the same way every time.

    The settings are the whole process': they are made when the first thread comes in, and taken
    back when the last one leaves.
    """
    global _inside
    with _lock:
        if not _inside:
            _settings.enter_context(torch.backends.cudnn.flags(**_REPEATABLE))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _settings.close()
