"""From images to vectors: what is known is not read, what is missing is computed once."""

from featx.embedding.memory import Embedded, embed, manifest_of
from featx.embedding.passes import How, Pass, run_pass

__all__ = ["Embedded", "How", "Pass", "embed", "manifest_of", "run_pass"]
