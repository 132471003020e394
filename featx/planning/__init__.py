"""Say what an extraction will cost here, before anything is stored."""

from featx.planning.make import plan
from featx.planning.result import Plan, PlannedBackbone, PlannedHead, PlannedStore

__all__ = ["Plan", "PlannedBackbone", "PlannedHead", "PlannedStore", "plan"]
