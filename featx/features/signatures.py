"""What computed each row of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx.provenance import Signature, blocks_of

if TYPE_CHECKING:
    from featx._types import Ints
    from featx.store import FeatureStore


def signatures_of(store: FeatureStore, rows: Ints) -> tuple[Ints, list[Signature]]:
    """Give (n,) numbers of what computed ``rows``, and the signatures that they number.

    Where all runs of the store have the same one, the rows are not looked at.
    """
    runs = [Signature.of(run["provenance"]) for run in store.runs]
    known = list(dict.fromkeys(runs))
    if len(known) < 2 or not len(rows):
        return np.zeros(len(rows), dtype=np.int64), known
    block = rows // store.block_rows
    n_blocks = int(block.max()) + 1
    named = list(dict.fromkeys([*known, Signature()]))
    code_of = np.full(n_blocks, named.index(Signature()), dtype=np.int64)
    for run, signature in zip(store.runs, runs, strict=True):
        for start, stop in blocks_of(run, n_blocks):
            code_of[start:stop] = named.index(signature)
    found, code = np.unique(code_of[block], return_inverse=True)
    return code.astype(np.int64), [named[one] for one in found.tolist()]
