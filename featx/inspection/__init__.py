"""Look inside a backbone: what it says of an image, its filters, and their maps."""

from featx.inspection.make import inspect
from featx.inspection.result import Guess, Inspected, Inspection

__all__ = ["Guess", "Inspected", "Inspection", "inspect"]
