"""featx: embed images once with a frozen backbone, fit heads in seconds, believe the number."""
