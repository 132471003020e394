"""What can go wrong, as types.

Every error says what was got, what was expected and what to do. Each leaf also inherits the
standard type that a caller would think of, so that ``except ValueError`` keeps its meaning.
``exit_code`` is what the command line returns: 2 for an `AskedError`, what was asked for cannot be;
1 for what went wrong while it was done.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class FeatxError(Exception):
    """The root of every error that featx raises on purpose."""

    exit_code = 1


class AskedError(FeatxError):
    """What was asked for cannot be: an unknown name, a path that leads nowhere, a contradiction."""

    exit_code = 2


class UsageError(AskedError, ValueError):
    """An argument has a value that featx cannot work with."""


class UnknownNameError(UsageError, LookupError):
    """A name that is in no table: backbone, head, layer, metric, column."""


class NotFoundError(AskedError, LookupError):
    """A data set, a store, a run or a model that is not where it was looked for."""


class AmbiguousNameError(AskedError, LookupError):
    """A short name that fits several things."""


class TargetError(UsageError):
    """The target, group or split column cannot serve for what was asked."""


class HeadTaskError(UsageError):
    """A head that does not fit the task."""


class MissingDependencyError(FeatxError, ImportError):
    """An optional package that is not installed."""


class SourceError(FeatxError, ValueError):
    """Data that cannot be understood as a set of images."""


class SourceNotFoundError(AskedError, FileNotFoundError):
    """Data that is not there."""


class SourceReadError(FeatxError, OSError):
    """The disk, or a permission, stood in the way: not the fault of an image."""


class ImageError(FeatxError, ValueError):
    """One image that cannot be decoded, or that would be mangled without a say how to read it."""


class ImageOptionError(ImageError):
    """One image that could be read in several ways, until an option says in which."""


class TooManyFailedError(FeatxError, RuntimeError):
    """More images failed than ``max_failed`` allows.

    Attributes
    ----------
    results
        What was done all the same, as it would have been returned.
    """

    exit_code = 3

    def __init__(self, message: str, results: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.results = results


class WeightsError(FeatxError, ValueError):
    """Weights that do not fit the backbone."""


class WeightsNotFoundError(AskedError, FileNotFoundError):
    """Weights that are not there."""


class WeightsUnreachableError(WeightsNotFoundError):
    """Pretrained weights that are neither on disk nor within reach of the network."""

    exit_code = 1


class LayerError(UsageError):
    """A layer that the backbone does not have, or that cannot be cut at."""


class NumericsError(FeatxError, ArithmeticError):
    """Values that the chosen precision or stored dtype cannot hold."""


class DeviceError(FeatxError, RuntimeError):
    """A device or a precision that this machine does not have."""


class ClusterError(FeatxError, RuntimeError):
    """A scheduler or workers that are not there, do not fit, or were lost."""


class RecipeMismatchError(FeatxError, ValueError):
    """Two recipes that should be one."""


class CorruptStoreError(FeatxError, OSError):
    """Stored bytes that are not what was written."""


class ModelFileError(FeatxError, ValueError):
    """A saved model that is damaged, or that holds what no head of featx holds."""


class SchemaVersionError(FeatxError, RuntimeError):
    """A cache written by a newer featx."""


class CacheWriteError(FeatxError, OSError):
    """The cache cannot be written: full, read-only or not permitted."""


def unknown_name(kind: str, name: str, known: Iterable[str], hint: str = "") -> UnknownNameError:
    """Build the error for a name in no table, naming the nearest ones.

    Parameters
    ----------
    kind
        What the name should have been, for example ``"backbone"``.
    name
        What was got.
    known
        Every name that would have been accepted.
    hint
        A command that lists them.
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    guess = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    listing = hint or (f"known: {', '.join(names)}" if len(names) <= 40 else "")
    tail = " ".join(part for part in (guess, listing) if part)
    return UnknownNameError(f"unknown {kind} {name!r}; {tail}".rstrip("; "))
