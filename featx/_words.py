"""Words of numbers, for whoever says them to people."""

from __future__ import annotations


def count(n: int, noun: str, plural: str = "") -> str:
    """Say a number of things: ``1 image``, ``3 images``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
