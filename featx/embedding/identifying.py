"""Which images files are, by their bytes alone: read and hashed, not decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx import images
from featx.embedding.reading import in_order, workers
from featx.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import Progress
    from featx.sources import Entry
    from featx.tokens import Recalled, Tokens


def identify(
    entries: Sequence[Entry],
    those: Sequence[int],
    known: Recalled,
    tokens: Tokens,
    progress: Progress,
) -> Recalled:
    """Read ``those`` entries, and give what is known of all with which images they are.

    An image is taken for one item. Of files that cannot be read nothing is known.

    Raises
    ------
    SourceReadError
        If the disk or a permission stands in the way.
    """
    if not those:
        return known
    known, readers = known.copy(), workers([entries[i] for i in those])
    progress.start("reading", len(those))
    found = in_order(lambda i: _digest(entries[i]), those, readers, 4 * readers)
    for i, digest in zip(those, found, strict=True):
        if digest is not None:
            known.digest[i], known.items[i] = np.frombuffer(digest, np.uint8), 1
        progress.advance()
    progress.finish()
    read = [i for i in those if known.items[i]]
    tokens.put({t: (known.digest[i].tobytes(), 1) for i in read if (t := entries[i].token)})
    return known


def _digest(entry: Entry) -> bytes | None:
    try:
        return images.digest(entry.read())
    except ImageError:  # whoever decodes it says why
        return None
