"""Look at a set of images before anything is computed from it: pixels, sizes, classes, copies."""

from featx.surveying.make import stats
from featx.surveying.result import Copies, Failed, Sides, Stats

__all__ = ["Copies", "Failed", "Sides", "Stats", "stats"]
