"""Re-read a whole store and name what is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featx.store.chunks import Damage, mark, not_finite, read_chunk
from featx.store.floats import is_finite
from featx.store.index import has_live, is_dead, present_blocks
from featx.store.layout import DONE
from featx.store.threads import MAX_REQUESTS, in_threads

if TYPE_CHECKING:
    from featx._types import Array, JsonObject, Progress
    from featx.store.layout import Layout


def check_block(layout: Layout, block: int) -> list[Damage]:
    """Read the four chunks of a committed block, and give the damaged ones.

    A block whose rows are all superseded needs nothing but its state.
    """
    state = read_chunk(layout, "state", block)
    if not isinstance(state, Damage) and not has_live(state):
        return []
    others = [read_chunk(layout, array, block) for array in ("digest", "item")]
    parts = [_features(layout, block, state), *others, state]
    damages = [part for part in parts if isinstance(part, Damage)]
    return [] if damages and is_dead(layout, block) else damages


def _features(layout: Layout, block: int, state: Array | Damage) -> Array | Damage:
    features = read_chunk(layout, "features", block)
    if isinstance(features, Damage) or isinstance(state, Damage):
        return features
    return features if is_finite(features[state == DONE]) else not_finite(layout, block)


def check_store(layout: Layout, runs: list[JsonObject], progress: Progress) -> list[Damage]:
    """Read every committed block, mark the damaged chunks and give them in order."""
    blocks = present_blocks(layout, runs)
    found: list[Damage] = []
    progress.start(f"verify {layout.recipe.label}", len(blocks))
    n_threads = MAX_REQUESTS if layout.is_remote else None
    for damages in in_threads(lambda block: check_block(layout, block), blocks, n_threads):
        found += damages
        progress.advance()
    progress.finish()
    for damage in found:
        mark(layout, damage)
    return found
