"""JPEGs decoded and resized in batches on the devices that run the backbone.

torchcodec or torchvision decodes them (on CUDA with nvJPEG), and torch resizes those of one size
together, with the antialiased filter that Pillow has. What this cannot take goes to the
processor: other formats, turned or unusual JPEGs, and whatever the device refuses.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

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

MOST_PIXELS = 2**24
"""Of a part: 50 MB decoded, as much stacked, 200 MB while they are resized. One image that has
more is a part of its own."""
AT_ONCE = 4
"""Parts on a device at once."""


class _Slot:
    """Room for one part on a device, with a queue (a stream) of its own."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        cuda = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if cuda else None  # type: ignore[no-untyped-call]

    def queue(self) -> AbstractContextManager[Any]:
        """Let what is inside be queued beside the network's work, which is not waited for."""
        return torch.cuda.stream(self._stream) if self._stream is not None else nullcontext()


class NvJpegDecoder(Decoder):
    """Decodes JPEGs on devices of torch, so many pixels at a time, all else on the processor.

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
        self._otherwise = PillowDecoder(pre)
        self._lock = threading.Lock()
        self._decode, name = _library()
        self.versions = {name: version(name)}
        if name == "torchvision":  # it keeps one device's decoder, and loses what another one holds
            devices = devices[:1]
        self._slots: SimpleQueue[_Slot] = SimpleQueue()
        for device in [torch.device(name) for name in devices] * AT_ONCE:
            self._slots.put(_Slot(device))

    def __call__(self, payloads: Sequence[Any]) -> list[Decoded]:
        """Give what each payload decodes to."""
        found: dict[int, Decoded] = {}
        for part in _parts(payloads):
            slot = self._slots.get()
            try:
                with slot.queue():
                    done = self._part([payloads[i] for i in part], slot.device)
            finally:
                self._slots.put(slot)
            found |= {i: [x] for i, x in zip(part, done, strict=True) if x is not None}
        left = [i for i in range(len(payloads)) if i not in found]
        with self._lock:
            self.left_over += len(left)
        found |= zip(left, self._otherwise([payloads[i] for i in left]), strict=True)
        return [found[i] for i in range(len(payloads))]

    def _part(self, payloads: Sequence[bytes], device: torch.device) -> list[Array | None]:
        """Give each image, None for those that the device does not take, or has no room for."""
        try:
            return self._sized(self._decoded(payloads, device))
        except (RuntimeError, ImageError):  # of one among them: the others need not suffer
            if len(payloads) == 1:
                return [None]
            middle = len(payloads) // 2
            halves = payloads[:middle], payloads[middle:]
            return [image for half in halves for image in self._part(half, device)]

    def _decoded(self, payloads: Sequence[bytes], device: torch.device) -> list[torch.Tensor]:
        """Give (3, h, w) uint8 of each."""
        data = [torch.frombuffer(bytearray(payload), dtype=torch.uint8) for payload in payloads]
        return self._decode(data, device)

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


_Decode: TypeAlias = "Callable[[list[torch.Tensor], torch.device], list[torch.Tensor]]"


def _library() -> tuple[_Decode, str]:
    """Give torchcodec's decoder, or torchvision's where it is missing or for another torch."""
    if not find_spec("torchcodec"):
        return _from_torchvision, "torchvision"
    try:
        decode_jpeg = import_module("torchcodec.decoders").decode_jpeg
    except (ImportError, OSError, RuntimeError, AttributeError):
        return _from_torchvision, "torchvision"
    return lambda data, device: list(decode_jpeg(data, mode="RGB", device=device)), "torchcodec"


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
