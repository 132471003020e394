"""Which rows train and which are tested."""

from featx.folds.draw import inner_splits
from featx.folds.plan import Fold, Plan, make_plan, parse_cv
from featx.folds.rows import Rows
from featx.folds.sides import is_split, read_sides

__all__ = [
    "Fold",
    "Plan",
    "Rows",
    "inner_splits",
    "is_split",
    "make_plan",
    "parse_cv",
    "read_sides",
]
