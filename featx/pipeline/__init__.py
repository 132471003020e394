"""Recipe files: what to extract and what to fit, written down once and run on any images."""

from featx.pipeline.read import Pipeline, read_pipeline
from featx.pipeline.run import Step, run_pipeline

__all__ = ["Pipeline", "Step", "read_pipeline", "run_pipeline"]
