"""Which rows train and which are tested."""

from featx.folds.draw import inner_splits
from featx.folds.nested import cut_plan, nested_subset
from featx.folds.plan import Fold, Plan, make_plan, parse_cv
from featx.folds.rows import Rows
from featx.folds.sides import is_split, read_sides

__all__ = [
    "Fold",
    "Plan",
    "Rows",
    "cut_plan",
    "inner_splits",
    "is_split",
    "make_plan",
    "nested_subset",
    "parse_cv",
    "read_sides",
]
