"""What the stores of a pass take in memory while they are written."""

from __future__ import annotations

from featx._cores import usable_cores
from featx.store.writer import MAX_WRITERS

IMAGE_BYTES = 2_000
"""Of each image whatever its size: path, token, digest, row of the table. Measured on 20,000."""
VIEW_BYTES = 200
"""Of each further view: a row of the table. 150 were measured on 20,000 images of 8 views."""


def writers() -> int:
    """Give the number of threads that compress and write one store."""
    return min(MAX_WRITERS, len(usable_cores()))


def writing_bytes(block_bytes: int, n_blocks: int, share: float) -> int:
    """Give what one store takes while it is written: a block that is filled, and those in flight.

    Parameters
    ----------
    block_bytes
        Of the vectors of a block.
    n_blocks
        Of all images to come.
    share
        What a block is compressed to.
    """
    in_flight = min(n_blocks, writers())
    filled = min(n_blocks, 1 + writers())
    return int(block_bytes * (filled + share * in_flight))
