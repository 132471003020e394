"""Which device and which precision this machine has."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch

from featx.errors import DeviceError, UsageError, unknown_name

PRECISIONS: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_BF16_UNITS = ("amx_bf16", "avx512_bf16")


def choose_device(name: str) -> torch.device:
    """Give the device called ``name``: auto, cpu, cuda, cuda:N, cuda:all or mps.

    ``auto`` is CUDA where there is a device of it, then Apple's MPS, then the CPU; ``cuda:all`` is
    the first of those that `each_device` gives.

    Raises
    ------
    UsageError
        If no device has such a name.
    DeviceError
        If this machine does not have it.
    """
    have = available()
    if name == "auto":
        return torch.device(next((d for d in ("cuda:0", "mps") if d in have), "cpu"))
    kind, _, index = name.removesuffix(":all" if name == "cuda:all" else "").partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdigit()):
        raise UsageError(f"device {name!r}; give auto, cpu, cuda, cuda:N, cuda:all or mps")
    full = f"{kind}:{index or 0}" if kind == "cuda" else kind
    if full not in have:
        raise DeviceError(f"no device {name!r}; this machine has {', '.join(have)} (--device)")
    return torch.device(full)


def each_device(name: str) -> list[str]:
    """Name the devices that ``name`` stands for: every one of CUDA's for ``cuda:all``, else one.

    Raises
    ------
    UsageError, DeviceError
        As `choose_device`.
    """
    first = str(choose_device(name))
    return [d for d in available() if d.startswith("cuda")] if name == "cuda:all" else [first]


def available() -> list[str]:
    """Name the devices of this machine."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *cuda, *mps]


def fast_precision(device: torch.device) -> str:
    """Give the fastest precision of a device; fp32 where no other is faster."""
    if device.type == "cuda":
        return "fp16"
    return "bf16" if device.type == "cpu" and _has_bf16_units() else "fp32"


def _has_bf16_units() -> bool:
    """Whether the processor multiplies in bf16 itself; emulated, it would be slower than fp32."""
    probe = getattr(torch.cpu, "get_capabilities", None)
    if probe is not None:
        units = probe()
        return any(bool(units.get(unit)) for unit in _BF16_UNITS)
    older = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in older)


def check_precision(name: str, device: torch.device) -> None:
    """Raise if ``name`` is no precision, or one that the device cannot compute in.

    Raises
    ------
    UnknownNameError
        If it is none of fp32, bf16, fp16.
    DeviceError
        For fp16 on a CPU, and bf16 on a CUDA device too old for it.
    """
    if name not in PRECISIONS:
        raise unknown_name("precision", name, [*PRECISIONS, "auto"])
    if name == "fp16" and device.type == "cpu":
        raise DeviceError(
            "precision fp16 needs a GPU; on this CPU give --precision bf16, fp32 or auto"
        )
    if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise DeviceError(f"{device} cannot compute in bf16; give --precision fp16 or fp32")


def describe(device: torch.device) -> str:
    """Name the device as a person knows it, for example ``NVIDIA H200`` or ``cpu (AMD EPYC)``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = processor() if device.type == "cpu" else ""
    return f"{device.type} ({name})" if name else device.type


@cache
def processor() -> str:
    """Give the processor's name as its maker gives it; empty where it cannot be told."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return " ".join(next(names, platform.processor()).split())
