"""Train a backbone with a head on top, and estimate it as a head on frozen features is."""

from featx.finetuning.make import finetune

__all__ = ["finetune"]
