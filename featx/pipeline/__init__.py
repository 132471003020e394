"""Recipe files: what to extract, fit and train, written down once and run on any images."""

from featx.pipeline.plan import PlannedStep, plan_pipeline
from featx.pipeline.read import Pipeline, read_pipeline
from featx.pipeline.run import Skip, Step, run_pipeline

__all__ = [
    "Pipeline",
    "PlannedStep",
    "Skip",
    "Step",
    "plan_pipeline",
    "read_pipeline",
    "run_pipeline",
]
