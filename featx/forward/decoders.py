"""What turns payloads into the pixels that a backbone sees, many at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from featx import images
from featx.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featx._types import Array
    from featx.recipe import Preprocess

Decoded: TypeAlias = "Sequence[Array] | ImageError"
"""The items of one image, (H, W, 3) each, or why it has none."""


class Decoder(ABC):
    """Decodes payloads and gives them their size; safe to call from many threads.

    Attributes
    ----------
    name
        As in `featx.forward.Asked`.
    at_once
        How many payloads are best given at once.
    waits
        Whether it waits for another device, so that its threads are busy without computing.
    versions
        Of the libraries that it decodes with, where these are not the reference's.
    left_over
        How many images so far went to Pillow, as they were not for it.
    """

    name: str
    at_once: int
    waits: bool = False
    versions: Mapping[str, str] = MappingProxyType({})
    left_over: int = 0

    @abstractmethod
    def __call__(self, payloads: Sequence[Any]) -> list[Decoded]:
        """Give what each payload decodes to, in order; as `featx.images.load`."""


class PillowDecoder(Decoder):
    """Decodes on the processor, one image after the other.

    Parameters
    ----------
    pre
        How to read and to resize.
    scaled
        Whether JPEGs that are much larger than needed are decoded at a fraction of their size.
    """

    at_once = 8

    def __init__(self, pre: Preprocess, scaled: bool = False) -> None:
        self.name = "scaled" if scaled else "pil"
        self._pre = pre
        if pre.page == "all" or pre.channels == "each":
            self.at_once = 1  # each may hold any number of images

    def __call__(self, payloads: Sequence[Any]) -> list[Decoded]:
        """Give what each payload decodes to."""
        return [self._one(payload) for payload in payloads]

    def _one(self, payload: Any) -> Decoded:
        try:
            return images.load(payload, self._pre, scaled=self.name == "scaled")
        except ImageError as error:
            return error


_FILTERS = {"bilinear", "bicubic"}
"""Which torch has with antialiasing."""


def can_nvjpeg(pre: Preprocess) -> bool:
    """Whether images under these options may be decoded and resized on a device."""
    return pre.interpolation in _FILTERS and images.is_plain(pre)


def make_decoder(name: str, pre: Preprocess, devices: Sequence[str]) -> Decoder:
    """Make the decoder of a name, for devices of torch."""
    if name != "nvjpeg":
        return PillowDecoder(pre, scaled=name == "scaled")
    from featx.forward.nvjpeg import NvJpegDecoder

    return NvJpegDecoder(pre, devices)
