"""The heads that can be fitted on embeddings, and how their parameters are written."""

from featx.heads.grids import candidates, parse_grid, parse_params
from featx.heads.table import HEADS, Head, check_head, check_params, head_for, output_scores
from featx.heads.tasks import Target, read_target
from featx.targets import task_of

__all__ = [
    "HEADS",
    "Head",
    "Target",
    "candidates",
    "check_head",
    "check_params",
    "head_for",
    "output_scores",
    "parse_grid",
    "parse_params",
    "read_target",
    "task_of",
]
