"""How batches come to a device of torch and maps come back, several of them at once."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
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

    Each thread has a queue (a stream) of its own, so that one batch is copied while another is
    computed. torch keeps such memory for the next batch when the arrays are gone.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._thread = threading.local()

    @contextmanager
    def queue(self) -> Iterator[None]:
        """Let what is inside be queued for this thread's stream."""
        if not hasattr(self._thread, "stream"):
            self._thread.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._thread.stream):
            yield

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
        self._thread.stream.synchronize()
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
        _inside += 1
        if _inside == 1:
            _settings.enter_context(torch.backends.cudnn.flags(**_REPEATABLE))
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _settings.close()
