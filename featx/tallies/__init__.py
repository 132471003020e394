"""What is counted of images and their columns, from values: pixels, sizes, classes, copies."""

from featx.tallies.columns import Amounts, Classes, Column, describe_column, describe_target
from featx.tallies.copies import Clash, clashes, groups_of, paths_of, rows_of
from featx.tallies.pixels import NO_PIXELS, Pixels, PixelSum, level_sum, value_sum
from featx.tallies.sizes import Sizes, Spread, describe_sizes

__all__ = [
    "NO_PIXELS",
    "Amounts",
    "Clash",
    "Classes",
    "Column",
    "PixelSum",
    "Pixels",
    "Sizes",
    "Spread",
    "clashes",
    "describe_column",
    "describe_sizes",
    "describe_target",
    "groups_of",
    "level_sum",
    "paths_of",
    "rows_of",
    "value_sum",
]
