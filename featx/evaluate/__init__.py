"""Cross-validate a head: arrays in, scores out."""

from featx.evaluate.result import Candidate, Evaluation, FoldResult, Params, Scale, Spec, Task
from featx.evaluate.run import evaluate

__all__ = [
    "Candidate",
    "Evaluation",
    "FoldResult",
    "Params",
    "Scale",
    "Spec",
    "Task",
    "evaluate",
]
