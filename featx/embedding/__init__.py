"""From images to vectors: what is known is not read, what is missing is computed once."""

from featx.embedding.memory import Embedded, embed, manifest_of
from featx.embedding.passes import How, Pass, run_pass
from featx.embedding.stages import Timing
from featx.embedding.wanted import Wanted, embed_wanted, group_recipes

__all__ = [
    "Embedded",
    "How",
    "Pass",
    "Timing",
    "Wanted",
    "embed",
    "embed_wanted",
    "group_recipes",
    "manifest_of",
    "run_pass",
]
