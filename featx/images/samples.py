"""Samples as they are stored, before anything said how to see them, and what says it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx._types import Array, Float32s
from featx.errors import ImageError
from featx.images.options import Intensity, Options


@dataclass(frozen=True)
class Samples:
    """One page of an image that Pillow would mangle, or whose channels are to be chosen.

    Attributes
    ----------
    values
        (H, W, C) numbers of any dtype: the channels, without the alpha channel.
    full
        The container's largest value, which means full intensity; None where it has none.
    alpha
        (H, W) float32 in 0..1, or None.
    """

    values: Array
    full: float | None
    alpha: Array | None = None

    @property
    def n_channels(self) -> int:
        """How many there are."""
        return int(self.values.shape[2])

    @property
    def is_plain(self) -> bool:
        """Whether they are 8-bit, so that 255 means full intensity beyond doubt."""
        return self.values.dtype == np.uint8 and self.full == 255

    def channels(self, indexes: tuple[int, ...]) -> Samples:
        """Give the channels asked for, on their own, without alpha.

        Raises
        ------
        ImageError
            If there is no such channel.
        """
        if max(indexes) >= self.n_channels:
            raise ImageError(
                f"no channel {max(indexes)} in it: it has {self.n_channels}, counted from 0 "
                "(--channels)"
            )
        return Samples(self.values[:, :, list(indexes)], self.full)


def with_alpha(samples: Samples, premultiplied: bool = False) -> Samples:
    """Take the last channel for alpha.

    Raises
    ------
    ImageError
        If the values have no full intensity.
    """
    if samples.full is None:
        raise ImageError(f"transparency in signed {samples.values.dtype}; use --reader")
    colour, last = samples.values[:, :, :-1], samples.values[:, :, -1]
    alpha = (last.astype(np.float64) / samples.full).astype(np.float32)
    if premultiplied:
        divided = colour / np.maximum(alpha[:, :, None], 1 / samples.full)
        colour = np.minimum(divided, samples.full).astype(colour.dtype)
    return Samples(colour, samples.full, alpha)


def questions(samples: Samples, options: Options) -> list[str]:
    """Ask, with what was observed, for each option without which the samples mean nothing.

    Raises
    ------
    ImageError
        If values are not finite, so that no option would help.
    """
    if samples.values.dtype.kind == "f" and not np.isfinite(samples.values).all():
        raise ImageError(f"{samples.values.dtype} values that are not finite (NaN or infinite)")
    asked = []
    if not options.channels and samples.n_channels not in (1, 3):
        asked.append(
            f"{samples.n_channels} channels: choose one or three with --channels 0,1,2 (counted "
            "from 0), or --channels each for an item of each"
        )
    if options.intensity is None and not samples.is_plain:
        asked.append(_intensity_question(samples))
    return asked


def to_unit(samples: Samples, intensity: Intensity) -> Float32s:
    """Scale to 0..1 and put it on white where it is transparent: (H, W, C) float32.

    ``fixed:LO:HI`` gives ``clip((x - LO) / (HI - LO), 0, 1)``; ``dtype`` is ``fixed`` from 0 to
    the container's largest value; ``percentile:LO:HI`` is ``fixed`` between those percentiles of
    this page's chosen channels together (Hyndman and Fan 1996, type 7).

    Raises
    ------
    ImageError
        If the values have no full intensity and ``dtype`` asks for it.
    """
    low, high = _bounds(samples, intensity)
    x = samples.values.astype(np.result_type(samples.values.dtype, np.float32), copy=False)
    if high > low:
        with np.errstate(over="ignore"):  # what overflows lies outside, and is clipped
            unit = np.clip((x - low) / (high - low), 0, 1).astype(np.float32)
    else:  # all between the two percentiles is one value: what is above it is bright
        unit = (x > low).astype(np.float32)
    if samples.alpha is None:
        return unit
    alpha = samples.alpha[:, :, None]
    return np.asarray(unit * alpha + (1 - alpha), dtype=np.float32)


def _bounds(samples: Samples, intensity: Intensity) -> tuple[float, float]:
    if intensity.kind == "fixed":
        return intensity.low, intensity.high
    if intensity.kind == "percentile":
        low, high = np.percentile(samples.values, [intensity.low, intensity.high])
        return float(low), float(high)
    if samples.full is None:
        raise ImageError(
            f"{_observed(samples)}: --intensity dtype has no meaning for them; say "
            f"{_ways(samples, dtype=False)}"
        )
    if samples.values.dtype.kind == "f" and not _within(samples.values):
        raise ImageError(f"{_observed(samples)}: outside 0 to 1; say {_ways(samples, dtype=False)}")
    return 0.0, samples.full


def _within(values: Array) -> bool:
    return bool(values.min() >= 0 and values.max() <= 1)


def _intensity_question(samples: Samples) -> str:
    return f"{_observed(samples)}: say how to read it with {_ways(samples)}"


def _observed(samples: Samples) -> str:
    x = samples.values
    container = f" of 0 to {_number(samples.full)}" if samples.full else ""
    return f"{x.dtype.name} values {_number(x.min())} to {_number(x.max())}{container}"


def _number(value: float) -> str:
    value = float(value)  # compared as float16, 1e15 would overflow
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def _ways(samples: Samples, dtype: bool = True) -> str:
    ways = ["--intensity dtype"] if dtype and samples.full is not None else []
    x = samples.values
    top = float(x.max())
    if x.dtype.kind in "ui" and top > 0:
        top = float(2 ** int(top).bit_length() - 1)
    bottom = min(0.0, float(x.min()))
    ways += [f"--intensity fixed:LO:HI (fixed:{_number(bottom)}:{_number(top)}, say)"]
    ways += ["--intensity percentile:LO:HI (percentile:1:99, say)"]
    return ", ".join(ways[:-1]) + " or " + ways[-1]
