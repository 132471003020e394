"""Cross-validate a head: arrays in, scores out."""

from featx.evaluate.ahead import Foresight, foresee
from featx.evaluate.result import Candidate, Evaluation, FoldResult, Params, Scale, Spec, Task
from featx.evaluate.run import GridScores, evaluate, evaluate_each, grid_scores
from featx.evaluate.setup import Setup, read_setup, with_plan
from featx.evaluate.space import Source
from featx.evaluate.trained import Attempt, evaluate_trained, judge_of, read_trained
from featx.evaluate.viewed import with_images

__all__ = [
    "Attempt",
    "Candidate",
    "Evaluation",
    "FoldResult",
    "Foresight",
    "GridScores",
    "Params",
    "Scale",
    "Setup",
    "Source",
    "Spec",
    "Task",
    "evaluate",
    "evaluate_each",
    "evaluate_trained",
    "foresee",
    "grid_scores",
    "judge_of",
    "read_setup",
    "read_trained",
    "with_images",
    "with_plan",
]
