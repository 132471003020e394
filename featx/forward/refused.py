"""Why a way to compute was not taken: in words for a note, and as the error where it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx._words import count
from featx.errors import FeatxError, NumericsError, UsageError
from featx.forward.certificate import MIN_COSINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx.forward.certificate import Certificate
    from featx.forward.ways import Asked, Way

_OTHERWISE = {
    "pil": "",
    "scaled": " with images decoded at a fraction of their size",
    "nvjpeg": " with JPEGs decoded on the device",
}


@dataclass(frozen=True)
class Refused:
    """A way that was not taken.

    Attributes
    ----------
    why
        Goes on after ``running ...;``: what was tried, and what came of it.
    kind
        Of the error, where nothing else was allowed.
    instead
        What to do then.
    """

    why: str
    kind: type[FeatxError]
    instead: str = ""

    @property
    def error(self) -> FeatxError:
        """The same as an error."""
        return self.kind(f"{self.why}; {self.instead}" if self.instead else self.why)


def uncertified(way: Way, certificates: Sequence[Certificate], asked: Asked) -> Refused:
    """Describe a way that is out of tolerance, or has no images to be certified with."""
    what = f"{way.engine} in {way.precision}{_OTHERWISE[way.decoder]}"
    if not certificates:
        why = f"{what} cannot be certified without images"
        return Refused(why, UsageError, "give --precision fp32 --decoder pil")
    worst = min(certificates, key=lambda c: (c.passed, c.min_cosine))
    why = (
        f"{what} was tried and gives other vectors than the reference (minimum cosine over "
        f"{count(worst.rows, 'image')} {worst.min_cosine:.4f}, expected at least {MIN_COSINE})"
    )
    return Refused(why, NumericsError, _without(asked))


def _without(asked: Asked) -> str:
    """Say which options to leave out: only what was asked for is refused."""
    names = ("precision", "engine", "decoder")
    given = [f"--{name} {value}" for name in names if (value := getattr(asked, name)) != "auto"]
    return f"leave {' and '.join(given)} out: featx then takes the fastest way within tolerance"
