"""Cross-validate a head: arrays in, scores out."""

from featx.evaluate.result import Candidate, Evaluation, FoldResult, Params, Scale, Spec, Task
from featx.evaluate.run import GridScores, evaluate, grid_scores
from featx.evaluate.space import Source

__all__ = [
    "Candidate",
    "Evaluation",
    "FoldResult",
    "GridScores",
    "Params",
    "Scale",
    "Source",
    "Spec",
    "Task",
    "evaluate",
    "grid_scores",
]
