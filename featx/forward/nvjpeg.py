"""JPEGs decoded and resized in batches on the devices that run the backbone.

torchcodec or torchvision decodes them (on CUDA with nvJPEG), and torch resizes those of one size
together, with the antialiased filter that Pillow has. What this cannot take goes to the
processor: other formats, turned or unusual JPEGs, and whatever the device refuses.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec
from itertools import cycle
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import interpolate

from featx import images
from featx._quiet import quiet
from featx.errors import ImageError
from featx.forward.decoders import Decoded, Decoder, PillowDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from featx._types import Array
    from featx.recipe import Preprocess

MOST_PIXELS = 2**26
"""Decoded at once: 200 MB of bytes, and four times as much while they are resized."""


class NvJpegDecoder(Decoder):
    """Decodes JPEGs on devices of torch, each thread on one of them, all else on the processor.

    Parameters
    ----------
    pre
        How to read and to resize.
    devices
        For example ``["cuda:0"]``; on ``cpu`` their decoders for processors do the same.
    """

    name = "nvjpeg"
    at_once = 16
    waits = True

    def __init__(self, pre: Preprocess, devices: Sequence[str]) -> None:
        self._pre = pre
        self._devices = cycle([torch.device(device) for device in devices])
        self._otherwise = PillowDecoder(pre)
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._decode = _library()

    def __call__(self, payloads: Sequence[Any]) -> list[Decoded]:
        """Give what each payload decodes to."""
        found: dict[int, Decoded] = {}
        with self._stream():
            for part in _parts(payloads):
                images_of_part = self._part([payloads[i] for i in part])
                found |= {
                    i: [x] for i, x in zip(part, images_of_part, strict=True) if x is not None
                }
        left = [i for i in range(len(payloads)) if i not in found]
        with self._lock:
            self.left_over += len(left)
        found |= zip(left, self._otherwise([payloads[i] for i in left]), strict=True)
        return [found[i] for i in range(len(payloads))]

    @property
    def _device(self) -> torch.device:
        """The device of the thread that asks."""
        if not hasattr(self._thread, "device"):
            with self._lock:
                self._thread.device = next(self._devices)
        device: torch.device = self._thread.device
        return device

    def _stream(self) -> AbstractContextManager[Any]:
        """Give each thread a queue of the device of its own: the network's is not waited for."""
        if self._device.type != "cuda":
            return nullcontext()
        if not hasattr(self._thread, "stream"):
            self._thread.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        return torch.cuda.stream(self._thread.stream)

    def _part(self, payloads: Sequence[bytes]) -> list[Array | None]:
        """Give each image, None for those that the device does not take."""
        try:
            pixels = self._decoded(payloads)
            return self._sized(pixels)
        except (RuntimeError, ImageError):  # of one among them: the others need not suffer
            if len(payloads) == 1:
                return [None]
            middle = len(payloads) // 2
            return [*self._part(payloads[:middle]), *self._part(payloads[middle:])]

    def _decoded(self, payloads: Sequence[bytes]) -> list[torch.Tensor]:
        """Give (3, h, w) uint8 of each."""
        data = [torch.frombuffer(bytearray(payload), dtype=torch.uint8) for payload in payloads]
        return self._decode(data, self._device)

    def _sized(self, pixels: Sequence[torch.Tensor]) -> list[Array | None]:
        by_size: dict[tuple[int, ...], list[int]] = {}
        for i, one in enumerate(pixels):
            by_size.setdefault(tuple(one.shape), []).append(i)
        found: dict[int, Array] = {}
        for places in by_size.values():
            found |= zip(places, self._resized([pixels[i] for i in places]), strict=True)
        return [found[i] for i in range(len(pixels))]

    def _resized(self, pixels: Sequence[torch.Tensor]) -> Iterator[Array]:
        """Give images of one size theirs: (H, W, 3) uint8 each."""
        x = torch.stack(list(pixels))
        target = images.target_size((x.shape[2], x.shape[3]), self._pre)
        if tuple(x.shape[2:]) != target:
            mode = self._pre.interpolation
            x = interpolate(x.float(), target, mode=mode, align_corners=False, antialias=True)
            x = x.round_().clamp_(0, 255).to(torch.uint8)
        whole = x.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return (images.centred_image(image, self._pre) for image in whole)


def _library() -> Callable[[list[torch.Tensor], torch.device], list[torch.Tensor]]:
    """Give torchcodec's decoder, or torchvision's where it is missing or for another torch."""
    if not find_spec("torchcodec"):
        return _from_torchvision
    try:
        decode_jpeg = import_module("torchcodec.decoders").decode_jpeg
    except (ImportError, OSError, RuntimeError, AttributeError):
        return _from_torchvision
    return lambda data, device: list(decode_jpeg(data, mode="RGB", device=device))


def _from_torchvision(data: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Decode as torchvision does, which has had its decoders replaced by torchcodec's."""
    from torchvision.io import ImageReadMode, decode_jpeg

    with quiet(r"torchvision\."):
        return list(decode_jpeg(data, mode=ImageReadMode.RGB, device=device))


def _parts(payloads: Sequence[Any]) -> Iterator[list[int]]:
    """Give the places of those that the device may take, so many pixels at a time."""
    part: list[int] = []
    pixels = 0
    for i, payload in enumerate(payloads):
        size = _size(payload)
        if size is None:
            continue
        if part and pixels + size[0] * size[1] > MOST_PIXELS:
            yield part
            part, pixels = [], 0
        part.append(i)
        pixels += size[0] * size[1]
    if part:
        yield part


def _size(payload: Any) -> tuple[int, int] | None:
    try:
        return images.plain_jpeg_size(payload) if isinstance(payload, bytes) else None
    except ImageError:
        return None  # the processor says so again
