"""A figure as a file, for a paper or a slide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from featx._files import replacing
from featx.errors import UsageError
from featx.plots.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from featx._types import PathLike

DPI = 200
_NO_DATES: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
"""What a file would say of when and by what it was made: the same figure gives the same bytes."""


def save(figure: Figure, path: PathLike) -> None:
    """Write a figure on white ground, whole or not at all.

    Parameters
    ----------
    path
        Its suffix says how: .png (200 dpi), .svg (texts stay texts) or .pdf.

    Raises
    ------
    UsageError
        If the suffix is another one.
    CacheWriteError
        If the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _NO_DATES:
        known = ", ".join(_NO_DATES)
        raise UsageError(f"cannot write a figure to {path}: the name has to end in one of {known}")
    with styled(), replacing(path) as temporary:
        figure.savefig(
            temporary,
            format=suffix[1:],
            dpi=DPI,
            facecolor="white",
            metadata=_NO_DATES[suffix],
        )
