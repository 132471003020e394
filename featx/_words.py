"""Words of numbers, for whoever says them to people."""

from __future__ import annotations

ROUNDING = 1e-12
"""A score or a difference that is no larger is 0, but for the rounding of its arithmetic."""


def count(n: int, noun: str, plural: str = "") -> str:
    """Say a number of things: ``1 image``, ``3 images``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
