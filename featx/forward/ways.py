"""How a person wants vectors to be computed, and the ways that may be tried for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx.errors import DeviceError, UsageError, unknown_name
from featx.forward.decoders import can_nvjpeg

if TYPE_CHECKING:
    from featx.backbones import Backbone

ENGINES = ("auto", "torch", "openvino", "inductor")
COMPILE_FROM = 1_000_000
"""Images from which compiling pays on CUDA: it takes half a minute, and saves 25 to 50 us each."""
DECODERS = ("auto", "pil", "scaled", "nvjpeg")


@dataclass(frozen=True)
class Asked:
    """How a person wants vectors to be computed; ``auto`` leaves it to featx.

    Attributes
    ----------
    device
        auto, cpu, cuda, cuda:N, cuda:all (every CUDA device of this machine) or mps.
    precision
        auto, fp32, bf16 or fp16.
    batch_size
        Images in a batch; None leaves it to featx.
    engine
        auto, torch, openvino or inductor (torch, compiled for this network).
    decoder
        auto, pil (Pillow, whole), scaled (JPEGs at a fraction of their size) or nvjpeg (JPEGs on
        CUDA).
    """

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    engine: str = "auto"
    decoder: str = "auto"


@dataclass(frozen=True)
class Way:
    """A way to compute.

    Attributes
    ----------
    engine, precision, decoder
        As in `Asked`, none of them ``auto``.
    """

    engine: str
    precision: str
    decoder: str

    @property
    def is_reference(self) -> bool:
        """Whether certificates compare with this way, so that it needs none."""
        return (self.engine, self.precision, self.decoder) == ("torch", "fp32", "pil")


def ways(backbone: Backbone, asked: Asked, n_images: int = 0) -> list[tuple[str, str]]:
    """Give the engines and precisions that may be tried for so many images, the fastest first.

    Raises
    ------
    UsageError, DeviceError
        If what was asked for does not go together.
    """
    from featx.forward.devices import choose_device, fast_precision

    check_asked(asked)
    device = choose_device(asked.device)
    if asked.decoder == "nvjpeg" and not can_nvjpeg(backbone.preprocess):
        raise UsageError(
            "nvjpeg takes images of 8 bits as they are, resized bilinear or bicubic: no --reader, "
            "--channels, --intensity or later --page; give --decoder auto"
        )
    if backbone.request.numerics == "reference":
        _check_reference(asked)
        return [("torch", "fp32")]
    precisions = [fast_precision(device), "fp32"]
    if asked.precision != "auto":
        precisions = [asked.precision]
    engines = ["openvino", "torch"] if device.type == "cpu" else ["torch"]
    if asked.engine != "auto":
        engines = [asked.engine]
    found = [(engine, precision) for engine in engines for precision in dict.fromkeys(precisions)]
    if asked.engine == "auto" and pays_compiling(asked, n_images):
        found.insert(0, ("inductor", precisions[0]))  # in fp32 it would not be ahead of fp16
    return found


def pays_compiling(asked: Asked, n_images: int) -> bool:
    """Whether so many images are worth that torch compiles the network, once for each device."""
    from featx.forward.devices import each_device

    devices = each_device(asked.device)
    return devices[0].startswith("cuda") and n_images >= COMPILE_FROM * len(devices) ** 2


def check_asked(asked: Asked) -> None:
    """Check what can be checked without a network; torch is imported only if there is need to.

    Raises
    ------
    UsageError, DeviceError
        If this machine lacks it, or it does not go together.
    """
    if asked.engine not in ENGINES:
        raise unknown_name("engine", asked.engine, ENGINES)
    if asked.decoder not in DECODERS:
        raise unknown_name("decoder", asked.decoder, DECODERS)
    anywhere = asked.device == "auto" and asked.precision in ("auto", "fp32")
    if anywhere and asked.engine != "openvino" and asked.decoder != "nvjpeg":
        return
    from featx.forward.devices import check_precision, choose_device

    device = choose_device(asked.device)
    if asked.precision != "auto":
        check_precision(asked.precision, device)
    if asked.engine == "openvino" and device.type != "cpu":
        raise DeviceError(f"OpenVINO runs on the processor, not on {device}; give --device cpu")
    if asked.decoder == "nvjpeg" and device.type != "cuda":
        raise DeviceError(f"nvjpeg decodes on CUDA, not on {device}; give --decoder auto")


def _check_reference(asked: Asked) -> None:
    """Refuse what is not the reference's, where reference numerics are wanted."""
    for name, value, meant in (
        ("precision", asked.precision, "fp32"),
        ("engine", asked.engine, "torch"),
        ("decoder", asked.decoder, "pil"),
    ):
        if value not in ("auto", meant):
            raise UsageError(
                f"{name} {value} with reference numerics, which means {meant}; leave one of them "
                "out"
            )
