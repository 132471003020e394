"""Heads solved on inner products: the cost depends on rows, not on features.

numba compiles what `dual` holds, so each solver is imported where it is used.
"""

from featx.solvers.solution import Solution

__all__ = ["Solution"]
