"""Mean and standard deviation of the pixels of many images, image by image and yet exact.

Of 8-bit images it is counted how often each channel has each of its 256 values, in integers:
nothing is lost whatever their number, and their order does not matter:

    mean = sum(v c_v) / (255 n),    var = (n sum(v^2 c_v) - sum(v c_v)^2) / (255 n)^2

Other images give floats, whose sums of squares are merged as Chan, Golub and LeVeque (1983) do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx._types import Array, Float64s, Ints, JsonObject

N_CHANNELS = 3
N_LEVELS = 256
_FULL = N_LEVELS - 1


@dataclass(frozen=True)
class Pixels:
    """What the pixels of a set of images come to.

    Attributes
    ----------
    n
        How many pixels there are.
    mean, std
        (3,) of red, green and blue, 0 to 1; the standard deviation is that of the population
        (``numpy.std``).
    """

    n: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {"pixels": self.n, "mean": list(self.mean), "std": list(self.std)}


@dataclass(frozen=True, eq=False)
class PixelSum:
    """What has to be kept of pixels so that their mean and deviation can be told.

    Attributes
    ----------
    levels
        (3, 256) int64: how many 8-bit pixels have each value in each channel.
    n
        How many pixels came as floats.
    mean, m2
        (3,) float64, of the floats: mean, and sum of the squared differences from it.
    """

    levels: Ints
    n: int
    mean: Float64s
    m2: Float64s

    def __add__(self, other: PixelSum) -> PixelSum:
        n, mean, m2 = _merged((self.n, self.mean, self.m2), (other.n, other.mean, other.m2))
        return PixelSum(self.levels + other.levels, n, mean, m2)

    def times(self, k: int) -> PixelSum:
        """Count every pixel ``k`` times."""
        return PixelSum(self.levels * k, self.n * k, self.mean, self.m2 * k)

    def describe(self) -> Pixels | None:
        """Give the mean and the deviation; None where there is no pixel."""
        n, mean, m2 = _merged(_of_levels(self.levels), (self.n, self.mean, self.m2))
        if not n:
            return None
        return Pixels(n, tuple(mean.tolist()), tuple(np.sqrt(m2 / n).tolist()))


_ZEROS = np.zeros(N_CHANNELS)
_NO_LEVELS = np.zeros((N_CHANNELS, N_LEVELS), dtype=np.int64)
NO_PIXELS = PixelSum(_NO_LEVELS, 0, _ZEROS, _ZEROS)
"""Where a sum begins."""


def level_sum(levels: Array) -> PixelSum:
    """Take (3, 256) counts of 8-bit values."""
    return PixelSum(np.asarray(levels, dtype=np.int64), 0, _ZEROS, _ZEROS)


def value_sum(values: Array) -> PixelSum:
    """Take (H, W, 1 or 3) floats in 0..1; one channel stands for three equal ones."""
    x = values.reshape(-1, values.shape[2]).astype(np.float64)
    mean = x.mean(axis=0)
    m2 = np.square(x - mean).sum(axis=0)
    mean, m2 = (np.broadcast_to(v, (N_CHANNELS,)).copy() for v in (mean, m2))
    return PixelSum(_NO_LEVELS, len(x), mean, m2)


_Moments = tuple[int, Float64s, Float64s]


def _of_levels(levels: Ints) -> _Moments:
    """Give n, mean and sum of squared differences, rounded once: Python's integers do not end."""
    counts = levels.tolist()
    n = sum(counts[0])
    if not n:
        return 0, _ZEROS, _ZEROS
    s1 = [sum(v * c for v, c in enumerate(channel)) for channel in counts]
    s2 = [sum(v * v * c for v, c in enumerate(channel)) for channel in counts]
    mean = [s / (_FULL * n) for s in s1]
    m2 = [(n * b - a * a) / (_FULL * _FULL * n) for a, b in zip(s1, s2, strict=True)]
    return n, np.array(mean), np.array(m2)


def _merged(a: _Moments, b: _Moments) -> _Moments:
    if not (a[0] and b[0]):
        return a if a[0] else b
    n, delta = a[0] + b[0], b[1] - a[1]
    return n, a[1] + delta * (b[0] / n), a[2] + b[2] + delta**2 * (a[0] * (b[0] / n))
