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
    named = list(dict.fromkeys([*known, Signature()]))
    code_of = np.array([named.index(signature) for signature in [*runs, Signature()]])
    found, code = np.unique(code_of[runs_of(store, rows)], return_inverse=True)
    return code.astype(np.int64), [named[one] for one in found.tolist()]


def runs_of(store: FeatureStore, rows: Ints) -> Ints:
    """Give (n,) the number of the run that wrote each of ``rows``; -1 where none is recorded."""
    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    block = rows // store.block_rows
    n_blocks = int(block.max()) + 1
    run_of: Ints = np.full(n_blocks, -1, dtype=np.int64)
    for number, run in enumerate(store.runs):
        for start, stop in blocks_of(run, n_blocks):
            run_of[start:stop] = number
    return run_of[block]
